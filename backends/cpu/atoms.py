"""Loads that are evaluated in atoms: blocks of a storage, and rows of plain tensors, guarded where they may end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from vmc.backends.cpu import address
from vmc.backends.cpu.decode import AHEAD, Blocks, is_decodable
from vmc.backends.cpu.elements import I1, I32, constant
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.memory import natural
from vmc.backends.cpu.tiles import At, Index, Origin, Tile
from vmc.backends.cpu.vectors import Atom, Place, interleaved, shifted, splat
from vmc.ir.core import Op, Storage

if TYPE_CHECKING:
    from vmc.backends.cpu.access import Slice


def load_in_atoms(e: Emitter, slice: Slice, op: Op) -> Tile | None:
    """A virtual tile of a slice, with a recipe for atoms; None where the slice has none."""
    if slice.tensor.type.storage is not None:
        return load_blocks(e, slice, op)
    if address.is_plain(slice.tensor) and slice.shape and slice.axes[-1] == len(slice.shape) - 1:
        return load_rows(e, slice, op) if slice.steps[-1] == 1 else None
    return None


def load_blocks(e: Emitter, slice: Slice, op: Op) -> Tile | None:
    """A slice of whole blocks of a storage that is decoded in atoms."""
    tensor = slice.tensor
    storage, width = tensor.type.storage, tensor.type.dtype.width
    assert storage is not None
    if None in slice.axes or tensor.bit_offset % 8 or not is_decodable(storage, width):
        return None
    grains = e.plan.multiples.granularity(op)
    if any(grain % size for grain, size in zip(grains, storage.block, strict=True)):
        return None
    first, counts, whole = [], [], []
    for start, extent, size, count in zip(slice.starts, tensor.extents, storage.block, slice.shape, strict=True):
        number = e.b.sdiv(start, e.index(size)) if not isinstance(start, ir.Constant) else e.divmod(start, size)[0]
        blocks = e.divmod(e.add(extent, e.index(size - 1)), size)[0]
        first.append(number)
        counts.append(blocks)
        whole.append(e.b.icmp_signed(">=", number, e.index(0)))
        whole.append(e.b.icmp_signed("<=", e.add(number, e.index(count // size)), blocks))
    ahead = bytes_ahead(e, slice, storage, first[0], counts[0]) if storage.dimensions == (1, 0) else None
    blocks = Blocks(tensor, (first[0], first[1]), (counts[0], counts[1]), int(str(op.attrs["fill"])), ahead)
    condition = whole[0]
    for each in whole[1:]:
        condition = e.b.and_(condition, each)
    tile = Tile(tensor.type.dtype, slice.shape, element_of(e, slice, op))
    tile.lanes = lambda place, atom: blocks.element(e, place, atom)
    tile.whole, tile.period = condition, storage.block[0]
    return with_origin(tile, slice, op)


def bytes_ahead(e: Emitter, slice: Slice, storage: Storage, first: ir.Value, count: ir.Value) -> ir.Value:
    """How far behind a slice the one is that a loop along the rows loads some turns later, AHEAD bytes or more; near
    the last row, what the columns beside it begin with. A strip of columns has `count` blocks, one after the other.
    """
    block = storage.pitch // 8
    rows, columns = (extent // size for extent, size in zip(slice.shape, storage.block, strict=True))
    turns = -(-AHEAD // (rows * block))
    past = e.b.icmp_signed(">=", e.add(first, e.index(turns * rows)), count)
    beside = e.mul(count, e.index((columns - 1) * block))
    return e.add(e.index(turns * rows * block), e.b.select(past, beside, e.index(0)))


def load_rows(e: Emitter, slice: Slice, op: Op) -> Tile:
    """A slice whose rows are runs of memory."""
    from vmc.backends.cpu.access import any_outside, row_address

    tile = Tile(slice.tensor.type.dtype, slice.shape, element_of(e, slice, op))
    tile.lanes = lambda place, atom: row_lanes(e, slice, op, place, atom)
    if not slice.whole:
        outside = any_outside(e, slice)
        absent = e.b.not_(slice.present) if slice.present is not None else ir.Constant(I1, 0)
        tile.whole = e.b.not_(e.b.or_(outside, absent))
    result = with_origin(tile, slice, op)
    if slice.whole:
        assert result.origin is not None
        result.origin = Origin(
            result.origin.scope, result.origin.starts, result.origin.sizes, result.origin.steps, row_address(e, slice)
        )
    return result


def with_origin(tile: Tile, slice: Slice, op: Op) -> Tile:
    tile.origin = Origin(slice.tensor.scope, op.operands[1:], op.attrs["sizes"], op.attrs["steps"])
    tile.sources = {tile: True}
    return tile


def element_of(e: Emitter, slice: Slice, op: Op) -> At:
    """The recipe for one element, the fill where it lies outside."""
    dtype = slice.tensor.type.dtype
    fill = constant(dtype, int(str(op.attrs["fill"])))

    def read(place: Index) -> ir.Value:
        return address.read_element(e, slice.tensor, slice.index(e, place))

    def at(place: Index) -> ir.Value:
        if slice.whole:
            return read(place)
        return e.choose(present(e, slice, place), fill.type, lambda: read(place), lambda: fill)

    return at


def present(e: Emitter, slice: Slice, place: Index) -> ir.Value:
    """Whether an element of the tile lies inside the tensor, as i1."""
    conditions = [] if slice.present is None else [slice.present]
    for spot, (low, high) in zip(place, slice.inside, strict=True):
        conditions.append(e.b.and_(e.b.icmp_signed(">=", spot, low), e.b.icmp_signed("<", spot, high)))
    result = conditions[0]
    for condition in conditions[1:]:
        result = e.b.and_(result, condition)
    return result


def row_lanes(e: Emitter, slice: Slice, op: Op, place: Place, atom: Atom) -> ir.Value:
    """An atom of a slice whose rows are runs of memory."""
    rows = [line(e, slice, op, shifted(place, -2, row) if row else place, atom.columns) for row in range(atom.rows)]
    return interleaved(e.b, rows)


def line(e: Emitter, slice: Slice, op: Op, place: Place, columns: int) -> ir.Value:
    index = tuple(map(e.spot, place))
    dtype = slice.tensor.type.dtype
    fill = constant(dtype, int(str(op.attrs["fill"])))
    if columns == 1:
        return element_of(e, slice, op)(index)
    pointer = address.plain_address(e, slice.tensor, slice.index(e, index))
    type = ir.VectorType(fill.type, columns)
    if not e.guarded or slice.whole:
        return e.load(slice.tensor.scope, pointer, type, natural(fill.type))
    mask, bytes = inside_mask(e, slice, index, columns), natural(fill.type)
    bits = ir.VectorType(ir.IntType(8 * bytes), columns)
    instead = ir.Constant(bits, ir.Constant(bits.element, int(str(op.attrs["fill"]))))
    name = f"llvm.masked.load.v{columns}i{8 * bytes}.p0"
    return e.b.bitcast(e.call(name, bits, pointer, ir.Constant(I32, bytes), mask, instead), type)


def inside_mask(e: Emitter, slice: Slice, index: Index, columns: int) -> ir.Value:
    """Which of the columns from an index on lie inside the tensor."""
    *rows, (low, high) = slice.inside
    words = ir.VectorType(I32, columns)
    start = e.b.trunc(e.sub(index[-1], low), I32)
    length = e.b.trunc(e.b.sub(high, low), I32)
    places = e.b.add(splat(e.b, start, columns), ir.Constant(words, list(range(columns))))
    mask = e.b.icmp_unsigned("<", places, splat(e.b, length, columns))
    for spot, (least, end) in zip(index[:-1], rows, strict=True):
        fits = e.b.and_(e.b.icmp_signed(">=", spot, least), e.b.icmp_signed("<", spot, end))
        mask = e.b.and_(mask, splat(e.b, fits, columns))
    return mask
