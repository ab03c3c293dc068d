"""log, log2, log10 and log1p.

x = 2**k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), by integer arithmetic on the bits; log(1 + f) = f + c, where f is
exact and the correction c small. k log(2) is added in two parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import Double, exact_product, exact_sum, quick_sum
from vmc.ir.math.expression import Expression, fma, polynomial, where
from vmc.ir.math.format import format_of, power_of_two

ROOT_HALF_BITS = {"f32": 0x3F3504F3, "f64": 0x3FE6A09E667F3BCD}
"""The bit pattern of sqrt(1/2), rounded."""


@dataclass(frozen=True)
class Parts:
    """x = 2**k (1 + f): k as a signed integer and as a float."""

    k: Expression
    n: Expression
    f: Expression


def normal(x: Expression) -> tuple[Expression, Expression]:
    """x without subnormals: those multiplied by 2**digits; and the condition that it was done."""
    form = format_of(x)
    small = x < 2.0 ** (1 - form.bias)
    return where(small, x * 2.0**form.digits, x), small


def take_apart(x: Expression) -> Parts:
    """For positive normal x; f is exact."""
    form = format_of(x)
    bits = x.bits(form.signed)
    k = (bits - ROOT_HALF_BITS[form.name]) >> form.mantissa
    f = (bits - (k << form.mantissa)).bits(form.dtype) - 1.0
    return Parts(k, k.cast(form.dtype), f)


def decompose(x: Expression) -> Parts:
    """For positive finite x."""
    form = format_of(x)
    scaled, small = normal(x)
    parts = take_apart(scaled)
    k = where(small, parts.k - form.digits, parts.k)
    return Parts(k, k.cast(form.dtype), parts.f)


def correction(f: Expression) -> Expression:
    """log(1 + f) - f."""
    if format_of(f).name == "f32":
        return (f * f) * fma(f, polynomial(f, coefficients.LOG1P["f32"]), -0.5)
    square = exact_product(f * 0.5, f)
    return -square.high + curvature(f, square)


def curvature(f: Expression, square: Double) -> Expression:
    """log(1 + f) - f + square.high, given square = f**2/2: s (f**2/2 + s**2 p(s**2)) with s = f/(2 + f) (fdlibm)."""
    s = f / (f + 2.0)
    z = s * s
    return fma(s, fma(z, polynomial(z, coefficients.ATANH[format_of(f).name]), square.high), -square.low)


def finish(x: Expression, result: Expression) -> Expression:
    """The result where x is positive and finite; else what IEEE 754 says of logarithms."""
    infinity = float("inf")
    other = where(x.same(0.0), -infinity, where(x < 0.0, float("nan"), x))
    return where((x > 0.0) & (x < infinity), result, other)


def log(x: Expression) -> Expression:
    ln2 = coefficients.LN2[format_of(x).name]
    parts = decompose(x)
    whole = exact_product(parts.n, ln2[0])
    head = quick_sum(whole.high, parts.f)
    low = head.low + fma(parts.n, ln2[1], whole.low)
    return finish(x, head.high + (low + correction(parts.f)))


def scaled_log(x: Expression, factor: tuple[float, ...], step: tuple[float, ...]) -> Expression:
    """log(x) * factor, where log(2) * factor = step, both in two parts."""
    parts = decompose(x)
    f = parts.f
    square = exact_product(f * 0.5, f)
    head = quick_sum(f, -square.high)
    low = head.low + curvature(f, square)
    natural = quick_sum(head.high, low)
    product = exact_product(natural.high, factor[0])
    tail = product.low + fma(natural.high, factor[1], natural.low * factor[0])
    whole = exact_product(parts.n, step[0])
    total = quick_sum(whole.high, product.high)
    return finish(x, total.high + (total.low + (tail + fma(parts.n, step[1], whole.low))))


def log2(x: Expression) -> Expression:
    return scaled_log(x, coefficients.LOG2E[format_of(x).name], (1.0, 0.0))


def log10(x: Expression) -> Expression:
    kind = format_of(x).name
    return scaled_log(x, coefficients.LOG10E[kind], coefficients.LOG10_2[kind])


def log1p(x: Expression) -> Expression:
    """1 + x = u + c exactly, u rounded: log(u) as above, with c/u as a further part of f."""
    form = format_of(x)
    ln2 = coefficients.LN2[form.name]
    one = exact_sum(x.constant(1.0), x)
    parts = take_apart(one.high)
    down = power_of_two((-parts.k).most(-form.bias + 2))
    rest = one.low * down  # of 1 + f; its share of the logarithm is rest / (1 + f)
    rest = where(parts.k.same(0), one.low, rest)
    f = quick_sum(parts.f, rest)
    whole = exact_product(parts.n, ln2[0])
    head = exact_sum(whole.high, f.high)
    low = head.low + fma(parts.n, ln2[1], whole.low)
    share = f.low / (f.high + 1.0)
    result = head.high + (low + (share + correction(f.high)))
    infinity = float("inf")
    other = where(x.same(-1.0), -infinity, where(x < -1.0, float("nan"), x))
    usable = (x > -1.0) & (x < infinity) & (abs(x) > 2.0**-form.digits)
    return where(usable, result, other)
