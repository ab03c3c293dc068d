"""lgamma(x) = log|gamma(x)|.

With a = |x|: for a < 7.5, a = m + t with an integer m and |t| <= 1/2, and gamma(a) = gamma(2 + t) times or over a few
factors, so lgamma(a) is t p(t) plus or minus the logarithm of their product; beyond, Stirling's series. Negative x:
gamma(x) gamma(-x) = -pi / (x sin(pi x)), whose logarithm shares the product's. All of it in f64 and in two parts.

f64 results for x < -2 come from a difference: where |lgamma(x)| < 1 there, the error is relative to 1.
"""

from __future__ import annotations

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import (
    Double,
    add,
    add_single,
    choose,
    divide,
    exact_sum,
    multiply,
    multiply_single,
    quick_sum,
)
from vmc.ir.math.double_logarithm import double_log, log_of_double
from vmc.ir.math.expression import Expression, polynomial, where
from vmc.ir.math.trigonometric import cosine, sine

STIRLING_FROM = 7.5
HUGE = 2.0**900
INFINITY = float("inf")


def lgamma(x: Expression) -> Expression:
    """f32 is computed in f64 and rounded once more."""
    return lgamma64(x.cast("f64")).cast(x.dtype)


def plain(x: Expression) -> Double:
    return Double(x, x.constant(0.0))


def near_two(t: Expression) -> Double:
    """log(gamma(2 + t)) for |t| <= 1/2."""
    parts = coefficients.LGAMMA["f64"]
    result = plain(polynomial(t, parts[6:]))
    for place in (4, 2, 0):
        result = add(multiply_single(result, t), result.constant(parts[place], parts[place + 1]))
    return multiply_single(result, t)


def factors(a: Expression, m: Expression) -> Double:
    """(a - 1)(a - 2)...(a - m + 2): what gamma(a) has more than gamma(a - m + 2); 1 up to m = 2."""
    product = plain(where(m > 2.0, a - 1.0, a.constant(1.0)))
    for place in range(2, 6):
        product = multiply_single(product, where(m > place + 1.0, a - float(place), a.constant(1.0)))
    return product


def sine_of_turns(a: Expression) -> Double:
    """|sin(pi a)| / pi, relative to its size."""
    d = abs(a - a.rint())
    far = d > 0.25
    angle = multiply_single(plain(d).constant(*coefficients.PI["f64"]), where(far, 0.5 - d, d))
    kernel = choose(far, cosine(angle), sine(angle))

    value = multiply(quick_sum(kernel.high, kernel.low), plain(d).constant(*coefficients.INVERSE_PI["f64"]))
    return choose(d < 2.0**-30, plain(d), value)


def small(a: Expression, negative: Expression, turns: Double) -> Double:
    """lgamma(+-a) for 0 < a < 7.5."""
    m = a.rint()
    t = a - m
    above = exact_sum(a.constant(1.0), a)
    product = factors(a, m)
    positive = choose(m < 2.0, plain(a), product)
    positive = choose(m < 1.0, multiply_single(above, a), positive)
    mirrored = choose(m < 2.0, turns, multiply(multiply_single(turns, a), product))
    mirrored = choose(m < 1.0, divide(turns, above), mirrored)
    logarithm = log_of_double(choose(negative, mirrored, positive))
    shape = near_two(t)
    minus = negative | (m < 2.0)
    return add(choose(negative, -shape, shape), choose(minus, -logarithm, logarithm))


def stirling(a: Expression) -> Double:
    """log(gamma(a)) for a >= 7.5; for a > HUGE of a number whose log(gamma) is 2**-100 times as large."""
    size = where(a > HUGE, a * 2.0**-100, a)
    logarithm = add_single(double_log(a), a.constant(-1.0))
    product = multiply(exact_sum(size, size.constant(-0.5)), logarithm)
    inverse = 1.0 / a
    series = inverse * polynomial(inverse * inverse, coefficients.STIRLING["f64"])
    high, low = coefficients.HALF_LOG_2PI["f64"]
    constant = add_single(product.constant(high, low), a.constant(-0.5))
    return add(product, add_single(constant, series))


def lgamma64(x: Expression) -> Expression:
    a = abs(x)
    negative = x < 0.0
    inside = a.at_least(2.0**-1074).at_most(2.0**1023)
    turns = sine_of_turns(inside)
    near = small(inside.at_most(STIRLING_FROM), negative, turns)
    positive = stirling(inside.at_least(STIRLING_FROM))
    reflected = -add(positive, log_of_double(multiply_single(turns, inside)))
    far = choose(negative, reflected, positive)
    result = choose(a < STIRLING_FROM, near, far).value()
    result = where(inside > HUGE, result * 2.0**100, result)
    pole = a.same(0.0) | (negative & a.rint().same(a))
    return where(pole | a.same(INFINITY), a.constant(INFINITY), result)
