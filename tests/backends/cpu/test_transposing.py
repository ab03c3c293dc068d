"""Transposes that are written to memory, in blocks of vectors and otherwise, against the reference machine."""

from __future__ import annotations

import pytest

from tests.backends.cpu.execution import Sketch, assert_sketch
from tests.backends.cpu.samples import sample
from vmc.ir.types import dtype


@pytest.mark.parametrize("features", ["", "-avx512f", "-avx512f,-avx"], ids=["host", "without AVX-512", "without AVX"])
@pytest.mark.parametrize("shape", [(16, 16), (32, 48), (8, 64), (4, 4), (15, 16), (3, 5)], ids=str)
@pytest.mark.parametrize("name", ["u8", "f16", "f32", "f64", "i64"])
def test_transposes_agree_with_the_reference(name: str, shape: tuple[int, int], features: str) -> None:
    sketch = Sketch()
    value = sketch.take(name, shape)
    turned = sketch.b("transpose", value, permutation=(1, 0))
    sketch.give(turned)
    sketch.give(sketch.b("reduce", turned, kind="max", axis=0))
    doubled = sketch.b("transpose", sketch.b("max", value, value), permutation=(1, 0))
    sketch.give(sketch.b("transpose", doubled, permutation=(1, 0)))
    codes = sample(name, shape[0] * shape[1]).reshape(shape)
    assert_sketch(sketch, [codes], features=features, opt_level=2)


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_products_of_transposes_agree_with_the_reference(name: str) -> None:
    sketch = Sketch()
    a, b, c = (sketch.take(name, shape) for shape in ((32, 16), (48, 32), (16, 48)))
    left, right = (sketch.b("transpose", value, permutation=(1, 0)) for value in (a, b))
    sketch.give(sketch.b("reduce", sketch.b("dot", left, right, c), kind="max", axis=1))
    small = [sample("i4", 32 * 16), sample("i4", 48 * 32), sample("i4", 16 * 48)]
    type = dtype(name)
    numbers = [type.encode(dtype("i4").decode(codes)) for codes in small]
    inputs = [codes.reshape(value.tile.shape) for codes, value in zip(numbers, (a, b, c), strict=True)]
    assert_sketch(sketch, inputs, opt_level=2)
