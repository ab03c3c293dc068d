"""pow(x, y) = e**(y log|x|), with a logarithm so precise that its product with y still is (see `double_logarithm`)."""

from __future__ import annotations

from vmc.ir.math.double_double import multiply_single, quick_sum
from vmc.ir.math.double_logarithm import double_log
from vmc.ir.math.exponential import LIMITS, clamp, exponential
from vmc.ir.math.expression import Expression, where
from vmc.ir.math.format import format_of, is_nan, scale, sign_bits, with_sign


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
