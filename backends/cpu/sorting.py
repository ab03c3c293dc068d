"""Stable sorting of lines: a bottom-up merge sort of (element, place) pairs between two pairs of buffers.

Each pass merges neighbouring runs of `width` sorted elements, output position after output position; the cursors of the
two runs are carried from one position to the next and set back where a new pair of runs begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu.elements import I32, I64
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.reductions import axis_of, sort_key
from vmc.backends.cpu.tiles import Buffer, Index, Tile
from vmc.ir.core import Op
from vmc.ir.types import DType, dtype


@dataclass(frozen=True)
class Line:
    """A line to sort: its length, its dtype, and whether the largest comes first."""

    count: int
    dtype: DType
    descending: bool


def lower_sort(e: Emitter, op: Op) -> tuple[Tile, Tile]:
    source, axis = e.tile(op.operands[0]), axis_of(op)
    line = Line(source.shape[axis], source.dtype, bool(op.attrs["descending"]))
    places = dtype("i32")
    held, where = e.allocate(source.dtype, source.size), e.allocate(places, source.size)
    work = [e.allocate(type, line.count) for type in (source.dtype, places) for _ in range(2)]
    values, indices = work[:2], work[2:]
    others = source.shape[:axis] + source.shape[axis + 1 :]

    def each_line(index: Index) -> None:
        def at(place: ir.Value) -> Index:
            return (*index[:axis], place, *index[axis:])

        def read(place: ir.Value) -> None:
            e.write(values[0], place, e.at(source, at(place)))
            e.write(indices[0], place, e.b.trunc(place, I32))

        e.each(e.index(0), e.index(line.count), read)
        merge_passes(e, line, values, indices)

        def write(place: ir.Value) -> None:
            position = e.linear(at(place), source.shape)
            e.write(held, position, e.read(values[0], place))
            e.write(where, position, e.read(indices[0], place))

        e.each(e.index(0), e.index(line.count), write)

    e.nest(e.box(others), each_line)
    return e.settled_tile(source.dtype, source.shape, held), e.settled_tile(places, source.shape, where)


def merge_passes(e: Emitter, line: Line, values: Sequence[Buffer], indices: Sequence[Buffer]) -> None:
    """All passes, with the result in the first buffers. Two passes, there and back, are one turn of a loop."""
    passes = max(0, line.count - 1).bit_length()

    def turn(number: ir.Value) -> None:
        width = e.b.shl(e.index(1), e.mul(number, e.index(2)))
        merge(e, line, width, (values[0], indices[0]), (values[1], indices[1]))
        merge(e, line, e.mul(width, e.index(2)), (values[1], indices[1]), (values[0], indices[0]))

    e.each(e.index(0), e.index(-(-passes // 2)), turn)


def merge(
    e: Emitter, line: Line, width: ir.Value, source: tuple[Buffer, Buffer], target: tuple[Buffer, Buffer]
) -> None:
    """One pass: every pair of neighbouring sorted runs of `width` elements becomes one run."""
    b, count = e.b, e.index(line.count)
    pair = e.mul(width, e.index(2))
    mask = b.sub(e.index(0), pair)

    def least(value: ir.Value) -> ir.Value:
        return e.call("llvm.smin.i64", I64, value, count)

    def turn(place: ir.Value, cursors: Sequence[ir.Value]) -> list[ir.Value]:
        base = b.and_(place, mask)
        middle, end = least(b.add(base, width)), least(b.add(base, pair))
        fresh = b.icmp_unsigned("==", place, base)
        left, right = b.select(fresh, base, cursors[0]), b.select(fresh, middle, cursors[1])
        last = e.index(line.count - 1)
        a = e.read(source[0], e.call("llvm.smin.i64", I64, left, last))
        c = e.read(source[0], e.call("llvm.smin.i64", I64, right, last))
        only_right = b.icmp_signed(">=", left, middle)
        sooner = b.or_(only_right, sort_key(e, line.dtype, line.descending, a, c))
        take_right = b.and_(b.icmp_signed("<", right, end), sooner)
        chosen = b.select(take_right, right, left)
        e.write(target[0], place, b.select(take_right, c, a))
        e.write(target[1], place, e.read(source[1], chosen))
        step = b.zext(take_right, I64)
        return [b.add(left, b.sub(e.index(1), step)), b.add(right, step)]

    e.loop(e.index(0), count, [e.index(0), e.index(0)], turn)
