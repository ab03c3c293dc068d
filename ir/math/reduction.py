"""Arguments of sin, cos and tan brought to |r| <= pi/4: x = q pi/2 + r, with r to twice the dtype's precision.

Moderate arguments: Cody and Waite's reduction by a pi/2 in three parts, with fma. Large ones: Payne and Hanek, "Radian
reduction for trigonometric functions" (SIGNUM Newsletter 18, 1983): x = m 2**e with an integer m; of m (2/pi) 2**e only
the part modulo 4 matters, so the product takes a window of the binary digits of 2/pi that starts where they weigh 2.
The digits stand in `coefficients` as 64-bit words at a distance of 32 bits; a tree of selects finds the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import Double, add, choose, exact_product, exact_sum, multiply, quick_sum
from vmc.ir.math.exponential import nearest_integer
from vmc.ir.math.expression import Expression, fma, where
from vmc.ir.math.format import format_of

MODERATE = {"f32": 2.0**12, "f64": 2.0**20}
"""From here on arguments count as large."""
LEADING = {"f32": 13, "f64": 34}
"""Zeros put before the digits of 2/pi, so that the window of the least large argument starts at 0."""
WINDOW = {"f32": 3, "f64": 6}
"""Words of 32 bits in a window: the significand's bits, 2, what cancels (29 or 61), the precision wanted."""
MASK = (1 << 32) - 1


@dataclass(frozen=True)
class Angle:
    """quadrant * pi/2 + rest; the quadrant counts modulo 4, in the signed integer of the dtype's width."""

    quadrant: Expression
    rest: Double


def reduce(size: Expression) -> Angle:
    """The angle of size >= 0."""
    kind = format_of(size).name
    moderate = size < MODERATE[kind]
    near, far = reduce_moderate(size), (reduce_large32 if kind == "f32" else reduce_large64)(size)
    return Angle(where(moderate, near.quadrant, far.quadrant), choose(moderate, near.rest, far.rest))


def reduce_moderate(size: Expression) -> Angle:
    kind = format_of(size).name
    first, second, third = coefficients.HALF_PI[kind]
    n, quadrant = nearest_integer(size, coefficients.TWO_OVER_PI[kind][0])
    exact = fma(n, -first, size)
    product = exact_product(n, -second)
    head = exact_sum(exact, product.high)
    return Angle(quadrant, quick_sum(head.high, fma(n, -third, head.low + product.low)))


def significand(size: Expression) -> tuple[Expression, Expression]:
    """m and e of a normal number m * 2**e, as u64."""
    form = format_of(size)
    bits = size.bits(form.unsigned).cast("u64")
    m = (bits & ((1 << form.mantissa) - 1)) | (1 << form.mantissa)
    return m, (bits >> form.mantissa) - (form.bias + form.mantissa)


def window(size: Expression, e: Expression) -> list[Expression]:
    """The digits of 2/pi from the one on that weighs 2 after multiplication by 2**e: words of 32 bits, as u64."""
    kind = format_of(size).name
    start = e + (LEADING[kind] - 2)
    pairs = select_words(coefficients.TWO_OVER_PI_WORDS[kind], start >> 5, WINDOW[kind])
    shift = start & 31
    return [(pair << shift) >> 32 for pair in pairs]


def select_words(words: Sequence[int], index: Expression, count: int) -> list[Expression]:
    """words[index : index + count] as u64, by one level of selects for each bit of the index."""
    candidates = [index.constant(word) for word in words]
    bit = 1 << ((len(words) - count).bit_length() - 1)
    while bit:
        keep = count + bit - 1
        chosen = (index & bit).differs(0)
        candidates = [where(chosen, candidates[i + bit], candidates[i]) for i in range(keep)]
        bit >>= 1
    return candidates


def from_fixed_point(high: Expression, low: Expression | None, kind: str) -> Double:
    """The signed number high / 2**64 (+ low / 2**128) in two parts; high is i64, low u64."""
    if low is None:
        pieces = [(high >> 40, 24), ((high >> 16) & 0xFFFFFF, 48), (high & 0xFFFF, 64)]
    else:
        pieces = [(high >> 32, 32), (high & MASK, 64), (low >> 32, 96), (low & MASK, 128)]
    floats = [piece.cast(kind) * 2.0**-weight for piece, weight in pieces]
    head = quick_sum(floats[0], floats[1])
    if low is None:
        return quick_sum(head.high, head.low + floats[2])
    return add(head, quick_sum(floats[2], floats[3]))


def angle(size: Expression, high: Expression, low: Expression | None) -> Angle:
    """The angle of a fixed-point number of quarter turns: 2 bits before the point, 62 (or 126) after it, u64."""
    form = format_of(size)
    fraction = high << 2 if low is None else (high << 2) | (low >> 62)
    signed = fraction.bits("i64")
    quadrant = (high >> 62) + (fraction >> 63)
    turn = from_fixed_point(signed, None if low is None else low << 2, form.name)
    first, second, _ = coefficients.HALF_PI[form.name]
    return Angle(quadrant.bits("i64").cast(form.signed), multiply(turn, turn.constant(first, second)))


def reduce_large32(size: Expression) -> Angle:
    m, e = significand(size)
    first, second, third = window(size, e)
    return angle(size, ((m * first) << 32) + m * second + ((m * third) >> 32), None)


def reduce_large64(size: Expression) -> Angle:
    """The product of 53 and 192 bits in columns of 32, of which the upper 128 modulo 2**128 count."""
    m, e = significand(size)
    words = window(size, e)
    lower, upper = m & MASK, m >> 32
    carry = ((lower * words[4]) >> 32) + ((upper * words[5]) >> 32)
    columns = []
    for place in (3, 2, 1):
        p, q = lower * words[place], upper * words[place + 1]
        total = (p & MASK) + (q & MASK) + carry
        columns.append(total & MASK)
        carry = (total >> 32) + (p >> 32) + (q >> 32)
    top = lower * words[0] + upper * words[1] + carry
    return angle(size, (top << 32) | columns[2], (columns[1] << 32) | columns[0])
