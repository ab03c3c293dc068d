"""Every mathematical function gives the same bits from the reference VM and from compiled code."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, assert_sketch, run
from vmc.ir.ops import math
from vmc.ir.types import dtype

DELICATE = ("exp2", "log1p", "expm1", "tanh", "sin", "asin", "erfc", "pow")
FUNCTIONS = [each for each in math.DEFINITIONS if isinstance(each, math.Composite)]
COUNT = 601  # not a multiple of any vector


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32", "f64"])
@pytest.mark.parametrize("definition", FUNCTIONS, ids=lambda definition: definition.name)
def test_compiled_code_agrees_with_the_reference(definition: math.Composite, kind: str) -> None:
    type = dtype(kind)
    rng = np.random.default_rng(14)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 2.0, 1e-40, 3e38, 100.0, -100.0]
    inputs = []
    for _ in range(definition.arity):
        values = np.concatenate(
            [rng.normal(0, 3, 200), rng.normal(0, 300, 100), np.exp(rng.normal(0, 20, 100)), special]
        )
        random = rng.integers(0, 1 << type.width, COUNT - values.size, np.uint64).astype(type.code_dtype)
        with np.errstate(all="ignore"):
            inputs.append(np.concatenate([type.encode(values), random]))
    sketch = Sketch()
    operands = [sketch.take(type, (COUNT,)) for _ in range(definition.arity)]
    sketch.give(sketch.b(definition.name, *operands))
    assert_sketch(sketch, inputs)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_fast_kernels_stay_within_a_few_units(kind: str) -> None:
    """`fast` may contract and divide by reciprocals; it may not undo the error-free sums of the expansions."""
    type, native = dtype(kind), np.dtype(kind.replace("f32", "f4").replace("f64", "f8"))
    x = np.random.default_rng(15).uniform(0.01, 0.99, 256).astype(native)
    for definition in (each for each in FUNCTIONS if each.name in DELICATE):
        sketch = Sketch()
        operands = [sketch.take(type, x.shape) for _ in range(definition.arity)]
        sketch.give(sketch.b(definition.name, *operands))
        memory = [x.view(np.uint8) for _ in operands] + [np.zeros(x.nbytes, np.uint8)]
        strict, fast = (run(sketch.kernel(fast=fast), memory, opt_level=3)[-1].view(native) for fast in (False, True))
        assert np.all(np.abs(fast - strict) <= 4 * np.spacing(np.abs(strict))), definition.name
