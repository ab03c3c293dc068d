"""sin, cos and tan: the argument is reduced to |r| <= pi/4 (see `reduction`), then minimax polynomials in r**2."""

from __future__ import annotations

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import Double, choose, divide, exact_product, quick_sum
from vmc.ir.math.expression import Expression, fma, polynomial, where
from vmc.ir.math.format import flip_sign, format_of, is_finite, sign_bits
from vmc.ir.math.reduction import reduce


def sine(r: Double) -> Double:
    """sin(r) for |r| <= pi/4; the low part may overlap the high one."""
    z = r.high * r.high
    cubic = (r.high * z) * polynomial(z, coefficients.SIN[format_of(z).name])
    return Double(r.high, cubic + fma(z * -0.5, r.low, r.low))


def cosine(r: Double) -> Double:
    """cos(r) for |r| <= pi/4; the low part may overlap the high one."""
    half = exact_product(r.high * -0.5, r.high)
    z = r.high * r.high
    head = quick_sum(z.constant(1.0), half.high)
    quartic = fma(z * z, polynomial(z, coefficients.COS[format_of(z).name]), half.low)
    return Double(head.high, head.low + fma(-r.high, r.low, quartic))


def by_quadrant(x: Expression, shift: int, sign: Expression) -> Expression:
    """sin(|x| + shift quarter turns), with the sign bit flipped by `sign`; NaN for infinite x."""
    form = format_of(x)
    angle = reduce(abs(x))
    quadrant = angle.quadrant + shift
    result = choose((quadrant & 1).differs(0), cosine(angle.rest), sine(angle.rest)).value()
    half_turn = (quadrant.bits(form.unsigned) & 2) << (form.dtype.width - 2)
    return where(is_finite(x), flip_sign(result, half_turn ^ sign), x - x)


def sin(x: Expression) -> Expression:
    return by_quadrant(x, 0, sign_bits(x))


def cos(x: Expression) -> Expression:
    return by_quadrant(x, 1, sign_bits(x) & 0)


def tan(x: Expression) -> Expression:
    """sin/cos, or -cos/sin in odd quadrants, both in two parts."""
    form = format_of(x)
    angle = reduce(abs(x))
    odd = angle.quadrant & 1
    crossed = odd.differs(0)
    s, c = (quick_sum(part.high, part.low) for part in (sine(angle.rest), cosine(angle.rest)))
    result = divide(choose(crossed, c, s), choose(crossed, s, c)).value()
    turned = odd.bits(form.unsigned) << (form.dtype.width - 1)
    return where(is_finite(x), flip_sign(result, turned ^ sign_bits(x)), x - x)
