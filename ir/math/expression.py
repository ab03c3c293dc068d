"""Values under construction with the operators of arithmetic, so that an expansion reads like the mathematics.

    x = Expression(build, value)
    y = fma(x, x, 1.0).sqrt()        # emits constant, fma, sqrt into the builder

A number beside an expression becomes a constant of its dtype and shape. Comparisons give u1 expressions; `where`
selects. Equality is `same` and `differs`, since `==` on Python objects promises a bool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmc.ir.types import DType, dtype

if TYPE_CHECKING:
    from vmc.ir.builder import Builder
    from vmc.ir.core import Attr, Value

Operand = "Expression | float"


class Expression:
    """A value and the builder that its successors are emitted into."""

    __slots__ = ("build", "value")

    def __init__(self, build: Builder, value: Value) -> None:
        self.build = build
        self.value = value

    @property
    def dtype(self) -> DType:
        return self.value.tile.dtype

    def constant(self, number: float) -> Expression:
        """A constant of this expression's dtype and shape."""
        return Expression(self.build, self.build.like(self.value, number))

    def operand(self, other: Expression | float) -> Expression:
        """The other side of a binary operation."""
        return other if isinstance(other, Expression) else self.constant(other)

    def emit(self, name: str, *others: Expression | float, **attrs: Attr) -> Expression:
        """An operation on this expression and others."""
        values = [self.operand(other).value for other in others]
        return Expression(self.build, self.build(name, self.value, *values, **attrs))

    def __add__(self, other: Expression | float) -> Expression:
        return self.emit("add", other)

    def __radd__(self, other: float) -> Expression:
        return self.constant(other).emit("add", self)

    def __sub__(self, other: Expression | float) -> Expression:
        return self.emit("sub", other)

    def __rsub__(self, other: float) -> Expression:
        return self.constant(other).emit("sub", self)

    def __mul__(self, other: Expression | float) -> Expression:
        return self.emit("mul", other)

    def __rmul__(self, other: float) -> Expression:
        return self.constant(other).emit("mul", self)

    def __truediv__(self, other: Expression | float) -> Expression:
        return self.emit("div", other)

    def __rtruediv__(self, other: float) -> Expression:
        return self.constant(other).emit("div", self)

    def __neg__(self) -> Expression:
        return self.emit("neg")

    def __abs__(self) -> Expression:
        return self.emit("abs")

    def __and__(self, other: Expression | int) -> Expression:
        return self.emit("and", other)

    def __or__(self, other: Expression | int) -> Expression:
        return self.emit("or", other)

    def __xor__(self, other: Expression | int) -> Expression:
        return self.emit("xor", other)

    def __invert__(self) -> Expression:
        return self.emit("not")

    def __lshift__(self, count: Expression | int) -> Expression:
        return self.emit("shl", count)

    def __rshift__(self, count: Expression | int) -> Expression:
        return self.emit("shr", count)

    def __lt__(self, other: Expression | float) -> Expression:
        return self.emit("lt", other)

    def __le__(self, other: Expression | float) -> Expression:
        return self.emit("le", other)

    def __gt__(self, other: Expression | float) -> Expression:
        return self.emit("gt", other)

    def __ge__(self, other: Expression | float) -> Expression:
        return self.emit("ge", other)

    def same(self, other: Expression | float) -> Expression:
        """u1: equal as numbers (NaN equals nothing)."""
        return self.emit("eq", other)

    def differs(self, other: Expression | float) -> Expression:
        """u1: not `same`."""
        return self.emit("ne", other)

    def least(self, other: Expression | float) -> Expression:
        """The minimum of both; NaN if either is."""
        return self.emit("min", other)

    def most(self, other: Expression | float) -> Expression:
        """The maximum of both; NaN if either is."""
        return self.emit("max", other)

    def at_most(self, limit: float) -> Expression:
        """This, or a constant limit where it exceeds that; NaN stays. Cheaper than IEEE's minimum on most machines."""
        return where(self > limit, self.constant(limit), self)

    def at_least(self, limit: float) -> Expression:
        """This, or a constant limit where it is below that; NaN stays."""
        return where(self < limit, self.constant(limit), self)

    def sqrt(self) -> Expression:
        return self.emit("sqrt")

    def rint(self) -> Expression:
        """The nearest integer as a float, ties to even."""
        return self.emit("round")

    def floor(self) -> Expression:
        return self.emit("floor")

    def trunc(self) -> Expression:
        return self.emit("trunc")

    def cast(self, target: DType | str) -> Expression:
        """The value in another dtype, rounded to nearest even."""
        return Expression(self.build, self.build.cast(self.value, target))

    def bits(self, target: DType | str) -> Expression:
        """The same bits as another dtype of the same width."""
        kind = dtype(target)
        return self if self.dtype == kind else self.emit("bitcast", dtype=kind)


def fma(a: Expression, b: Expression | float, c: Expression | float) -> Expression:
    """a*b + c, rounded once."""
    return a.emit("fma", b, c)


def where(condition: Expression, a: Expression | float, b: Expression | float) -> Expression:
    """a where the u1 condition holds, else b; one of a and b is an expression."""
    if not isinstance(a, Expression):
        assert isinstance(b, Expression)
        return condition.emit("select", b.constant(a), b)
    return condition.emit("select", a, a.operand(b))


def polynomial(x: Expression, coefficients: Sequence[float]) -> Expression:
    """sum of coefficients[i] * x**i, by Horner's rule with fma."""
    result = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = fma(result, x, coefficient)
    return result
