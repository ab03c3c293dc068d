"""Access to tensors: slices in and out.

    load(tensor, start i64 per dimension; sizes, steps, fill, inbounds) -> tile
    store(tensor, value, start i64 per dimension; sizes, steps, inbounds)

`sizes` has one entry a dimension: the number of elements, or None for a dimension that the tile does not have (one
element). Element j of a dimension lies at start + j * step. Elements outside the extents read as `fill` (a code of the
dtype) and are not written. `inbounds` says of each dimension whether a pass has proved that no element lies outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, TensorType, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Memory, Operand
from vmc.ir.opdef import Attrs, OpDef, require, tensor, tile
from vmc.ir.ops.control import scalar_index


def slice_shape(sizes: Sequence[int | None]) -> tuple[int, ...]:
    """The shape of the tile that a slice with these sizes has."""
    return tuple(size for size in sizes if size is not None)


def check_slice(memory: TensorType, starts: Sequence[Type], attrs: Attrs, name: str) -> None:
    """Raises IRError unless starts, sizes and steps fit the tensor."""
    require(len(starts) == memory.rank, f"{name} takes one start for each of {memory.rank} dimensions, got {len(starts)}")
    for start in starts:
        scalar_index(start, f"a start of {name}")
    for key in ("sizes", "steps", "inbounds"):
        require(len(attrs[key]) == memory.rank, f"{name}: {key} has {len(attrs[key])} entries for {memory.rank} dimensions")
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
    reads_memory = True
    attrs = {"sizes": tuple, "steps": tuple, "fill": int, "inbounds": tuple}

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        memory = tensor(types[0], "what load reads")
        check_slice(memory, types[1:], attrs, self.name)
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
    pure = False
    writes_memory = True
    attrs = {"sizes": tuple, "steps": tuple, "inbounds": tuple}

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
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


DEFINITIONS: tuple[OpDef, ...] = (Load(), Store())
