"""Constants, and operations that move elements: recipes that ask their operand at another index."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from llvmlite import ir

from vmc.backends.cpu.address import constant_table
from vmc.backends.cpu.elements import I32, I64, code_type, constant, element_type, from_code, resize, step_to
from vmc.backends.cpu.emitter import Emitter, can_flat
from vmc.backends.cpu.lookup import can_look_up, look_up, look_up_words
from vmc.backends.cpu.tiles import Index, Lanes, Tile, moved_sources
from vmc.backends.cpu.vectors import (
    ROWS,
    Atom,
    Place,
    interleaved,
    repeated,
    rows_of,
    shifted,
    shuffle,
    splat,
    undefined,
)
from vmc.ir.core import Op, Table, TileType
from vmc.ir.types import DType


def lower_constant(e: Emitter, op: Op) -> tuple[Tile]:
    type, code = op.attrs["type"], op.attrs["code"]
    assert isinstance(type, TileType) and isinstance(code, int)
    return (e.splat(type.dtype, type.shape, constant(type.dtype, code)),)


def lower_table(e: Emitter, op: Op) -> tuple[Tile]:
    table = op.attrs["table"]
    assert isinstance(table, Table)
    dtype, type = table.dtype, code_type(table.dtype)
    numbers = [int(code) for code in table.array().reshape(-1)]
    memory = constant_table(e, type, numbers)

    def flat(position: ir.Value) -> ir.Value:
        place = step_to(e.b, memory, position, type, inbounds=True)
        return from_code(e.b, dtype, e.b.load(place, typ=type, align=type.width // 8))

    return (Tile(dtype, table.shape, lambda index: flat(e.linear(index, table.shape)), flat, cheap=True),)


def lower_iota(e: Emitter, op: Op) -> tuple[Tile]:
    dtype = op.result.tile.dtype

    def flat(position: ir.Value) -> ir.Value:
        return resize(e.b, position, element_type(dtype), signed=True)

    return (Tile(dtype, op.result.tile.shape, lambda index: flat(index[0]), flat, cheap=True),)


def moved(source: Tile, tile: Tile) -> Tile:
    """A recipe over `source` that reads it at other places."""
    return replace(tile, cheap=source.cheap, sources=moved_sources(source))


def lower_broadcast(e: Emitter, op: Op) -> tuple[Tile]:
    source, shape = e.tile(op.operands[0]), op.result.tile.shape
    if not source.shape:
        return (e.splat(source.dtype, shape, e.at(source, ())),)
    if not source.cheap and prod(shape) > source.size:
        e.settle(source)
    lead = len(shape) - len(source.shape)

    def at(index: Index) -> ir.Value:
        kept = zip(index[lead:], source.shape, strict=True)
        return e.at(source, tuple(e.index(0) if extent == 1 else place for place, extent in kept))

    result = moved(source, Tile(source.dtype, shape, at))
    result.lanes, result.inputs = broadcast_lanes(e, source, len(shape)), (source,)
    return (result,)


def broadcast_lanes(e: Emitter, source: Tile, rank: int) -> Lanes:
    """The recipe for atoms of a broadcast: a line of the source for all rows, or an element of it for all columns."""
    lead = rank - len(source.shape)

    def lanes(place: Place, atom: Atom) -> ir.Value:
        kept = zip(place[lead:], source.shape, strict=True)
        inner = tuple((None, 0) if extent == 1 else spot for spot, extent in kept)
        if source.shape[-1] == 1:
            rows = atom.rows if len(source.shape) > 1 and source.shape[-2] > 1 else 1
            column = e.vector(source, inner, Atom(rows, 1))
            return splat(e.b, column, atom.size) if rows == 1 else repeated_column(e, column, atom)
        if len(source.shape) > 1 and source.shape[-2] > 1:
            return e.vector(source, inner, atom)
        return repeated(e.b, e.vector(source, inner, atom.line), atom.rows)

    return lanes


def repeated_column(e: Emitter, column: ir.Value, atom: Atom) -> ir.Value:
    """The atom all of whose columns are one."""
    return shuffle(e.b, column, undefined(column.type), [i for _ in range(atom.columns) for i in range(atom.rows)])


def lower_transpose(e: Emitter, op: Op) -> tuple[Tile]:
    source, permutation = e.tile(op.operands[0]), op.attrs["permutation"]
    assert isinstance(permutation, tuple)
    places = [permutation.index(axis) for axis in range(len(permutation))]

    def at(index: Index) -> ir.Value:
        return e.at(source, tuple(index[place] for place in places))

    tile = Tile(source.dtype, op.result.tile.shape, at, transposed=source if permutation == (1, 0) else None)
    return (moved(source, tile),)


def lower_reshape(e: Emitter, op: Op) -> tuple[Tile]:
    source, shape = e.tile(op.operands[0]), op.result.tile.shape
    if [extent for extent in source.shape if extent != 1] == [extent for extent in shape if extent != 1]:
        return (with_ones(e, source, shape),)
    if not can_flat(source):
        source = e.settled_tile(source.dtype, source.shape, replace(e.settle(source), owned=False))
    return (reshaped(e, source, shape),)


def with_ones(e: Emitter, source: Tile, shape: tuple[int, ...]) -> Tile:
    """The same elements under a shape with other extents of 1."""

    def at(index: Index) -> ir.Value:
        places = iter([place for place, extent in zip(index, shape, strict=True) if extent != 1])
        return e.at(source, tuple(e.index(0) if extent == 1 else next(places) for extent in source.shape))

    flat = (lambda position: e.flat(source, position)) if can_flat(source) else None
    result = replace(moved(source, Tile(source.dtype, shape, at, flat)), sources=dict(source.sources))
    if source.shape[-1:] == shape[-1:] or (shape[-1:] == (1,) and source.shape != ()):
        result.lanes, result.inputs = with_ones_lanes(e, source, shape), (source,)
    return result


def with_ones_lanes(e: Emitter, source: Tile, shape: tuple[int, ...]) -> Lanes:
    """The recipe for atoms of a tile under a shape with other extents of 1. Rows are asked for one by one."""

    def line(place: Place, columns: int) -> ir.Value:
        places = iter([spot for spot, extent in zip(place, shape, strict=True) if extent != 1])
        inner = tuple((None, 0) if extent == 1 else next(places) for extent in source.shape)
        return e.vector(source, inner, Atom(1, columns))

    def lanes(place: Place, atom: Atom) -> ir.Value:
        rows = [line(shifted(place, -2, row) if row else place, atom.columns) for row in range(atom.rows)]
        return interleaved(e.b, rows) if atom.columns > 1 else gathered(e, rows)

    return lanes


def gathered(e: Emitter, elements: list[ir.Value]) -> ir.Value:
    """A vector of scalars; the scalar itself if it is alone."""
    if len(elements) == 1:
        return elements[0]
    result: ir.Value = undefined(ir.VectorType(elements[0].type, len(elements)))
    for place, element in enumerate(elements):
        result = e.b.insert_element(result, element, ir.Constant(I32, place))
    return result


def reshaped(e: Emitter, source: Tile, shape: tuple[int, ...]) -> Tile:
    """The same elements in row-major order under another shape; `can_flat` must hold."""

    def flat(position: ir.Value) -> ir.Value:
        return e.flat(source, position)

    result = moved(source, Tile(source.dtype, shape, lambda index: flat(e.linear(index, shape)), flat))
    return replace(result, sources=dict(source.sources))


def lower_slice(e: Emitter, op: Op) -> tuple[Tile]:
    source = e.tile(op.operands[0])
    starts, steps = op.attrs["starts"], op.attrs["steps"]
    assert isinstance(starts, tuple) and isinstance(steps, tuple)

    def at(index: Index) -> ir.Value:
        places = zip(index, starts, steps, strict=True)
        return e.at(source, tuple(e.add(e.mul(place, e.index(step)), e.index(start)) for place, start, step in places))

    return (moved(source, Tile(source.dtype, op.result.tile.shape, at)),)


def lower_flip(e: Emitter, op: Op) -> tuple[Tile]:
    source, axis = e.tile(op.operands[0]), int(str(op.attrs["axis"]))
    last = e.index(source.shape[axis] - 1)

    def at(index: Index) -> ir.Value:
        return e.at(source, (*index[:axis], e.b.sub(last, index[axis]), *index[axis + 1 :]))

    return (moved(source, Tile(source.dtype, source.shape, at)),)


def lower_concat(e: Emitter, op: Op) -> tuple[Tile]:
    """Copies the operands one after the other."""
    axis, result = int(str(op.attrs["axis"])), op.result.tile
    buffer = e.allocate(result.dtype, result.size)
    offset = 0
    for operand in op.operands:
        part = e.tile(operand)
        start = e.index(offset)

        def place(index: Index, part: Tile = part, start: ir.Value = start) -> None:
            value = e.at(part, index)
            moved = (*index[:axis], e.add(index[axis], start), *index[axis + 1 :])
            e.write(buffer, e.linear(moved, result.shape), value)

        e.nest(e.box(part.shape), place)
        offset += part.shape[axis]
    return (e.settled_tile(result.dtype, result.shape, buffer),)


def lower_take(e: Emitter, op: Op) -> tuple[Tile]:
    """A table looked up; an index outside is clamped."""
    source, index, axis = e.tile(op.operands[0]), e.tile(op.operands[1]), int(str(op.attrs["axis"]))
    if not source.cheap:
        e.settle(source)
    count = len(index.shape)
    last = e.index(source.shape[axis] - 1)

    def at(place: Index) -> ir.Value:
        chosen = e.at(index, place[axis : axis + count])
        wide = clamped_place(e, index.dtype, chosen, last)
        return e.at(source, (*place[:axis], wide, *place[axis + count :]))

    tile = Tile(source.dtype, op.result.tile.shape, at)
    tile.sources = {**moved_sources(source), **moved_sources(index)}
    table = constant_entries(e, op)
    if table is not None and can_look_up(e) and index.dtype.name == f"u{len(table).bit_length() - 1}":
        tile.lanes, tile.inputs, tile.period = take_lanes(e, tile, index, table), (index,), index.period
    return (tile,)


def constant_entries(e: Emitter, op: Op) -> list[int] | None:
    """The codes of a constant table of one axis, of 8 or 16 bits, that an operation looks up; None of others."""
    definer = e.plan.definer.get(op.operands[0])
    if definer is None or definer.name != "table":
        return None
    table = definer.attrs["table"]
    assert isinstance(table, Table)
    if len(table.shape) != 1 or table.dtype.width not in (8, 16):
        return None
    return [int(code) for code in table.array()]


def take_lanes(e: Emitter, tile: Tile, index: Tile, table: list[int]) -> Lanes:
    """The recipe for atoms of a table that is looked up: of whole atoms as the codes are decoded in, where rows of one
    are asked for.
    """

    def find(codes: ir.Value, rows: int) -> ir.Value:
        return look_up(e, table, codes) if tile.dtype.width == 8 else look_up_words(e, table, codes, rows)

    def lanes(place: Place, atom: Atom) -> ir.Value:
        if atom.size == 1:
            return e.at(tile, tuple(map(e.spot, place)))
        whole = Atom(ROWS, atom.columns)
        if index.period == 1 or atom == whole:
            return from_code(e.b, tile.dtype, find(e.vector(index, place, atom), atom.rows))
        row = place[-2][1]
        vector = e.vector(tile, shifted(place, -2, -(row % ROWS)), whole)
        return rows_of(e.b, vector, ROWS, range(row % ROWS, row % ROWS + atom.rows))

    return lanes


def clamped_place(e: Emitter, dtype: DType, element: ir.Value, last: ir.Value) -> ir.Value:
    """An index of any integer type as i64, brought into [0, last]."""
    wide = resize(e.b, element, I64, signed=not dtype.is_uint)
    if dtype.is_uint:
        return e.call("llvm.umin.i64", I64, wide, last)
    return e.clamp(wide, e.index(0), last)
