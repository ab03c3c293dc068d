"""Right factors that are codes minus something of each column: zero points read from a tensor.

    q @ (f(w) - z)    =    q @ f(w)  -  rowsum(q) * z        z: one number for each column

so the codes themselves are multiplied, and z goes where the least number of a factor goes, into what the sums start
from. Without this, the difference is computed for every weight.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.core import Op, Value
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.integers.exact import Exact, apply, holds
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.integers.functions import Function


@dataclass(frozen=True, eq=False)
class Column:
    """A tile [N] or [1, N] of integers in `exact`, times `sign`."""

    value: Value
    sign: int
    exact: Exact


def of_columns(value: Value, facts: Facts) -> tuple[Value, Function, Column] | None:
    """A function of codes, as a value and as such, and the column whose sum is the tile; None where it is no such sum
    of integers.
    """
    inner = unwidened(value, facts)
    op = facts.producer(inner)
    if op is None or op.name not in ("add", "sub") or is_pinned(op):
        return None
    a, b = op.operands
    sign = -1 if op.name == "sub" else 1
    for codes, other in ((a, b), (b, a)) if op.name == "add" else ((a, b),):
        function, column = facts.function(codes), of_column(other, sign, facts)
        if function is not None and column is not None and is_exact(op, facts):
            return codes, function, column
    return None


def unwidened(value: Value, facts: Facts) -> Value:
    """The tile before the casts that keep all its numbers."""
    while True:
        op = facts.producer(value)
        if op is None or op.name != "cast" or is_pinned(op):
            return value
        exact = facts.exact(op.operands[0])
        if exact is None or not holds(value.tile.dtype, exact):
            return value
        value = op.operands[0]


def of_column(value: Value, sign: int, facts: Facts) -> Column | None:
    """A tile that repeats one row of integers downwards."""
    inner = unwidened(value, facts)
    exact, op = facts.exact(inner), facts.producer(inner)
    if exact is None or exact.shift or op is None or op.name != "broadcast" or is_pinned(op):
        return None
    source = op.operands[0]
    rows = source.tile.shape[:-1]
    if source.tile.rank == 0 or source.tile.shape[-1] != value.tile.shape[-1] or any(extent != 1 for extent in rows):
        return None
    return Column(source, sign, exact)


def is_exact(op: Op, facts: Facts) -> bool:
    """Whether the sum neither rounds nor wraps."""
    a, b = (facts.exact(operand) for operand in op.operands)
    return a is not None and b is not None and facts.exact(op.result) == apply(op.name, a, b)
