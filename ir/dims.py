"""Tensor extents: integers, or expressions over the symbols that a launch binds.

A tensor parameter `scale: f16[K // 128, N]` has the extents `Floordiv(K, 128)` and `N`. They are built with
`binary`, which folds constants, printed as source text, and evaluated once the symbols have values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OPERATORS = ("+", "-", "*", "//", "%", "cdiv", "min", "max")


@dataclass(frozen=True, slots=True)
class Sym:
    """A symbol, bound at launch to a non-negative integer."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class DimOp:
    """A binary expression of extents; `operator` is one of `OPERATORS`."""

    operator: str
    left: Dim
    right: Dim

    def __str__(self) -> str:
        if self.operator in ("cdiv", "min", "max"):
            return f"{self.operator}({self.left}, {self.right})"
        return f"({self.left} {self.operator} {self.right})"


Dim = int | Sym | DimOp


def fold(operator: str, left: int, right: int) -> int:
    """The value of one operation on integers. Raises ZeroDivisionError on a zero divisor."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//":
            return left // right
        case "%":
            return left % right
        case "cdiv":
            return -(-left // right)
        case "min":
            return min(left, right)
        case "max":
            return max(left, right)
    raise ValueError(f"unknown extent operator {operator!r}")


def binary(operator: str, left: Dim, right: Dim) -> Dim:
    """Builds an extent, folding what is constant or neutral. Raises ZeroDivisionError on a constant zero divisor."""
    if isinstance(left, int) and isinstance(right, int):
        return fold(operator, left, right)
    if (operator, right) in (("+", 0), ("-", 0), ("*", 1), ("//", 1), ("cdiv", 1)):
        return left
    if (operator, left) in (("+", 0), ("*", 1)):
        return right
    return DimOp(operator, left, right)


def symbols(dim: Dim) -> tuple[str, ...]:
    """The names that an extent mentions, in order of first appearance."""
    match dim:
        case Sym(name):
            return (name,)
        case DimOp(_, left, right):
            return tuple(dict.fromkeys(symbols(left) + symbols(right)))
    return ()


def evaluate(dim: Dim, bindings: Mapping[str, int]) -> int:
    """The extent's value. Raises KeyError for an unbound symbol and ZeroDivisionError for a zero divisor."""
    match dim:
        case Sym(name):
            return bindings[name]
        case DimOp(operator, left, right):
            return fold(operator, evaluate(left, bindings), evaluate(right, bindings))
    assert isinstance(dim, int)
    return dim
