"""erf and erfc.

erf(x) is x + x p(x**2) near 0 and 1 - erfc(x) elsewhere. erfc(x) = e**(-x**2) g(x), where (1 + 2x) g(x) is a
polynomial in t = (x - K)/(x + K) on all of x >= 0 (Shepherd and Laframboise, Mathematics of Computation 36, 1981). erf
of f32 takes log(erfc(x)) as a polynomial instead, which is cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import Double, divide, exact_product, exact_sum, multiply, quick_sum
from vmc.ir.math.exponential import exponential, quick_exponential
from vmc.ir.math.expression import Expression, fma, polynomial, where
from vmc.ir.math.format import format_of, power_of_two, scale, sign_bits, with_sign

LIMIT = {"f32": 11.0, "f64": 28.0}
"""erfc rounds to 0 from here on."""
CENTRE = {"f32": 3.0, "f64": 4.0}
SHAPE = {"f32": coefficients.ERFC_F32["f32"], "f64": coefficients.ERFC_F64["f64"]}


@dataclass(frozen=True)
class Scaled:
    """mantissa * 2**k, the mantissa near 1."""

    mantissa: Double
    k: Expression


def scaled_erfc(x: Expression) -> Scaled:
    """erfc(x) for 0 <= x <= LIMIT."""
    kind = format_of(x).name
    square = exact_product(x, -x)
    e = exponential(square.high, square.low)
    power = quick_sum(x.constant(1.0), e.high)
    power = quick_sum(power.high, power.low + e.low)
    t = divide(exact_sum(x, x.constant(-CENTRE[kind])), exact_sum(x, x.constant(CENTRE[kind])))
    first, rest, *others = SHAPE[kind]
    slope = polynomial(t.high, others)
    product = exact_product(t.high, slope)
    shape = quick_sum(x.constant(first), product.high)
    shape = quick_sum(shape.high, shape.low + (fma(t.low, slope, product.low) + rest))
    quotient = divide(shape, exact_sum(x.constant(1.0), x + x))
    return Scaled(multiply(power, quotient), e.k)


def near_zero(size: Expression) -> Expression:
    """erf(x) for 0 <= x <= 7/8 in f32, 0 <= x <= 1/2 in f64."""
    kind = format_of(size).name
    family = coefficients.ERF if kind == "f32" else coefficients.ERF_CORE
    return fma(size, polynomial(size * size, family[kind]), size)


def erfc(x: Expression) -> Expression:
    size = abs(x)
    e = scaled_erfc(size.at_most(LIMIT[format_of(x).name]))
    value = e.mantissa.value()
    far = where(x < 0.0, 2.0 - scale(e.mantissa.high, e.k), scale(value, e.k))
    near = 1.0 - with_sign(near_zero(size.at_most(0.5)), sign_bits(x))
    return where(size < 0.46875, near, far)


def erf32(size: Expression) -> Expression:
    """erf(x) for 0 <= x <= 4, in f32."""
    first, *others = coefficients.LOG_ERFC["f32"]
    product = exact_product(-size, polynomial(size, others))
    exponent = exact_sum(product.high, size.constant(-first))
    e = quick_exponential(exponent.high, exponent.low + product.low)
    complement = (e.high + e.low + 1.0) * power_of_two(e.k)
    return where(size < 0.84375, near_zero(size), 1.0 - complement)


def erf64(size: Expression) -> Expression:
    """erf(x) for 0 <= x <= 6, in f64."""
    e = scaled_erfc(size)
    power = -power_of_two(e.k)
    head = quick_sum(size.constant(1.0), e.mantissa.high * power)
    return where(size < 0.5, near_zero(size), head.high + fma(e.mantissa.low, power, head.low))


def erf(x: Expression) -> Expression:
    size = abs(x)
    result = erf32(size.at_most(4.0)) if format_of(x).name == "f32" else erf64(size.at_most(6.0))
    return with_sign(result, sign_bits(x))
