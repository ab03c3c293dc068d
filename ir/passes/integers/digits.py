"""Float rows as three digits of a byte each, so that products with small integers are exact sums of bytes.

    a = 2**-21 P (65536 d1 + 256 d2 + d3)        P: the power of two at or below the row's largest |a|, at least 2**-106

This is a licence of `fast`, because the error is relative to a row's largest element, not to every element: for
each row of a and column of b, with u = 2**-24, the unit roundoff of f32,

    |result - (c + a @ b)|  <=  2**-21 max(max|a|, 2**-106) sum|b|  +  u |result|  +  2**-149

where the last two are for the sum with c and for results below the normal range, and results so near the largest
number may overflow. Half of the first comes from |n - a / (2**-21 P)| <= 1/2 for n = 65536 d1 + 256 d2 + d3, the rest
from adding up the sums of the digits' products in f32, and from rounding them to it where it has not all of them. A row
with an infinity or a NaN gives infinities or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmc.ir.core import Value
from vmc.ir.passes.integers.emission import F32, I8, I32, Emission
from vmc.ir.types import dtype

U32 = dtype("u32")
MANTISSA_BITS, BIAS = 23, 127
EXPONENT = 0xFF << MANTISSA_BITS
BITS = 21
"""A row's largest element is below 2 P, its integer below 2**22; the first digit then is at most 65 in magnitude."""
LEAST = 21
"""The least exponent field of P; its inverse times 2**BITS is finite for all larger ones."""
DIGITS = 3
LARGEST_DIGIT = 128


def product(emission: Emission, a: Value, right: Sequence[Value], low: int | Value, weight: int, shift: int) -> Value:
    """a @ ((low + right) * 2**-shift) as f32, of a float tile that f32 holds and the bytes of a right factor."""
    emit, constant = emission.rewriter.emit, emission.constant
    wide = emission.cast(a, F32)
    exponents = row_exponents(emission, wide)
    sums = [
        emission.cast(emission.product(digit, right, low, weight=weight), F32)
        for digit in row_digits(emission, wide, exponents)
    ]
    shape = sums[0].tile.shape
    total = sums[0]
    for lower in sums[1:]:
        total = emit("fma", total, constant(F32, 256.0, shape), lower)
    scaled = emit("mul", total, constant(F32, 2.0 ** -(BITS + shift), shape))
    return emit("mul", scaled, spread(emission, emit("bitcast", exponents, dtype=F32), shape))


def row_exponents(emission: Emission, a: Value) -> Value:
    """The exponent field of each row's largest element, in its place in an f32: the bits of P, of infinity for a row
    that is not finite.
    """
    emit, rows = emission.rewriter.emit, (a.tile.shape[0],)
    most = emit("reduce", emit("abs", a), kind="max", axis=1)
    field = emit("and", emit("bitcast", most, dtype=U32), emission.constant(U32, EXPONENT, rows))
    return emit("max", field, emission.constant(U32, LEAST << MANTISSA_BITS, rows))


def row_digits(emission: Emission, a: Value, exponents: Value) -> list[Value]:
    """The digits of round(a * 2**BITS / P), the highest first, each the nearest one to what is above it.

    The low byte of an integer, as a signed number, is the digit; what is left is the integer plus 128, shifted.
    """
    emit, shape = emission.rewriter.emit, a.tile.shape
    inverse = (2 * BIAS + BITS) << MANTISSA_BITS
    factors = emit("sub", emission.constant(U32, inverse, exponents.tile.shape), exponents)
    scaled = emit("mul", a, spread(emission, emit("bitcast", factors, dtype=F32), shape))
    rest = emission.cast(scaled, I32)
    digits = []
    for _ in range(DIGITS - 1):
        digits.append(emission.cast(rest, I8))
        above = emit("add", rest, emission.constant(I32, LARGEST_DIGIT, shape))
        rest = emit("shr", above, emission.constant(I32, 8, shape))
    return [emission.cast(rest, I8), *reversed(digits)]


def spread(emission: Emission, column: Value, shape: tuple[int, ...]) -> Value:
    """A number for each row, in every column."""
    emit = emission.rewriter.emit
    return emit("broadcast", emit("reshape", column, shape=(shape[0], 1)), shape=shape)
