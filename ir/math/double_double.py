"""Numbers as unevaluated sums high + low, twice as precise as their dtype: error-free sums and products, and so on.

From Dekker (1971), Knuth, and Joldes, Muller, Popescu, "Tight and rigorous error bounds for basic building blocks of
double-word arithmetic" (ACM TOMS 44(2), 2017). Nothing here minds which of f32 and f64 it works in. Products assume
that the error term does not underflow.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.math.expression import Expression, fma, where


@dataclass(frozen=True)
class Double:
    """high + low, where `high` is the sum rounded to the dtype, unless said otherwise."""

    high: Expression
    low: Expression

    def value(self) -> Expression:
        """The sum, rounded."""
        return self.high + self.low

    def __neg__(self) -> Double:
        return Double(-self.high, -self.low)

    def scaled(self, factor: float) -> Double:
        """The product with a power of two."""
        return Double(self.high * factor, self.low * factor)

    def constant(self, high: float, low: float = 0.0) -> Double:
        """A constant of this one's dtype and shape."""
        return Double(self.high.constant(high), self.high.constant(low))


def choose(condition: Expression, a: Double, b: Double) -> Double:
    """a where the condition holds, else b."""
    return Double(where(condition, a.high, b.high), where(condition, a.low, b.low))


def quick_sum(a: Expression, b: Expression) -> Double:
    """a + b exactly, if a is 0 or |a| >= |b| (Dekker's Fast2Sum)."""
    total = a + b
    return Double(total, b - (total - a))


def exact_sum(a: Expression, b: Expression) -> Double:
    """a + b exactly (Knuth's TwoSum)."""
    total = a + b
    part = total - a
    return Double(total, (a - (total - part)) + (b - part))


def exact_product(a: Expression, b: Expression | float) -> Double:
    """a * b exactly."""
    other = a.operand(b)
    product = a * other
    return Double(product, fma(a, other, -product))


def add(a: Double, b: Double) -> Double:
    """a + b, to within a few units of the last bit of `low` (AccurateDWPlusDW)."""
    high = exact_sum(a.high, b.high)
    low = exact_sum(a.low, b.low)
    first = quick_sum(high.high, high.low + low.high)
    return quick_sum(first.high, first.low + low.low)


def add_single(a: Double, b: Expression) -> Double:
    """a + b for a plain b (DWPlusFP)."""
    high = exact_sum(a.high, b)
    return quick_sum(high.high, a.low + high.low)


def multiply(a: Double, b: Double) -> Double:
    """a * b (DWTimesDW)."""
    product = exact_product(a.high, b.high)
    cross = fma(a.low, b.high, fma(a.high, b.low, product.low))
    return quick_sum(product.high, cross)


def multiply_single(a: Double, b: Expression | float) -> Double:
    """a * b for a plain b (DWTimesFP)."""
    product = exact_product(a.high, b)
    return quick_sum(product.high, fma(a.low, b, product.low))


def divide(a: Double, b: Double) -> Double:
    """a / b by one division: the quotient of the high parts, and what it leaves times the reciprocal (DWDivDW2)."""
    reciprocal = 1.0 / b.high
    quotient = a.high * reciprocal
    rest = fma(-quotient, b.high, a.high) + fma(-quotient, b.low, a.low)
    return quick_sum(quotient, rest * reciprocal)
