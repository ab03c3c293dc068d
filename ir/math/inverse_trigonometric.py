"""asin, acos, atan and atan2: an odd minimax polynomial near 0, and identities that lead there.

The polynomial's argument is held in two parts wherever it is computed; multiples of pi/4 are added in two parts.
"""

from __future__ import annotations

from vmc.ir.math import coefficients
from vmc.ir.math.double_double import Double, choose, divide, exact_sum, quick_sum
from vmc.ir.math.expression import Expression, fma, polynomial, where
from vmc.ir.math.format import flip_sign, format_of, power_of_two, sign_bits, with_sign

TAN_EIGHTH = 0.41421356237309503
"""tan(pi/8); 1/tan(pi/8) is 2 more."""


def multiple_of_quarter_pi(like: Expression, count: int) -> Double:
    """count * pi/4 in two parts, for a power of two or 0."""
    high, low = coefficients.QUARTER_PI[format_of(like).name]
    return Double(like.constant(count * high), like.constant(count * low))


def odd_rest(s: Expression, z: Expression, family: dict[str, tuple[float, ...]]) -> Expression:
    """s z p(z)."""
    return (s * z) * polynomial(z, family[format_of(s).name])


def root(z: Expression) -> Double:
    """sqrt(z) in two parts, also for 0."""
    high = z.sqrt()
    return Double(high, fma(-high, high, z) / (high + high).at_least(2.0**-60))


def add_in_parts(base: Double, high: Expression, low: Expression) -> Expression:
    """base + high + low where |base| >= |high| or base is 0."""
    head = quick_sum(base.high, high)
    return head.high + (head.low + (base.low + low))


def asin(x: Expression) -> Expression:
    """Beyond 1/2: pi/2 - 2 asin(sqrt((1 - |x|)/2))."""
    size = abs(x)
    far = size > 0.5
    z = where(far, (1.0 - size) * 0.5, size * size)
    s = root(z)
    rest = odd_rest(where(far, s.high, size), z, coefficients.ASIN)
    near = size + rest
    beyond = add_in_parts(multiple_of_quarter_pi(x, 2), s.high * -2.0, (s.low + rest) * -2.0)
    return with_sign(where(far, beyond, near), sign_bits(x))


def acos(x: Expression) -> Expression:
    """pi/2 - asin(x); beyond 1/2: 2 asin(sqrt((1 - x)/2)); beyond -1/2: pi - acos(-x)."""
    size = abs(x)
    far = size > 0.5
    z = where(far, (1.0 - size) * 0.5, size * size)
    s = root(z)
    rest = odd_rest(where(far, s.high, x), z, coefficients.ASIN)
    near = add_in_parts(multiple_of_quarter_pi(x, 2), -x, -rest)
    double = (s.low + rest) * 2.0
    left = add_in_parts(multiple_of_quarter_pi(x, 4), s.high * -2.0, -double)
    return where(far, where(x < 0.0, left, s.high * 2.0 + double), near)


def arctangent(base: Double, t: Double) -> Expression:
    """base + atan(t) for |t| <= tan(pi/8)."""
    z = t.high * t.high
    return add_in_parts(base, t.high, fma(-z, t.low, t.low) + odd_rest(t.high, z, coefficients.ATAN))


def atan(x: Expression) -> Expression:
    """atan(x), pi/4 + atan((x - 1)/(x + 1)) or pi/2 - atan(1/x), whichever argument is small."""
    size = abs(x).at_most(2.0 ** (format_of(x).digits + 4))
    one = size.constant(1.0)
    near, middle = size < TAN_EIGHTH, size < TAN_EIGHTH + 2.0
    zero = one.constant(0.0)
    numerator = choose(near, Double(size, zero), choose(middle, exact_sum(size, -one), Double(-one, zero)))
    denominator = choose(near, Double(one, zero), choose(middle, exact_sum(size, one), Double(size, zero)))
    turns = [multiple_of_quarter_pi(x, count) for count in (0, 1, 2)]
    base = choose(near, turns[0], choose(middle, turns[1], turns[2]))
    return with_sign(arctangent(base, divide(numerator, denominator)), sign_bits(x))


def near_one(a: Expression, b: Expression) -> tuple[Expression, Expression]:
    """Two numbers >= 0 of the same ratio, so near 1 that nothing overflows; 0/0 as 0/1, and infinities as ones."""
    form = format_of(a)
    larger = a.most(b)
    exponent = larger.bits(form.signed) >> form.mantissa
    factor = power_of_two(form.bias - exponent.most(1).least(2 * form.bias - 1))
    infinite = larger.same(float("inf"))
    up = where(infinite, where(a.same(larger), a.constant(1.0), 0.0), a * factor)
    down = where(infinite, where(b.same(larger), b.constant(1.0), 0.0), b * factor)
    return up, where(larger.same(0.0), down.constant(1.0), down)


def atan2(y: Expression, x: Expression) -> Expression:
    """The angle of the point (x, y): as atan(|y|/|x|), mirrored by the signs."""
    form = format_of(x)
    up, down = near_one(abs(y), abs(x))
    left = sign_bits(x).differs(0)
    zero = up.constant(0.0)
    near, middle = up < down * TAN_EIGHTH, up < down * (TAN_EIGHTH + 2.0)
    numerator = choose(near, Double(up, zero), choose(middle, exact_sum(up, -down), Double(-down, zero)))
    denominator = choose(near, Double(down, zero), choose(middle, exact_sum(up, down), Double(up, zero)))
    t = divide(numerator, denominator)
    turns = [multiple_of_quarter_pi(x, count) for count in (0, 1, 2, 4)]
    high, low = coefficients.THREE_QUARTERS_PI[form.name]
    right = choose(near, turns[0], choose(middle, turns[1], turns[2]))
    mirrored = choose(near, turns[3], choose(middle, t.constant(high, low), turns[2]))
    turned = choose(left, -t, t)
    result = arctangent(choose(left, mirrored, right), turned)
    ratio = abs(y) / abs(x)  # where that is the result rounded, it may be subnormal: divide once
    narrow = abs(y) * 2.0 ** (form.digits // 2 + 4) < abs(x)
    straight = narrow & ~left & (abs(x) < float("inf"))
    return flip_sign(where(straight, ratio, result), sign_bits(y))
