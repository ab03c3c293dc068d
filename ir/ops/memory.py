"""Access to tensors: slices in and out, and tensors made inside a kernel.

    load(tensor, start i64 per dimension; sizes, steps, fill, inbounds) -> tile
    store(tensor, value, start i64 per dimension; sizes, steps, inbounds)
    alloc() {type} -> shared tensor
    field(u8 tensor) {type, bit_offset} -> tensor

`sizes` has one entry a dimension: the number of elements, or None for a dimension that the tile does not have (one
element). Element j of a dimension lies at start + j * step. Elements outside the extents read as `fill` (a code of the
dtype) and are not written. `inbounds` says of each dimension whether a pass has proved that no element lies outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Access, Op, Space, TensorType, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Memory, Operand
from vmc.ir.opdef import Attrs, OpDef, operands, require, schema, tensor, tile
from vmc.ir.ops.control import scalar_index
from vmc.ir.types import DType, dtype


def slice_shape(sizes: Sequence[int | None]) -> tuple[int, ...]:
    """The shape of the tile that a slice with these sizes has."""
    return tuple(size for size in sizes if size is not None)


def first(types: Sequence[Type], name: str) -> Type:
    """The type of the first operand. Raises IRError where there is none."""
    require(len(types) >= 1, f"{name} takes a tensor, and has no operand")
    return types[0]


def check_code(code: int, dtype: DType, what: str) -> None:
    """Raises IRError unless the code is one of the dtype's."""
    require(0 <= code < 1 << dtype.width, f"{what}, {code}, is not a code of {dtype.name}")


def check_slice(memory: TensorType, starts: Sequence[Type], attrs: Attrs, name: str) -> None:
    """Raises IRError unless starts, sizes and steps fit the tensor."""
    rank = memory.rank
    require(len(starts) == rank, f"{name} takes one start for each of {rank} dimensions, and got {len(starts)}")
    for start in starts:
        scalar_index(start, f"a start of {name}")
    for key in ("sizes", "steps", "inbounds"):
        count = len(attrs[key])
        require(count == rank, f"{name}: {key} has {count} entries for {rank} dimensions")
    require(all(size is None or size >= 1 for size in attrs["sizes"]), f"{name}: sizes must be at least 1")
    require(all(step >= 1 for step in attrs["steps"]), f"{name}: steps must be at least 1")


def slice_index(memory: Memory, starts: Sequence[Array], attrs: Attrs) -> tuple[list[Array], Array]:
    """The index arrays of a slice, in the tile's shape, and the mask of the elements inside the extents."""
    sizes = attrs["sizes"]
    shape = slice_shape(sizes)
    index: list[Array] = []
    axis = 0
    for start, size, step in zip(starts, sizes, attrs["steps"], strict=True):
        line = np.arange(1 if size is None else size, dtype=np.int64) * step + int(start)
        if size is None:
            line = line.reshape(())
        else:
            line = line.reshape([size if d == axis else 1 for d in range(len(shape))])
            axis += 1
        index.append(np.broadcast_to(line, shape))
    mask = np.ones(shape, bool)
    for dim, (line, claimed) in enumerate(zip(index, attrs["inbounds"], strict=True)):
        if not claimed:
            mask &= (line >= 0) & (line < memory.shape[dim])
    return index, mask


class Load(OpDef):
    """A slice of a tensor as a tile."""

    name = "load"
    signature = "(tensor, start...)"
    reads_memory = True
    attrs = schema(sizes=tuple, steps=tuple, fill=int, inbounds=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        memory = tensor(first(types, self.name), "what load reads")
        check_slice(memory, types[1:], attrs, self.name)
        check_code(attrs["fill"], memory.dtype, "the fill")
        return (TileType(memory.dtype, slice_shape(attrs["sizes"])),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        memory, *starts = operands
        index, mask = slice_index(memory, starts, op.attrs)
        type = op.result.tile.dtype
        fill = type.from_codes(np.asarray(op.attrs["fill"], type.code_dtype))
        return (np.where(mask, memory.read(index, mask), fill),)


class Store(OpDef):
    """Writes a tile to a slice of a tensor."""

    name = "store"
    signature = "(tensor, value, start...)"
    pure = False
    writes_memory = True
    attrs = schema(sizes=tuple, steps=tuple, inbounds=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 2, "store takes a tensor and a value")
        memory, value = tensor(types[0], "what store writes"), tile(types[1], "the stored value")
        require(memory.access.writable, "store to a tensor that is an input")
        check_slice(memory, types[2:], attrs, self.name)
        expected = TileType(memory.dtype, slice_shape(attrs["sizes"]))
        same = (value.dtype, value.shape) == (expected.dtype, expected.shape)
        require(same, f"store takes a value of type {expected} here, and got {value}")
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        memory, value, *starts = operands
        index, mask = slice_index(memory, starts, op.attrs)
        memory.write(index, mask, value)
        return ()


class Alloc(OpDef):
    """A tensor in the block's shared memory, never written so far; every execution gives a fresh one."""

    name = "alloc"
    pure = False
    attrs = schema(type=TensorType)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        type = attrs["type"]
        require(type.space is Space.SHARED, "alloc gives tensors in shared memory only")
        require(type.access is Access.INOUT, "alloc gives tensors that are read and written")
        static = all(isinstance(extent, int) and extent >= 1 for extent in type.shape)
        require(static, "alloc needs extents that are integers of at least 1")
        return (type,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (run.allocate(op.result),)


class Field(OpDef):
    """The bytes of a tensor, from `bit_offset` on, seen as a tensor of another type: the same memory.

    A block format is stored as bytes; each of its parts is a field with a storage whose pitch is the block's size.
    """

    name = "field"
    signature = "(tensor)"
    attrs = schema(type=TensorType, bit_offset=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        memory, type = tensor(types[0], "what field views"), attrs["type"]
        require(memory.dtype == dtype("u8") and memory.storage is None, "field views a dense tensor of u8")
        require(type.access is memory.access, "field keeps the access of its tensor")
        require(type.space is memory.space, "field keeps the space of its tensor")
        require(attrs["bit_offset"] >= 0, "the bit offset of field must not be negative")
        return (type,)

    def legal_types(self) -> tuple[DType, ...]:
        return (dtype("u8"),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (run.field(operands[0], op.result.tensor, op.attrs["bit_offset"]),)


DEFINITIONS: tuple[OpDef, ...] = (Load(), Store(), Alloc(), Field())
