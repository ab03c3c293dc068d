"""Every elementwise operation on every dtype that it takes, against the reference VM, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, assert_sketch, memory, run, zeros
from tests.backends.cpu.samples import sample
from vmc.ir.ops import arith
from vmc.ir.ops.arith import Elementwise, is_arithmetic
from vmc.ir.types import ALL_DTYPES, DType

COUNT = 700  # not a multiple of any vector
ARITHMETIC = [type for type in ALL_DTYPES if is_arithmetic(type)]
OPERATIONS = [definition for definition in arith.DEFINITIONS if isinstance(definition, Elementwise)]


def operations(type: DType) -> list[Elementwise]:
    return [definition for definition in OPERATIONS if definition.legal(type)]


def sketch_of(type: DType, names: list[Elementwise]) -> Sketch:
    sketch = Sketch()
    operands = [sketch.take(type, (COUNT,)) for _ in range(3)]
    for definition in names:
        sketch.give(sketch.b(definition.name, *operands[: definition.arity]))
    return sketch


@pytest.mark.parametrize("type", ARITHMETIC, ids=str)
def test_operations_agree_with_the_reference_on_every_type(type: DType) -> None:
    inputs = [sample(type, COUNT, seed) for seed in "abc"]
    assert_sketch(sketch_of(type, operations(type)), inputs)


@pytest.mark.parametrize("name", ["u3", "i5", "i8", "u16", "i32", "u64", "f16", "bf16", "f32", "f64"])
def test_vector_code_agrees_with_the_reference(name: str) -> None:
    type = next(type for type in ARITHMETIC if type.name == name)
    inputs = [sample(type, COUNT, seed) for seed in "def"]
    assert_sketch(sketch_of(type, operations(type)), inputs, opt_level=3)


@pytest.mark.parametrize("name", ["i5", "i8", "u8", "i32", "i64", "u64"])
def test_division_by_known_numbers_agrees_with_the_reference(name: str) -> None:
    type = next(type for type in ARITHMETIC if type.name == name)
    sketch = Sketch()
    a = sketch.take(type, (COUNT,))
    low, high = int(type.min), int(type.max)
    for divisor in (number for number in (0, 1, 2, 3, 7, 8, 15, -1, -3, -8, high, low) if low <= number <= high):
        b = sketch.b.broadcast(sketch.b.constant(type, divisor), (COUNT,))
        for operation in ("floordiv", "mod"):
            sketch.give(sketch.b(operation, a, b))
    assert_sketch(sketch, [sample(type, COUNT, "g")])


@pytest.mark.parametrize("type", [type for type in ARITHMETIC if type.width <= 5], ids=str)
def test_binary_operations_agree_on_every_pair_of_narrow_integers(type: DType) -> None:
    codes = type.codes()
    sketch = Sketch()
    shape = (len(codes), len(codes))
    column, row = sketch.take(type, (len(codes), 1)), sketch.take(type, (len(codes),))
    a, b = (sketch.b.broadcast(value, shape) for value in (column, row))
    for definition in operations(type):
        if definition.arity == 2:
            sketch.give(sketch.b(definition.name, a, b))
    assert_sketch(sketch, [codes[:, None], codes])


@pytest.mark.parametrize("type", ALL_DTYPES, ids=str)
def test_select_and_bitcast_keep_bit_patterns(type: DType) -> None:
    sketch = Sketch()
    condition, a, b = sketch.take("u1", (COUNT,)), sketch.take(type, (COUNT,)), sketch.take(type, (COUNT,))
    sketch.give(sketch.b("select", condition, a, b))
    for other in ALL_DTYPES:
        if other.width == type.width and not other.unused_bits and not type.unused_bits:
            sketch.give(sketch.b("bitcast", a, dtype=other))
    assert_sketch(sketch, [sample("u1", COUNT), sample(type, COUNT, "a"), sample(type, COUNT, "b")])


def test_float_operations_are_rounded_one_by_one() -> None:
    """No multiply-add is contracted, and no chain of f16 keeps excess precision."""
    for name in ("f16", "bf16", "f32", "f64"):
        sketch = Sketch()
        a, b, c = (sketch.take(name, (COUNT,)) for _ in range(3))
        sketch.give(sketch.b("sub", sketch.b("add", sketch.b("mul", a, b), c), sketch.b("mul", b, c)))
        assert_sketch(sketch, [sample(name, COUNT, seed) for seed in "xyz"], opt_level=3)


def test_a_very_long_chain_is_one_loop() -> None:
    sketch = Sketch()
    value = sketch.take("u32", (COUNT,))
    start = value
    for number in range(1500):
        value = sketch.b("add" if number % 2 else "xor", value, start)
    sketch.give(value)
    assert_sketch(sketch, [sample("u32", COUNT)], opt_level=2)


def test_a_fast_kernel_may_contract_but_stays_close() -> None:
    sketch = Sketch()
    a, b, c = (sketch.take("f32", (64,)) for _ in range(3))
    sketch.give(sketch.b("add", sketch.b("mul", a, b), c))
    sketch.give(sketch.b("reduce", a, kind="sum", axis=0))
    kernel = sketch.kernel(fast=True)
    values = np.random.default_rng(1).random((3, 64), np.float32)
    inputs = [memory("f32", line.view(np.uint32)) for line in values]
    *_, sums, total = run(kernel, [*inputs, *map(zeros, kernel.params[3:])], opt_level=3)
    np.testing.assert_allclose(sums.view(np.float32), values[0] * values[1] + values[2], rtol=1e-6)
    np.testing.assert_allclose(total.view(np.float32), values[0].sum(), rtol=1e-5)
