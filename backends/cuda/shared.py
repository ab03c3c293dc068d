"""Shared memory: the block's arena, parts of tensors, and copies into it."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from vmc.backends.cuda.access import Slice, load_tile, store_tile
from vmc.backends.cuda.arith import constant
from vmc.backends.cuda.bulk import arena_bytes, start_counting
from vmc.backends.cuda.emitter import Emitter, Tile
from vmc.backends.cuda.memory import Memory
from vmc.backends.cuda.registers import Registers
from vmc.backends.cuda.target import STATIC_SHARED
from vmc.backends.cuda.tir import I32, cast, const, container, tirx
from vmc.ir.core import Op, Space, TensorType
from vmc.ir.layout import packed
from vmc.ir.ops.memory import slice_shape
from vmc.ir.passes.gpu.anchors import fitting_vector
from vmc.ir.passes.gpu.spread import spread
from vmc.ir.storage import extents, storage_bytes

WIDEST, SWIZZLED = 64, 1024
"""What the arena's first byte is a multiple of: more than any access needs, and what swizzles of 128 bytes need."""


def lower_alloc(e: Emitter, op: Op) -> None:
    """The arena, which planning left as the only allocation; beyond 48 KiB it is asked for at the launch."""
    type = op.result.tensor
    size = storage_bytes(type, extents(type, {}))
    counters, size = arena_bytes(size) if e.counts_copies else (0, size)
    scope = "shared" if size <= STATIC_SHARED else "shared.dyn"
    name, alignment = e.fresh("shared"), SWIZZLED if e.shows_writes else WIDEST
    made = tirx().decl_buffer((size,), "uint8", name=name, scope=scope, data_alignment=alignment, layout=None)
    e.head.append(tirx().AllocBuffer(made))
    e.arenas.append((made, size))
    e.define(op.result, Memory(type, tirx().buffer_data(made), 0, tuple(const(n, I32) for n in extents(type, {}))))
    if e.counts_copies:
        e.arrivals = start_counting(e, made, counters)


def plain(type: TensorType) -> TensorType:
    """The type without its storage, where elements lie as they do without one."""
    storage = type.storage
    if storage is None or storage.shuffle is not None or storage.order or type.space is not Space.SHARED:
        return type
    block, shape = storage.block, type.shape
    whole = len(block) > 1 and set(block[:1]) == {1} and block[1:] == shape[1:]
    dense = storage.layout == packed(type.dtype, *block) and storage.pitch == prod(block) * type.dtype.width
    return replace(type, storage=None) if whole and dense else type


def lower_field(e: Emitter, op: Op) -> None:
    whole, type = e.values[op.operands[0]], plain(op.result.tensor)
    offset = whole.bit_offset + op.attrs["bit_offset"]
    if whole.is_shared:
        lines = tuple(const(n, I32) for n in extents(type, {}))
    else:
        lines = tuple(e.extent(dim) for dim in type.shape)
    e.define(op.result, Memory(type, whole.pointer, offset, lines, is_part=not whole.is_shared))


def lower_copy_async(e: Emitter, op: Op) -> None:
    """A slice read into registers and written at once: the wait for it has nothing to do."""
    target, source = (e.values[operand] for operand in op.operands[:2])
    rank = len(source.type.shape)
    starts = op.operands[2 : 2 + rank]
    attrs = op.attrs
    read = Slice(source, places(e, source, starts), attrs["sizes"], attrs["steps"], attrs["inbounds"])
    ones, inside = (1,) * len(target.type.shape), (True,) * len(target.type.shape)
    written = Slice(target, places(e, target, op.operands[2 + rank :]), attrs["target_sizes"], ones, inside)
    shape, dtype = slice_shape(attrs["sizes"]) or (1,), source.type.dtype
    layout = spread(shape, e.threads, fitting_vector(shape, dtype.width, e.threads, None))
    registers = Registers(layout, e.threads, e.thread)
    made = Tile(dtype, registers, e.buffer(container(dtype), registers.slots))
    load_tile(e, read, made, constant(dtype, attrs["fill"]))
    store_tile(e, written, made)


def places(e: Emitter, memory: Memory, starts: tuple) -> tuple:  # type: ignore[type-arg]
    return tuple(cast(e.scalar(start), memory.index_kind) for start in starts)
