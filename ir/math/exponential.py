"""exp, exp2, expm1, the hyperbolic functions and the logistic sigmoid.

All rest on e**x = 2**k (1 + w): k is the integer nearest to x / ln(2), taken by adding 1.5 * 2**mantissa; what remains,
|r| <= ln(2)/2, is exact in two parts (Cody and Waite's reduction with fma); w = r + r**2 p(r) with a minimax p.
Functions that subtract keep w in two parts and work with their sum (see `double_double`).
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import Double, add_single, choose, divide, exact_product, exact_sum, quick_sum
from vmc.ir.math.expression import Expression, fma, polynomial, where
from vmc.ir.math.format import format_of, power_of_two, scale, sign_bits, with_sign

LIMITS = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
"""Below the first e**x rounds to 0, from the second on to infinity."""
LIMITS2 = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}
"""The same for 2**x."""


@dataclass(frozen=True)
class Exponential:
    """2**k (1 + high + low), k a signed integer, |high| < 0.42."""

    k: Expression
    high: Expression
    low: Expression

    def value(self) -> Expression:
        return scale(self.high + self.low + 1.0, self.k)


def nearest_integer(x: Expression, factor: float) -> tuple[Expression, Expression]:
    """The integer nearest to x * factor, as a float and as a signed integer of its width."""
    form = format_of(x)
    anchored = fma(x, factor, form.anchor)
    anchor_bits = anchored.constant(form.anchor).bits(form.signed)
    return anchored - form.anchor, anchored.bits(form.signed) - anchor_bits


def clamp(x: Expression, limits: tuple[float, float]) -> Expression:
    return x.at_least(limits[0]).at_most(limits[1])


def reduce(x: Expression, low: Expression | None = None) -> tuple[Expression, Expression, Expression]:
    """k, r and rest with x + low = k log(2) + r + rest, |r| <= ln(2)/2 and the rest below the last bit of r."""
    kind = format_of(x).name
    ln2 = coefficients.LN2[kind]
    n, k = nearest_integer(x, coefficients.LOG2E[kind][0])
    exact = fma(n, -ln2[0], x)
    small = n * -ln2[1] if low is None else fma(n, -ln2[1], low)
    r = exact + small
    return k, r, small - (r - exact)


def quick_exponential(x: Expression, low: Expression | None = None) -> Exponential:
    """As `exponential`, but to within 0.4 units of the last place of the result."""
    k, r, rest = reduce(x, low)
    return Exponential(k, r, fma(r * r, polynomial(r, coefficients.EXP[format_of(x).name]), rest))


def exponential(x: Expression, low: Expression | None = None) -> Exponential:
    """e**(x + low) for x within `LIMITS` and a `low` far smaller, to within some 2**-6 units of the last place of w."""
    k, r, rest = reduce(x, low)
    square = exact_product(r * 0.5, r)
    head = quick_sum(r, square.high)
    tail = fma(r * square.high, polynomial(r, coefficients.EXPM1[format_of(x).name]) * 2.0, square.low + rest)
    return Exponential(k, head.high, head.low + tail)


def exp(x: Expression) -> Expression:
    return quick_exponential(clamp(x, LIMITS[x.dtype.name])).value()


def exp2(x: Expression) -> Expression:
    kind = format_of(x).name
    ln2 = coefficients.LN2[kind]
    inside = clamp(x, LIMITS2[kind])
    n, k = nearest_integer(inside, 1.0)
    r = inside - n
    tail = fma(r * r, polynomial(r, coefficients.EXP2[kind]), r * ln2[1])
    if kind == "f32":
        return scale(fma(r, ln2[0], tail) + 1.0, k)
    linear = exact_product(r, ln2[0])
    return Exponential(k, linear.high, linear.low + tail).value()


def minus_one(e: Exponential) -> Double:
    """2**k (1 + w) - 1 for k up to the dtype's precision, relative to its own size even where it is small."""
    power = power_of_two(e.k)
    head = exact_sum(power - 1.0, power * e.high)
    return quick_sum(head.high, fma(power, e.low, head.low))


def expm1(x: Expression) -> Expression:
    form = format_of(x)
    low = -(form.digits + 2) * 0.7  # below, the result is -1 rounded
    e = exponential(clamp(x, (low, LIMITS[form.name][1])))
    small = minus_one(Exponential(e.k.least(form.digits), e.high, e.low)).value()
    large = Exponential(e.k, e.high, e.low - power_of_two((-e.k).most(2 - form.bias))).value()
    result = where(e.k >= form.digits, large, small)
    return where(abs(x) < 2.0**-form.digits, x, result)


def tanh(x: Expression) -> Expression:
    """tanh|x| = (e**(2|x|) - 1) / (e**(2|x|) + 1)."""
    form = format_of(x)
    size = abs(x).at_most(form.digits * 0.4)  # beyond, the result is 1 rounded
    if form.name == "f32":
        return with_sign(tanh32(size), sign_bits(x))
    numerator = minus_one(exponential(size + size))
    denominator = add_single(numerator, size.constant(2.0))
    result = divide(numerator, denominator).value()
    return with_sign(where(size < 2.0**-form.digits, size, result), sign_bits(x))


def tanh32(size: Expression) -> Expression:
    """tanh(x) for 0 <= x < 10 in f32: x + x**3 p(x**2) near 0, else 1 - 2/(e**(2x) + 1)."""
    square = size * size
    near = fma(size * square, polynomial(square, coefficients.TANH["f32"]), size)
    e = quick_exponential(size + size)
    power = power_of_two(e.k)
    denominator = fma(power, e.high + e.low, power + 1.0)
    return where(size < 0.9375, near, 1.0 - 2.0 / denominator)


def sinh(x: Expression) -> Expression:
    """With t = e**|x| - 1: (t + t/(t + 1)) / 2; where e**-|x| no longer counts, e**|x| / 2."""
    form = format_of(x)
    size = abs(x)
    e = exponential(size.at_most(LIMITS[form.name][1] + 1))
    t = minus_one(Exponential(e.k.least(form.digits), e.high, e.low))
    quotient = divide(t, add_single(t, size.constant(1.0)))
    head = exact_sum(t.high, quotient.high)
    small = (head.high + (head.low + (t.low + quotient.low))) * 0.5
    result = where(e.k >= form.digits, Exponential(e.k - 1, e.high, e.low).value(), small)
    return with_sign(where(size < 2.0 ** -(form.digits // 2 + 1), size, result), sign_bits(x))


def cosh(x: Expression) -> Expression:
    """(e**|x| + e**-|x|) / 2."""
    form = format_of(x)
    e = exponential(abs(x).at_most(LIMITS[form.name][1] + 1))
    grown = add_single(minus_one(Exponential(e.k.least(form.digits), e.high, e.low)), x.constant(1.0))
    inverse = divide(grown.constant(1.0), grown)
    head = exact_sum(grown.high, inverse.high)
    small = (head.high + (head.low + (grown.low + inverse.low))) * 0.5
    return where(e.k >= form.digits, Exponential(e.k - 1, e.high, e.low).value(), small)


def sigmoid(x: Expression) -> Expression:
    """1 / (1 + e**-x): with t = e**-|x|, 1/(1 + t) for positive x and t/(1 + t) for negative, scaled last."""
    kind = format_of(x).name
    e = quick_exponential((-abs(x)).at_least(LIMITS[kind][0]))
    head = quick_sum(e.high.constant(1.0), e.high)
    mantissa = quick_sum(head.high, head.low + e.low)
    power = power_of_two(e.k.most(-100))
    ones = quick_sum(mantissa.high.constant(1.0), mantissa.high * power)
    denominator = Double(ones.high, fma(mantissa.low, power, ones.low))
    negative = x < 0.0
    numerator = choose(negative, mantissa, mantissa.constant(1.0))
    result = divide(numerator, denominator).value()
    return scale(result, where(negative, e.k, 0))
