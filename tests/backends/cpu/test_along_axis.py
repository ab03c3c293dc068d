"""Reductions, scans, places of extremes and sorting along each axis, on every type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, assert_sketch, memory, run, zeros
from tests.backends.cpu.samples import sample
from vmc.ir.ops.arith import is_arithmetic
from vmc.ir.ops.reduction import STEPS
from vmc.ir.types import ALL_DTYPES, dtype

ARITHMETIC = [type for type in ALL_DTYPES if is_arithmetic(type)]
SHAPE = (3, 17, 5)


def kinds(type: Any) -> list[str]:
    return [kind for kind in STEPS if type.is_int or kind not in ("and", "or", "xor")]


def build(type: Any) -> Sketch:
    """All operations along all axes that give one answer: reductions in any order, but for float sums and products."""
    sketch = Sketch()
    value = sketch.take(type, SHAPE)
    for axis in range(3):
        for kind in kinds(type):
            if type.is_int or kind in ("min", "max"):
                sketch.give(sketch.b("reduce", value, kind=kind, axis=axis))
            for exclusive, reverse in ((False, False), (True, True)):
                sketch.give(sketch.b("scan", value, kind=kind, axis=axis, exclusive=exclusive, reverse=reverse))
        for kind in ("min", "max"):
            sketch.give(sketch.b("arg", value, kind=kind, axis=axis))
        for descending in (False, True):
            for result in sketch.b.many("sort", value, axis=axis, descending=descending):
                sketch.give(result)
    return sketch


@pytest.mark.parametrize("type", ARITHMETIC, ids=str)
def test_operations_along_an_axis_agree_with_the_reference(type: Any) -> None:
    assert_sketch(build(type), [sample(type, int(np.prod(SHAPE))).reshape(SHAPE)])


@pytest.mark.parametrize("name", ["i8", "u64", "f16", "f32"])
def test_optimized_operations_along_an_axis_agree(name: str) -> None:
    assert_sketch(build(dtype(name)), [sample(name, int(np.prod(SHAPE)), "o").reshape(SHAPE)], opt_level=3)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 100, 1000])
def test_sorting_is_stable_at_every_length(count: int) -> None:
    for name in ("u2", "f32"):
        sketch = Sketch()
        value = sketch.take(name, (count,))
        for descending in (False, True):
            for result in sketch.b.many("sort", value, axis=0, descending=descending):
                sketch.give(result)
        assert_sketch(sketch, [sample(name, count)], opt_level=2)


@pytest.mark.parametrize("features", ["", "-avx512f"], ids=["host", "without AVX-512"])
@pytest.mark.parametrize("count", [1, 7, 8, 16, 31, 64, 100, 512])
def test_places_of_ones_are_found_in_masks_of_every_density(count: int, features: str) -> None:
    rng = np.random.default_rng(count)
    for density in (0.0, 0.02, 0.5, 1.0):
        sketch = Sketch()
        for result in sketch.b.many("nonzero", sketch.take("u1", (count,))):
            sketch.give(result)
        assert_sketch(sketch, [(rng.random(count) < density).astype(np.uint8)], features=features, opt_level=2)


@pytest.mark.parametrize("name", ["f16", "bf16", "f32", "f64"])
def test_float_sums_stay_within_the_stated_bound(name: str) -> None:
    """|sum - exact| <= (n - 1) u sum|a| + u' |exact|: u of the type summed in, u' of the final rounding."""
    type, n = dtype(name), 1000
    codes = type.encode(np.random.default_rng(6).normal(0, 1, (n, 3)))
    exact = type.decode(codes).astype(np.longdouble)
    wide = type if type.width >= 32 else dtype("f32")
    for axis, array in ((0, codes), (1, np.ascontiguousarray(codes.T))):
        sketch = Sketch()
        sketch.give(sketch.b("reduce", sketch.take(type, array.shape), kind="sum", axis=axis))
        kernel = sketch.kernel()
        found = run(kernel, [memory(type, array), zeros(kernel.params[1])], opt_level=3)[1]
        sums, total = type.decode(found.view(type.code_dtype)), exact.sum(axis=0)
        u, last = 2.0 ** -(wide.mantissa_bits + 1), 2.0 ** -(type.mantissa_bits + 1)
        assert np.all(
            np.abs(sums - total) <= (n - 1) * u * np.abs(exact).sum(axis=0) + last * np.abs(total) * (1 + u) + u
        )
