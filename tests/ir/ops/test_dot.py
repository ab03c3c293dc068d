"""The matrix product on every pair of types, against exact sums."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from vmc.ir.core import IRError
from vmc.ir.ops.linear import accumulator
from vmc.ir.types import ALL_DTYPES, dtype

INTEGERS = [type for type in ALL_DTYPES if type.is_int]
FLOATS = [type for type in ALL_DTYPES if type.is_float]


@pytest.mark.parametrize("a", INTEGERS, ids=lambda type: type.name)
def test_integer_products_are_exact_modulo_the_accumulator(a, evaluate, samples):
    for b in INTEGERS:
        total = accumulator(a, b)
        x, y, z = samples(a, 6, "x").reshape(2, 3), samples(b, 12, "y").reshape(3, 4), samples(total, 8).reshape(2, 4)
        (result,) = evaluate("dot", (a, x), (b, y), (total, z))
        left, right, start = (
            np.vectorize(int, otypes=[object])(type.decode(codes)) for type, codes in ((a, x), (b, y), (total, z))
        )
        expected = (left @ right + start) % 2**total.width
        assert result.tolist() == expected.tolist()


@pytest.mark.parametrize("a", FLOATS, ids=lambda type: type.name)
def test_float_products_keep_the_stated_bound(a, evaluate):
    random = np.random.default_rng(5)
    for b in FLOATS:
        total = accumulator(a, b)
        if total is None:
            continue
        x, y = (type.encode(np.abs(random.normal(size=size))) for type, size in ((a, (3, 5)), (b, (5, 2))))
        z = total.encode(random.normal(size=(3, 2)))
        (result,) = evaluate("dot", (a, x), (b, y), (total, z))
        left, right, start = a.decode(x), b.decode(y), total.decode(z)
        unit = 2.0**-24 if total.name == "f32" else 2.0**-53
        for i in range(3):
            for j in range(2):
                terms = [Fraction(p) * Fraction(q) for p, q in zip(left[i].tolist(), right[:, j].tolist(), strict=True)]
                exact = sum(terms) + Fraction(float(start[i, j]))
                size = float(sum(map(abs, terms))) + abs(float(start[i, j]))
                assert abs(float(total.decode(result)[i, j]) - float(exact)) <= 7 * unit * size


def test_an_infinite_product_and_its_opposite_make_nan(evaluate):
    f32 = dtype("f32")
    a, b, c = f32.encode([[np.inf, np.inf]]), f32.encode([[1.0], [-1.0]]), f32.encode([[0.0]])
    (result,) = evaluate("dot", ("f32", a), ("f32", b), ("f32", c))
    assert math.isnan(f32.decode(result)[0, 0])


@pytest.mark.parametrize(
    ("a", "b", "c", "message"),
    [
        (("u4", (2, 3)), ("u4", (4, 2)), ("i32", (2, 2)), "differ in the inner extent"),
        (("u4", (2, 3)), ("u4", (3, 2)), ("i32", (2, 3)), "does not have the shape"),
        (("u4", (2, 3)), ("u4", (3, 2)), ("f32", (2, 2)), "does not accumulate in f32"),
        (("u4", (2, 3)), ("f16", (3, 2)), ("f32", (2, 2)), "does not accumulate in f32"),
        (("u4", (2,)), ("u4", (3, 2)), ("i32", (2, 2)), "tiles of rank 2"),
    ],
)
def test_what_does_not_fit_is_refused(a, b, c, message, evaluate):
    with pytest.raises(IRError, match=message):
        evaluate("dot", *((type, np.zeros(shape)) for type, shape in (a, b, c)))


def test_sums_that_16_bits_do_not_hold_are_an_error_of_who_promised_them(evaluate):
    q, w, zero = np.full((1, 4), 0x80, np.uint8), np.full((4, 1), 128, np.uint8), np.zeros((1, 1), np.uint32)
    (result,) = evaluate("dot_short", ("i8", q), ("u8", w), ("i32", zero), run=1)
    assert result.tolist() == [[2**32 - 4 * 128 * 128]]
    with pytest.raises(IRError, match="2 products of 128 and 128 do not fit 16 bits"):
        evaluate("dot_short", ("i8", q), ("u8", w), ("i32", zero), run=2)
