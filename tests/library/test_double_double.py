"""Numbers in two parts against exact rational arithmetic and mpmath."""

from __future__ import annotations

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

import vmc

SOURCE = """
import double_double

kernel sums(a: f64[N], b: f64[N], high: out f64[N], low: out f64[N]):
    for i in grid(cdiv(N, 16)):
        h, l = double_double.exact_sum(a[i*16 : +16], b[i*16 : +16])
        high[i*16 : +16] = h
        low[i*16 : +16] = l

kernel products(a: f64[N], b: f64[N], high: out f64[N], low: out f64[N]):
    for i in grid(cdiv(N, 16)):
        h, l = double_double.exact_product(a[i*16 : +16], b[i*16 : +16])
        high[i*16 : +16] = h
        low[i*16 : +16] = l

kernel combined[OPERATION: const](a: f64[N], c: f64[N], b: f64[N], d: f64[N], high: out f64[N], low: out f64[N]):
    for i in grid(cdiv(N, 16)):
        p = a[i*16 : +16]
        p_low = c[i*16 : +16]
        q = b[i*16 : +16]
        q_low = d[i*16 : +16]
        if OPERATION == 0:
            h, l = double_double.add(p, p_low, q, q_low)
            high[i*16 : +16] = h
            low[i*16 : +16] = l
        elif OPERATION == 1:
            h, l = double_double.multiply(p, p_low, q, q_low)
            high[i*16 : +16] = h
            low[i*16 : +16] = l
        elif OPERATION == 2:
            h, l = double_double.divide(p, p_low, q, q_low)
            high[i*16 : +16] = h
            low[i*16 : +16] = l
        elif OPERATION == 3:
            h, l = double_double.square_root(p, p_low)
            high[i*16 : +16] = h
            low[i*16 : +16] = l
        else:
            h, l = double_double.logarithm(p, p_low, 0.0)
            high[i*16 : +16] = h
            low[i*16 : +16] = l

kernel plain(a: f64[N], y: out f64[N]):
    for i in grid(cdiv(N, 16)):
        y[i*16 : +16] = double_double.plain_logarithm(a[i*16 : +16])
"""

Array = NDArray[np.float64]


def drawn(seed: int, low: float = -20, high: float = 20, count: int = 333) -> Array:
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 2, count) * 2.0 ** rng.uniform(low, high, count).round()


def launched(name: str, *operands: Array, target: str = "cpu", **bindings: int) -> tuple[Array, Array]:
    high, low = np.empty_like(operands[0]), np.empty_like(operands[0])
    vmc.compile(SOURCE, name, target, **bindings)(*operands, high, low)
    return high, low


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_sums_and_products_are_exact(target: str) -> None:
    a, b = drawn(1) * np.where(np.arange(333) % 2, 1, -1), drawn(2)
    for name, operation in (("sums", Fraction.__add__), ("products", Fraction.__mul__)):
        high, low = launched(name, a, b, target=target)
        for x, y, h, rest in zip(a, b, high, low, strict=True):
            assert Fraction(h) + Fraction(rest) == operation(Fraction(x), Fraction(y))
            assert h == h + rest


@pytest.mark.parametrize("operation", ["add", "multiply", "divide", "square_root", "logarithm"])
def test_operations_keep_a_hundred_bits(operation: str) -> None:
    number = ["add", "multiply", "divide", "square_root", "logarithm"].index(operation)
    a, b = drawn(3), drawn(4)
    c, d = a * drawn(5, -58, -55), b * drawn(6, -58, -55)
    high, low = launched("combined", a, c, b, d, OPERATION=number)
    with mp.workdps(50):
        for x, x_low, y, y_low, h, rest in zip(a, c, b, d, high, low, strict=True):
            p, q = mp.mpf(x) + x_low, mp.mpf(y) + y_low
            want = [p + q, p * q, p / q, mp.sqrt(p), mp.log(p)][number]
            allowed = abs(want) * mp.mpf(2) ** -100
            if operation == "logarithm":
                allowed = mp.mpf(2) ** -58
            assert abs(mp.mpf(h) + rest - want) <= allowed, (x, y)


def test_the_plain_logarithm_is_within_two_units_of_the_last_place() -> None:
    a = np.concatenate([drawn(7, -1000, 1000), 1 + drawn(8, -50, -2), 1 - drawn(9, -52, -3)])
    y = np.empty_like(a)
    vmc.compile(SOURCE, "plain")(a, y)
    with mp.workdps(40):
        for x, got in zip(a, y, strict=True):
            want = mp.log(mp.mpf(x))
            assert abs(got - want) <= 2 * np.spacing(abs(float(want))), x
