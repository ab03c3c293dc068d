"""Tiles as functions of the codes of one tile of at most 8 bits, known by trying all codes.

    cast u4 -> f32, minus 8            16 results, one for each code
    exp2(cast f4e2m1 -> f32)           16 results

An elementwise operation on such functions of one tile, and on constants, is such a function, and so is a look-up in a
constant table. What it gives is found by executing the operations' own definitions. Operations that move elements are
remembered, since they commute with all of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vmc.ir.builder import make_op
from vmc.ir.core import Op, TileType, Value
from vmc.ir.evaluate import Array
from vmc.ir.passes.effects import is_mergeable
from vmc.ir.passes.evaluator import NotConstantError, evaluate
from vmc.ir.passes.fold import array_of
from vmc.ir.passes.narrow import MOVING

WIDEST = 8
"""Bits of the codes that are tried."""
CONSTANT = ("constant", "table")


@dataclass(frozen=True, eq=False)
class Function:
    """A tile whose element is `table[code]` of the element of `source`, after `moves` in this order.

    `table` is held as executors hold tiles of the result's dtype.
    """

    source: Value
    table: Array
    moves: tuple[Op, ...] = ()


def is_small(value: Value) -> bool:
    """Whether a tile's codes are few enough to try."""
    return value.tile.dtype.width <= WIDEST


def identity(value: Value) -> Function:
    """A small tile as a function of itself."""
    type = value.tile.dtype
    return Function(value, type.from_codes(type.codes()))


class Composer:
    """Makes the function of an operation's result from those of its operands, where there is one."""

    def __init__(self, producer: Callable[[Value], Op | None], function: Callable[[Value], Function | None]) -> None:
        self.producer = producer
        self.function = function

    def __call__(self, op: Op) -> Function | None:
        """The function of the only result of an operation; None where it depends on more than one small tile."""
        if not op.operands or not is_mergeable(op) or op.definition.reads_memory:
            return None
        if op.name in MOVING:
            inner = self.function(op.operands[0])
            return inner and replace(inner, moves=(*inner.moves, op))
        if op.name == "take":
            return self.look_up(op)
        return self.elementwise(op) if op.definition.elementwise else None

    def look_up(self, op: Op) -> Function | None:
        """Elements of a constant table of rank 1, chosen by a function."""
        table, index = op.operands
        constant, inner = self.producer(table), self.function(index)
        if constant is None or constant.name not in CONSTANT or inner is None or table.tile.rank != 1:
            return None
        return evaluated(op, [Value(table.type), tabled(index, inner)], [array_of(constant), inner.table], inner)

    def elementwise(self, op: Op) -> Function | None:
        """An operation on functions of one tile under the same moves, and on uniform constants."""
        first = next((inner for inner in map(self.function, op.operands) if inner is not None), None)
        if first is None:
            return None
        arrays = [self.array(value, first) for value in op.operands]
        known = [array for array in arrays if array is not None]
        if len(known) < len(arrays):
            return None
        return evaluated(op, [tabled(value, first) for value in op.operands], known, first)

    def array(self, value: Value, like: Function) -> Array | None:
        """An element of an operand for each code of a function's source; None where something else has a say."""
        inner, producer = self.function(value), self.producer(value)
        if inner is not None:
            return inner.table if inner.source is like.source and inner.moves == like.moves else None
        if producer is None or producer.name != "constant":
            return None
        return array_of(make_op("constant", (), {"type": tabled(value, like).tile, "code": producer.attrs["code"]}))


def evaluated(op: Op, operands: Sequence[Value], arrays: Sequence[Array], inner: Function) -> Function | None:
    """The operation on all codes; None where it would fail on one."""
    try:
        (table,) = evaluate(make_op(op.name, operands, op.attrs), arrays)
    except NotConstantError:
        return None
    return replace(inner, table=table)


def tabled(value: Value, function: Function) -> Value:
    """A stand-in for a value that has one element for each code."""
    return Value(TileType(value.tile.dtype, function.table.shape))
