"""pow(x, y) = e**(y log|x|), the logarithm to some 13 bits more than the dtype has, as its product with y may be large.

log(1 + f) = 2s + s**3 (2/3 + s**2 p(s**2)) with s = f/(2 + f), all but the polynomial p in two parts.
"""

from __future__ import annotations

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import (
    Double,
    add,
    divide,
    exact_product,
    exact_sum,
    multiply,
    multiply_single,
    quick_sum,
)
from vmc.ir.math.exponential import LIMITS, clamp, exponential
from vmc.ir.math.expression import Expression, polynomial, where
from vmc.ir.math.format import format_of, is_nan, scale, sign_bits, with_sign
from vmc.ir.math.logarithm import decompose


def double_log1p(f: Expression) -> Double:
    """log(1 + f) for sqrt(1/2) <= 1 + f <= sqrt(2)."""
    kind = format_of(f).name
    s = divide(Double(f, f.constant(0.0)), exact_sum(f.constant(2.0), f))
    z = multiply(s, s)
    high, low, *others = coefficients.ATANH_TAIL[kind]
    tail = exact_product(z.high, polynomial(z.high, others))
    factor = quick_sum(f.constant(high), tail.high)
    factor = quick_sum(factor.high, factor.low + (tail.low + low))
    return add(s.scaled(2.0), multiply(multiply(s, z), factor))


def double_log(x: Expression) -> Double:
    """log(x) for a positive finite x, relative to its own size."""
    high, low, _ = coefficients.LN2[format_of(x).name]
    parts = decompose(x)
    whole = exact_product(parts.n, high)
    whole = quick_sum(whole.high, whole.low + parts.n * low)
    return add(whole, double_log1p(parts.f))


def magnitude(size: Expression, y: Expression) -> Expression:
    """size**y for a positive finite size."""
    kind = format_of(size).name
    bounded = clamp(y, (-(2.0**33), 2.0**33) if kind == "f32" else (-(2.0**66), 2.0**66))
    product = multiply_single(double_log(size), bounded)
    high = clamp(product.high, LIMITS[kind])
    e = exponential(high, where(high.same(product.high), product.low, 0.0))
    head = quick_sum(e.high.constant(1.0), e.high)
    return scale(head.high + (head.low + e.low), e.k)


def pow(x: Expression, y: Expression) -> Expression:
    """x**y; special values as C17 F.10.4.4 says."""
    size, infinity = abs(x), float("inf")
    whole = y.trunc().same(y)
    half = y * 0.5
    odd = whole & half.trunc().differs(half)
    large = where(size > 1.0, y > 0.0, y < 0.0)
    extreme = size.same(0.0) | size.same(infinity) | abs(y).same(infinity)
    result = where(extreme, where(large, size.constant(infinity), 0.0), magnitude(size, y))
    result = where(size.same(1.0), size.constant(1.0), result)
    signed = with_sign(result, where(odd, sign_bits(x), 0))
    undefined = (x < 0.0) & ~whole & (size < infinity)
    signed = where(undefined | is_nan(x) | is_nan(y), x.constant(float("nan")), signed)
    return where(y.same(0.0) | x.same(1.0), x.constant(1.0), signed)
