"""Exactly rounded fused multiply-add in NumPy, for float32 and float64, whatever the machine offers.

float32: the product of two float32 is exact in float64; the sum is rounded to odd there, and rounding that once more to
float32 is innocuous. float64: Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms
using rounding to odd" (IEEE Transactions on Computers 57(4), 2008), on operands that are scaled first so that no
intermediate overflows or underflows; subnormal results are rounded at their own last bit.

    >>> float(fma(np.float64(2.0**-600), np.float64(2.0**-600), np.float64(1.0)))
    1.0
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

# Scaled operands are at most 1. A summand 2**FAR times larger than the other decides the result but for the sticky bit,
# and so does one that lies 2**-NEAR below a product, whose last bit is 2**-108.
FAR = 120
NEAR = 200
MODERATE = 2.0**300
SPLITTER = 134217729.0  # 2**27 + 1, Veltkamp's constant for 53 bits


def fma(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Array:
    """a*b + c rounded once to nearest even. Operands broadcast; TypeError unless all are float32 or all float64."""
    x, y, z = np.broadcast_arrays(a, b, c)
    if not x.dtype == y.dtype == z.dtype or x.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"fma takes float32 or float64 operands of one dtype, not {x.dtype}, {y.dtype}, {z.dtype}")
    with np.errstate(all="ignore"):
        return _fma32(x, y, z) if x.dtype == np.float32 else _fma64(x, y, z)


def _fma32(a: Array, b: Array, c: Array) -> Array:
    product = a.astype(np.float64) * b.astype(np.float64)
    return np.asarray(odd_sum(product, c.astype(np.float64)).astype(np.float32))


def two_sum(a: F64, b: F64) -> tuple[F64, F64]:
    """The rounded sum and its error (Knuth): a + b = sum + error exactly, unless something overflows."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def odd_sum(a: F64, b: F64) -> F64:
    """a + b rounded to odd: exact, or else the neighbour of the exact sum whose last bit is 1."""
    total, error = two_sum(a, b)
    bits = np.asarray(total).view(np.int64)
    inexact = np.isfinite(total) & (error != 0) & ((bits & 1) == 0)
    step = np.where((error > 0) == (total > 0), np.int64(1), np.int64(-1))
    return np.asarray(np.where(inexact, bits + step, bits)).view(np.float64)


def _split(a: F64) -> tuple[F64, F64]:
    scaled = a * SPLITTER
    high = scaled - (scaled - a)
    return high, a - high


def _two_product(a: F64, b: F64) -> tuple[F64, F64]:
    """The rounded product and its error (Dekker), for operands of moderate size."""
    product = a * b
    ah, al = _split(a)
    bh, bl = _split(b)
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def _sum_of_product(a: F64, b: F64, c: F64) -> tuple[F64, F64]:
    """Two numbers whose rounded sum is a*b + c rounded once; the second is rounded to odd."""
    high, low = _two_product(a, b)
    inner, inner_error = two_sum(c, low)
    outer, outer_error = two_sum(high, inner)
    return outer, odd_sum(inner_error, outer_error)


def _moderate(a: F64) -> bool:
    size = np.abs(a)
    return bool(np.all((size == 0) | ((size > 1 / MODERATE) & (size < MODERATE))))


def _fma64(a: F64, b: F64, c: F64) -> F64:
    if _moderate(a) and _moderate(b) and _moderate(c):
        high, low = _sum_of_product(a, b, c)
        # a product of zero, or nothing added: the plain sum has the right sign of zero
        return np.asarray(np.where((a == 0) | (b == 0), a * b + c, high + low))
    plain = a * b + c
    finite = np.isfinite(a) & np.isfinite(b)
    special = np.where(finite & ~np.isfinite(c), c, plain)
    ordinary = finite & np.isfinite(c) & (a != 0) & (b != 0)
    one = np.where(ordinary, a, 1.0)
    result = _scaled(one, np.where(ordinary, b, 1.0), np.where(ordinary, c, 1.0))
    return np.asarray(np.where(ordinary, result, special))


def _scaled(a: F64, b: F64, c: F64) -> F64:
    """a*b + c for finite operands, a and b not 0: computed near 1, then moved to its exponent and rounded there."""
    am, ae = np.frexp(a)
    bm, be = np.frexp(b)
    cm, ce = np.frexp(c)
    exponent = (ae + be).astype(np.int64)
    distance = np.where(c == 0, 0, ce - exponent)
    clipped = np.clip(distance, -NEAR, FAR)
    exponent = np.where(distance > FAR, ce - FAR, exponent)
    high, low = _sum_of_product(am, bm, np.ldexp(cm, clipped))
    total = high + low
    normal = np.ldexp(total, exponent)
    # Below the normal range the last bit is 2**-1074: adding a number with that last bit rounds there. Only results
    # near the range's end need it, which keeps the anchor's exponent in range.
    grid = -1074 - exponent
    anchor = np.copysign(np.ldexp(1.0, np.clip(grid + 52, -1000, 1000)), total)
    upper, upper_error = two_sum(anchor, high)
    rounded = (upper + odd_sum(upper_error, low)) - anchor
    subnormal = np.copysign(np.ldexp(rounded, exponent), total)
    tiny = np.ldexp(1.0, -1022 - np.maximum(exponent, -2000))
    return np.asarray(np.where(np.abs(total) < tiny, subnormal, normal))
