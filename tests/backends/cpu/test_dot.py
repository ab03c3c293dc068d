"""The matrix product: exact for integers, within the stated bound for floats, at every edge of the register blocks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import vmc
from tests.backends.cpu.execution import Sketch, assert_sketch, memory, run, zeros
from tests.backends.cpu.samples import sample
from vmc.ir.ops.linear import accumulator
from vmc.ir.types import ALL_DTYPES, dtype

FLOATS = [type for type in ALL_DTYPES if type.is_float]
INTEGERS = [type for type in ALL_DTYPES if type.is_int]


def product(a: Any, b: Any, m: int, k: int, n: int) -> Sketch:
    sums = accumulator(a, b)
    assert sums is not None
    sketch = Sketch()
    left, right, start = sketch.take(a, (m, k)), sketch.take(b, (k, n)), sketch.take(sums, (m, n))
    sketch.give(sketch.b("dot", left, right, start))
    return sketch


@pytest.mark.parametrize("type", INTEGERS, ids=str)
def test_integer_products_are_exact_modulo_the_accumulator(type: Any) -> None:
    sketch = Sketch()
    inputs = []
    for other in (type, dtype("i8"), dtype("u3"), dtype("i64")):
        sums = accumulator(type, other)
        assert sums is not None
        left, right = sketch.take(type, (5, 7)), sketch.take(other, (7, 19))
        sketch.give(sketch.b("dot", left, right, sketch.take(sums, (5, 19))))
        inputs += [sample(type, 35).reshape(5, 7), sample(other, 133).reshape(7, 19), sample(sums, 95).reshape(5, 19)]
    assert_sketch(sketch, inputs)


def check_bound(sketch: Sketch, a: Any, b: Any, arrays: list[np.ndarray]) -> None:
    """|result - exact| <= (K + 2) u (|c| + |a| @ |b|), with u the unit roundoff of the accumulator."""
    sums = accumulator(a, b)
    assert sums is not None
    kernel = sketch.kernel()
    inputs = [memory(type, codes) for type, codes in zip((a, b, sums), arrays, strict=True)]
    found = run(kernel, [*inputs, zeros(kernel.params[3])], opt_level=2)[3]
    x, y, c = (type.decode(codes).astype(np.longdouble) for type, codes in zip((a, b, sums), arrays, strict=True))
    result = sums.decode(found.view(sums.code_dtype)).reshape(c.shape)
    bound = (x.shape[1] + 2) * 2.0 ** -(sums.mantissa_bits + 1) * (np.abs(c) + np.abs(x) @ np.abs(y))
    assert np.all(np.abs(result - (c + x @ y)) <= bound)


@pytest.mark.parametrize("type", FLOATS, ids=str)
def test_float_products_stay_within_the_stated_bound(type: Any) -> None:
    rng = np.random.default_rng(8)
    sums = accumulator(type, type)
    assert sums is not None
    shapes = ((6, 37), (37, 21), (6, 21))
    values = [rng.normal(0, 2, shape) for shape in shapes]
    if not type.has_sign:
        values[:2] = [np.abs(value) for value in values[:2]]
    arrays = [t.encode(value, saturate=True) for t, value in zip((type, type, sums), values, strict=True)]
    check_bound(product(type, type, 6, 37, 21), type, type, arrays)


@pytest.mark.parametrize(("m", "n"), list(itertools.product((1, 2, 7, 8, 9, 31), (1, 3, 15, 16, 17, 33, 100))))
def test_every_edge_of_the_register_blocks_is_right(m: int, n: int) -> None:
    """Small integers as f32, whose sums are exact in any order."""
    rng = np.random.default_rng(m * 100 + n)
    f32 = dtype("f32")
    arrays = [f32.encode(rng.integers(-8, 8, shape)) for shape in ((m, 5), (5, n), (m, n))]
    assert_sketch(product(f32, f32, m, 5, n), arrays)


@pytest.mark.parametrize("features", ["", "-avx512f"], ids=["host", "without AVX-512"])
@pytest.mark.parametrize("m", [48, 53, 64])
def test_a_right_factor_larger_than_the_nearest_cache_is_read_from_strips(m: int, features: str) -> None:
    """As that of few rows, which is read in place, does; with columns beside the strips' last vectors."""
    rng = np.random.default_rng(m)
    f32 = dtype("f32")
    arrays = [f32.encode(rng.integers(-8, 8, shape)) for shape in ((m, 130), (130, 75), (m, 75))]
    assert_sketch(product(f32, f32, m, 130, 75), arrays, features=features, opt_level=2)


def test_an_accumulator_that_is_used_again_is_not_overwritten() -> None:
    f32 = dtype("f32")
    sketch = Sketch()
    a, b, c = sketch.take(f32, (3, 4)), sketch.take(f32, (4, 5)), sketch.take(f32, (3, 5))
    total = sketch.b("dot", a, b, c)
    sketch.give(sketch.b("add", sketch.b("dot", a, b, total), sketch.b("mul", total, c)))
    rng = np.random.default_rng(2)
    assert_sketch(sketch, [f32.encode(rng.integers(-8, 8, shape)) for shape in ((3, 4), (4, 5), (3, 5))], opt_level=3)


ROWS = """
kernel rows[BM = 16](x: i8[M, K], w: u4[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, 32)):
        acc = zeros(f32[BM, 32])
        for k in range(0, K, 32):
            acc += f32(x[mi*BM : +BM, k : +32]) @ f32(w[k : +32, ni*32 : +32])
        y[mi*BM : +BM, ni*32 : +32] = acc
"""


@pytest.mark.parametrize("height", [16, 10, 6])
def test_any_number_of_rows_is_right_with_blocks_of_any_height(height: int) -> None:
    """Rows of a tile that the tensor has are wanted; where K and N reach over the edge, other code runs."""
    kernel = vmc.compile(ROWS, BM=height)
    rng = np.random.default_rng(9)
    for k, n in ((64, 32), (40, 50)):
        codes = rng.integers(0, 16, (k, n))
        packed = kernel.pack("w", codes)
        for m in range(1, 2 * height + 2):
            x = rng.integers(-128, 128, (m, k)).astype(np.int8)
            y = np.zeros((m, n), np.float32)
            kernel(x, packed, y)
            np.testing.assert_array_equal(y, x.astype(np.int64) @ codes)


@pytest.mark.parametrize("wide", ["f16", "f32"])
def test_infinities_that_a_cast_takes_to_the_largest_number_are_multiplied_as_that(wide: str) -> None:
    """Such a cast keeps all finite numbers, and is still not the same as what it came from."""
    kernel = vmc.compile(f"""
kernel k(x: {wide}[M, K], w: f8e5m2[K, N], y: out f32[M, N]):
    for m, n in grid(M, cdiv(N, 16)):
        y[m : +1, n*16 : +16] = x[m : +1, 0 : +64] @ {wide}(w[0 : +64, n*16 : +16], saturate=true)
""")
    codes, y = np.zeros((64, 16), np.uint8), np.zeros((1, 16), np.float32)
    codes[0, 0], codes[1, 1] = 0x7C, 0xFC
    x = np.zeros((1, 64), wide.replace("f", "float"))
    x[0, :2] = 1
    kernel(x, kernel.pack("w", codes), y)
    most = np.finfo(x.dtype).max
    np.testing.assert_array_equal(y[0], np.array([most, -most] + [0] * 14, np.float32))
