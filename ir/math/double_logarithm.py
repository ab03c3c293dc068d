"""log to twice the dtype's precision, nearly: 13 bits more than the dtype has, relative to the result.

log(1 + f) = 2s + s**3 (2/3 + s**2 p(s**2)) with s = f/(2 + f), all but the polynomial p in two parts.
"""

from __future__ import annotations

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import (
    Double,
    add,
    add_single,
    divide,
    exact_product,
    exact_sum,
    multiply,
    quick_sum,
)
from vmc.ir.math.expression import Expression, polynomial
from vmc.ir.math.format import format_of
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


def log_of_double(x: Double) -> Double:
    """log(x) for a positive finite x in two parts, high the rounded sum: log(high) + low/high."""
    return add_single(double_log(x.high), x.low / x.high)
