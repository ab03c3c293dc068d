"""Scalars as extents: what the preamble and a block compute from symbols and constants, as a `Dim`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from vmc.ir.builder import Builder
from vmc.ir.core import Op, Value
from vmc.ir.dims import Dim, DimOp, Sym, binary

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "min": "min", "max": "max"}
NAMES = {operator: name for name, operator in OPERATORS.items()}


def extent_of(value: Value, producers: Mapping[Value, Op]) -> Dim | None:
    """The number as an expression over symbols; None where it depends on more, or might wrap or divide by zero."""
    op = producers.get(value)
    match op.name if op is not None else "":
        case "constant":
            assert op is not None
            return int(value.tile.dtype.decode(op.attrs["code"])[()])
        case "symbol":
            assert op is not None
            return Sym(str(op.attrs["name"]))
        case "neg":
            assert op is not None
            return negative(op.operands[0], producers)
        case name if name in OPERATORS:
            assert op is not None
            left, right = (extent_of(operand, producers) for operand in op.operands)
            return None if left is None or right is None else combined(OPERATORS[name], left, right)
    return None


def negative(value: Value, producers: Mapping[Value, Op]) -> Dim | None:
    """Minus a number. `-(-a // b)` is a quotient rounded up."""
    dim = extent_of(value, producers)
    match dim:
        case None:
            return None
        case DimOp("//", DimOp("-", 0, dividend), divisor):
            return binary("cdiv", dividend, divisor)
    return binary("-", 0, dim)


def combined(operator: str, left: Dim, right: Dim) -> Dim | None:
    """An expression, unless it multiplies symbols or divides by what may be 0."""
    if operator == "*" and isinstance(left, int):
        left, right = right, left
    if operator == "*" and not isinstance(right, int):
        return None
    if operator in ("//", "%") and not (isinstance(right, int) and right > 0):
        return None
    return binary(operator, left, right)


def at_least_zero(dim: Dim) -> Dim:
    """The extent, or 0 where it is less."""
    return dim if is_nonnegative(dim) else binary("max", dim, 0)


def is_nonnegative(dim: Dim) -> bool:
    """Whether an extent is plainly not below 0."""
    match dim:
        case Sym():
            return True
        case DimOp("max", left, right):
            return is_nonnegative(left) or is_nonnegative(right)
        case DimOp(operator, left, right):
            return operator != "-" and is_nonnegative(left) and is_nonnegative(right)
    return dim >= 0


def turns_of(loop: Op, producers: Mapping[Value, Op]) -> Dim | None:
    """The number of a counted loop's iterations; None where it is no extent, or the step is not a positive constant."""
    low, high, step = (extent_of(bound, producers) for bound in loop.operands[:3])
    if low is None or high is None or not isinstance(step, int) or step < 1:
        return None
    return at_least_zero(binary("cdiv", binary("-", high, low), step))


def value_of(build: Builder, dim: Dim) -> Value:
    """An extent, computed: the inverse of `extent_of`."""
    match dim:
        case Sym(name):
            return build("symbol", name=name)
        case DimOp("cdiv", left, right):
            below = build("neg", value_of(build, left))
            return build("neg", build("floordiv", below, value_of(build, right)))
        case DimOp(operator, left, right):
            return build(NAMES[operator], value_of(build, left), value_of(build, right))
    return build.index(dim)
