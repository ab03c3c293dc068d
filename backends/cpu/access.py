"""Loads and stores of slices.

The part of a slice that lies inside the tensor is a box: per dimension a range [low, high) of tile positions, found
once. A load that is known to lie inside, of whole bytes, is virtual: it happens in the loop that uses it. Every other
load fills a buffer, rows of narrow elements by `rows`. Nothing outside the box is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from llvmlite import ir

from vmc.backends.cpu import address, atoms, planes, rows
from vmc.backends.cpu.elements import I1, I64, constant, element_size
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.memory import LINE
from vmc.backends.cpu.tiles import Buffer, Index, Origin, Tensor, Tile
from vmc.ir.core import Access, Op, Value
from vmc.ir.ops.memory import slice_shape


@dataclass(frozen=True)
class Slice:
    """A slice of a tensor: of each dimension where it starts, its step, and the axis of the tile that runs along it.

    `inside` is the box of tile positions that lie in the tensor, empty where a dimension without an axis lies outside;
    `whole` whether that is known to be the whole tile.
    """

    tensor: Tensor
    starts: tuple[ir.Value, ...]
    steps: tuple[int, ...]
    axes: tuple[int | None, ...]
    shape: tuple[int, ...]
    inside: tuple[tuple[ir.Value, ir.Value], ...]
    present: ir.Value | None
    whole: bool

    def index(self, e: Emitter, place: Index) -> Index:
        """The tensor's index at a tile position."""
        return tuple(
            start if axis is None else e.add(start, e.mul(place[axis], e.index(step)))
            for start, step, axis in zip(self.starts, self.steps, self.axes, strict=True)
        )


def make_slice(e: Emitter, tensor: Tensor, starts: Sequence[ir.Value], attrs: Mapping[str, Any]) -> Slice:
    """The slice that a load's or store's operands and attributes describe."""
    axes: list[int | None] = []
    inside: list[tuple[ir.Value, ir.Value]] = []
    present: ir.Value | None = None
    parts = zip(starts, attrs["sizes"], attrs["steps"], attrs["inbounds"], tensor.extents, strict=True)
    for start, size, step, claimed, extent in parts:
        if size is None:
            axes.append(None)
            if not claimed:
                present = both(e, present, within(e, start, extent))
        else:
            axes.append(len(inside))
            inside.append((e.index(0), e.index(size)) if claimed else valid_range(e, start, size, step, extent))
    if present is not None and inside:
        low, high = inside[0]
        inside[0] = low, e.b.select(present, high, low)
        present = None
    shape = slice_shape(attrs["sizes"])
    whole = present is None and all(is_whole(bounds, size) for bounds, size in zip(inside, shape, strict=True))
    return Slice(tensor, tuple(starts), attrs["steps"], tuple(axes), shape, tuple(inside), present, whole)


def within(e: Emitter, place: ir.Value, extent: ir.Value) -> ir.Value:
    """Whether 0 <= place < extent, as i1."""
    return e.b.icmp_unsigned("<", place, extent)


def both(e: Emitter, a: ir.Value | None, b: ir.Value) -> ir.Value:
    return b if a is None else e.b.and_(a, b)


def is_whole(bounds: tuple[ir.Value, ir.Value], size: int) -> bool:
    low, high = bounds
    static = isinstance(low, ir.Constant) and isinstance(high, ir.Constant)
    return static and low.constant == 0 and high.constant == size


def valid_range(e: Emitter, start: ir.Value, size: int, step: int, extent: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The tile positions j with 0 <= start + j * step < extent, as [low, high) inside [0, size]."""
    none, all_ = e.index(0), e.index(size)
    before = e.b.sub(none, start)
    after = e.b.sub(extent, start)
    if step > 1:
        before, after = (e.b.sdiv(e.b.add(value, e.index(step - 1)), e.index(step)) for value in (before, after))
    low = e.clamp(before, none, all_)
    return low, e.call("llvm.smax.i64", low.type, e.clamp(after, none, all_), low)


def any_outside(e: Emitter, slice: Slice) -> ir.Value:
    """Whether part of the tile lies outside the tensor, as i1."""
    outside: ir.Value = ir.Constant(I1, 0)
    for (low, high), size in zip(slice.inside, slice.shape, strict=True):
        full = e.b.icmp_signed("==", e.b.sub(high, low), e.index(size))
        outside = e.b.or_(outside, e.b.not_(full))
    return outside


# Load


def lower_load(e: Emitter, op: Op) -> tuple[Tile]:
    source = e.tensor(op.operands[0])
    slice = make_slice(e, source, [e.scalar(start) for start in op.operands[1:]], op.attrs)
    fill = constant(source.type.dtype, int(str(op.attrs["fill"])))
    if op.result in e.plan.driven:
        tile = atoms.load_in_atoms(e, slice, op)
        if tile is not None:
            return (tile,)
    return (load_slice(e, slice, fill, op.operands[1:], op.attrs),)


def load_slice(e: Emitter, slice: Slice, fill: ir.Value, starts: Sequence[Value], attrs: Mapping[str, Any]) -> Tile:
    """The slice as a tile, `fill` outside the tensor."""
    dtype = slice.tensor.type.dtype
    if not slice.shape:
        return e.splat(dtype, (), load_scalar(e, slice, fill))
    if slice.whole and address.is_plain(slice.tensor):
        tile = Tile(dtype, slice.shape, lambda place: address.read_element(e, slice.tensor, slice.index(e, place)))
        tile.origin = Origin(slice.tensor.scope, tuple(starts), attrs["sizes"], attrs["steps"], row_address(e, slice))
        tile.sources = {tile: True}
        return tile
    buffer = e.allocate(dtype, Tile(dtype, slice.shape).size)
    if is_one_run(slice):
        return e.settled_tile(dtype, slice.shape, in_place(e, slice, fill, buffer))
    copy_in(e, slice, fill, buffer)
    return e.settled_tile(dtype, slice.shape, buffer)


def is_one_run(slice: Slice) -> bool:
    """Whether the slice lies in one run of an input's memory as it does in a buffer, but for what is outside."""
    along = slice.axes[-1] == 0 and slice.steps[-1] == 1 and len(slice.shape) == 1
    return along and address.is_plain(slice.tensor) and slice.tensor.type.access is Access.IN


def in_place(e: Emitter, slice: Slice, fill: ir.Value, buffer: Buffer) -> Buffer:
    """The memory of the tensor where the slice lies inside, else the buffer, filled: nobody writes either again."""

    def copied() -> ir.Value:
        copy_in(e, slice, fill, buffer)
        return buffer.pointer

    def there() -> ir.Value:
        return address.plain_address(e, slice.tensor, slice.index(e, (e.index(0),)))

    pointer = e.choose(any_outside(e, slice), buffer.pointer.type, copied, there)
    return replace(buffer, pointer=pointer, owned=False)


def row_address(e: Emitter, slice: Slice) -> Callable[[Index], ir.Value] | None:
    """Where an element lies, of a slice of a plain tensor whose rows are runs of memory."""
    if slice.axes[-1] is None or slice.steps[-1] != 1:
        return None
    return lambda place: address.plain_address(e, slice.tensor, slice.index(e, place))


def load_scalar(e: Emitter, slice: Slice, fill: ir.Value) -> ir.Value:
    def read() -> ir.Value:
        return address.read_element(e, slice.tensor, slice.starts)

    if slice.present is None:
        return read()
    return e.choose(slice.present, fill.type, read, lambda: fill)


def copy_in(e: Emitter, slice: Slice, fill: ir.Value, buffer: Buffer) -> None:
    """Fills a buffer with a slice."""
    if not slice.whole:
        with e.when(any_outside(e, slice)):
            everywhere = e.splat(slice.tensor.type.dtype, slice.shape, fill)
            e.fill(buffer, everywhere)
    if row_wise(slice):
        each_row(e, slice, lambda place, count, position: unpack(e, slice, buffer, place, count, position))
        return
    found = planes.planes_of(slice)
    if found is not None:
        planes.copy_planes(e, slice, found, buffer)
        return

    def element(place: Index) -> None:
        value = address.read_element(e, slice.tensor, slice.index(e, place))
        e.write(buffer, e.linear(place, slice.shape), value)

    e.nest(slice.inside, element)


def row_wise(slice: Slice) -> bool:
    """Whether the last axis runs along the consecutive narrow elements of a dense tensor."""
    tensor = slice.tensor
    along = slice.axes[-1] is not None and slice.steps[-1] == 1
    return along and address.is_dense(tensor) and tensor.type.dtype.width < 8


def each_row(e: Emitter, slice: Slice, body: Callable[[Index, ir.Value, ir.Value], None]) -> None:
    """Calls the body for each row inside the tensor, with the tensor's index where it starts, its length, and its
    row-major position in the tile.
    """
    low, high = slice.inside[-1]
    count = e.sub(high, low)

    def row(place: Index) -> None:
        first = (*place, low)
        body(slice.index(e, first), count, e.linear(first, slice.shape))

    e.nest(slice.inside[:-1], row)


def unpack(e: Emitter, slice: Slice, buffer: Buffer, index: Index, count: ir.Value, position: ir.Value) -> None:
    tensor = slice.tensor
    bit = address.bit_position(e, tensor, index)
    rows.unpack_row(e, tensor.type.dtype, e.element(buffer, position), tensor.base, bit, count, tensor.length)


# Store


def lower_store(e: Emitter, op: Op) -> tuple[()]:
    target, value = e.tensor(op.operands[0]), e.tile(op.operands[1])
    slice = make_slice(e, target, [e.scalar(start) for start in op.operands[2:]], op.attrs)
    here = Origin(target.scope, op.operands[2:], op.attrs["sizes"], op.attrs["steps"])
    settle_loads(e, target, value, here)
    store_slice(e, slice, value)
    return ()


def settle_loads(e: Emitter, target: Tensor, value: Tile, here: Origin) -> None:
    """Makes the loads now that are still to come from the memory about to be written. The one that reads, element by
    element, exactly what is overwritten may stay, if the stored value alone needs it.
    """
    for tile in e.pending_loads(target.scope):
        alone = e.needing(tile) == [value]
        if not (alone and value.sources.get(tile) and same_slice(tile.origin, here)):
            e.settle(tile)


def same_slice(a: Origin | None, b: Origin) -> bool:
    return a is not None and (a.starts, a.sizes, a.steps) == (b.starts, b.sizes, b.steps)


def store_slice(e: Emitter, slice: Slice, value: Tile) -> None:
    """Writes the part of a tile that lies inside the tensor."""
    if not slice.shape:
        if slice.present is None:
            address.write_element(e, slice.tensor, slice.starts, e.at(value, ()))
        else:
            element = e.at(value, ())
            with e.when(slice.present):
                address.write_element(e, slice.tensor, slice.starts, element)
    elif row_wise(slice):
        buffer = e.settle(value)
        each_row(e, slice, lambda place, count, position: pack(e, slice, buffer, place, count, position))
    else:
        if e.alike is not None:
            e.settle(value)

        def element_of(place: Index) -> None:
            address.write_element(e, slice.tensor, slice.index(e, place), e.at(value, computed(e, value, place)))

        e.nest(slice.inside, element_of)


def computed(e: Emitter, value: Tile, place: Index) -> Index:
    """Where what an element is was computed: elsewhere than its place in a row that is like others."""
    if e.alike is None or value.shape[0] != e.alike[0]:
        return place
    last = e.b.sub(e.rows(value.shape), e.index(1))
    return (e.call("llvm.smin.i64", I64, place[0], last), *place[1:])


def pack(e: Emitter, slice: Slice, buffer: Buffer, index: Index, count: ir.Value, position: ir.Value) -> None:
    tensor = slice.tensor
    bit = address.bit_position(e, tensor, index)
    rows.pack_row(e, tensor.type.dtype, e.element(buffer, position), tensor.base, bit, count)


def lower_prefetch(e: Emitter, op: Op) -> tuple[()]:
    """One hint for each cache line of every row; there is no wrong address to give one for."""
    tensor = e.tensor(op.operands[0])
    if not address.is_plain(tensor):
        return ()
    starts = [e.scalar(start) for start in op.operands[1:]]
    step = max(1, LINE // element_size(tensor.type.dtype))
    *outer, last = [1 if size is None else size for size in op.attrs["sizes"]]
    for row in np.ndindex(*outer):
        for column in range(0, last, step):
            place = tuple(e.add(start, e.index(int(at))) for start, at in zip(starts, (*row, column), strict=True))
            e.prefetch(address.plain_address(e, tensor, place))
    return ()


# Tensors


def lower_alloc(e: Emitter, op: Op) -> tuple[Tensor]:
    """Shared memory is the running thread's own: a block is executed by one thread."""
    type = op.result.tensor
    bits = type.dtype.width
    for extent in type.shape:
        assert isinstance(extent, int)
        bits *= extent
    if type.storage is not None:
        bits = storage_bits(type)
    buffer = e.allocate_raw(ir.IntType(8), 1, -(-bits // 8))
    scope = buffer.scope or e.new_scope()
    return (address.make_tensor(e, type, buffer.pointer, e.index(-(-bits // 8)), scope),)


def storage_bits(type: Any) -> int:
    """Bits of a static tensor with a storage."""
    bits = type.storage.pitch
    for extent, size in zip(type.shape, type.storage.block, strict=True):
        bits *= -(-extent // size)
    return int(bits)


def lower_field(e: Emitter, op: Op) -> tuple[Tensor]:
    """Another view of the bytes, all of whose elements must lie in them."""
    whole = e.tensor(op.operands[0])
    offset = whole.bit_offset + int(str(op.attrs["bit_offset"]))
    part = address.make_tensor(e, op.result.tensor, whole.base, whole.length, whole.scope, offset)
    last = e.b.ashr(e.add(address.end_bit(e, part), e.index(7)), e.index(3))
    e.fail_when(e.b.icmp_signed(">", last, whole.length), op, "this field reaches past the end of its tensor")
    return (part,)
