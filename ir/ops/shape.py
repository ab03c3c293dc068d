"""Constants, and operations that move elements without looking at them.

constant {type, code}            every element has one bit pattern
table {table}                    a constant tile
iota {n}                         i32[n]: 0, 1, ..., n - 1
broadcast(a) {shape}             NumPy's rule: aligned at the right, extents of 1 stretch
transpose(a) {permutation}       result axis d is operand axis permutation[d]
reshape(a) {shape}               the same elements in row-major order
slice(a) {starts, sizes, steps}  element j of an axis is the operand's element start + j * step
concat(a, b, ...) {axis}         one after the other along an axis
flip(a) {axis}                   the axis backwards
take(a, index) {axis}            the axis replaced by the index's axes: a table looked up
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, Table, TileType, Type
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, axis_of, operands, require, schema, tile
from vmc.ir.types import dtype


class Constant(OpDef):
    """A tile all of whose elements have the bit pattern `code`."""

    name = "constant"
    attrs = schema(type=TileType, code=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        type = attrs["type"]
        require(0 <= attrs["code"] < 1 << type.dtype.width, f"the code {attrs['code']} is not one of {type.dtype.name}")
        return (TileType(type.dtype, type.shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        type = op.result.tile
        return (type.dtype.from_codes(np.full(type.shape, op.attrs["code"], type.dtype.code_dtype)),)


class TableConstant(OpDef):
    """A constant tile given by its bit patterns."""

    name = "table"
    attrs = schema(table=Table)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        return (TileType(attrs["table"].dtype, attrs["table"].shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        table = op.attrs["table"]
        return (table.dtype.from_codes(table.array()),)


class Iota(OpDef):
    """The integers from 0 up to n."""

    name = "iota"
    attrs = schema(n=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        require(attrs["n"] >= 1, "iota needs n of at least 1")
        return (TileType(dtype("i32"), (attrs["n"],)),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.arange(op.result.tile.size, dtype=np.int32),)


def check_shape(shape: Sequence[int], name: str) -> tuple[int, ...]:
    require(all(extent >= 1 for extent in shape), f"{name}: extents must be at least 1")
    return tuple(shape)


class Broadcast(OpDef):
    """Repeats elements along new axes and along axes of extent 1."""

    name = "broadcast"
    signature = "(a)"
    attrs = schema(shape=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source, shape = tile(types[0]), check_shape(attrs["shape"], self.name)
        aligned = shape[len(shape) - source.rank :] if source.rank else ()
        fits = source.rank <= len(shape) and all(a in (1, b) for a, b in zip(source.shape, aligned, strict=True))
        require(fits, f"{source} does not broadcast to {list(shape)}")
        return (TileType(source.dtype, shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.broadcast_to(operands[0], op.result.tile.shape),)


class Transpose(OpDef):
    """Permutes the axes."""

    name = "transpose"
    signature = "(a)"
    attrs = schema(permutation=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source, permutation = tile(types[0]), attrs["permutation"]
        require(sorted(permutation) == list(range(source.rank)), f"{permutation} does not permute the axes of {source}")
        return (TileType(source.dtype, tuple(source.shape[axis] for axis in permutation)),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.transpose(operands[0], op.attrs["permutation"]),)


class Reshape(OpDef):
    """The same elements, in row-major order, under another shape."""

    name = "reshape"
    signature = "(a)"
    attrs = schema(shape=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source, result = tile(types[0]), TileType(tile(types[0]).dtype, check_shape(attrs["shape"], self.name))
        require(source.size == result.size, f"{source} has {source.size} elements, {result} has {result.size}")
        return (result,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.reshape(operands[0], op.result.tile.shape),)


class Slice(OpDef):
    """A part of a tile, wholly inside it. The rank stays."""

    name = "slice"
    signature = "(a)"
    attrs = schema(starts=tuple, sizes=tuple, steps=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source = tile(types[0])
        for key in ("starts", "sizes", "steps"):
            count = len(attrs[key])
            require(count == source.rank, f"slice: {key} has {count} entries for {source.rank} axes")
        lines = zip(attrs["starts"], attrs["sizes"], attrs["steps"], source.shape, strict=True)
        for start, size, step, extent in lines:
            require(size >= 1 and step >= 1, "slice: sizes and steps must be at least 1")
            last = start + (size - 1) * step
            require(start >= 0 and last < extent, f"slice takes the elements {start} to {last} of an axis of {extent}")
        return (TileType(source.dtype, tuple(attrs["sizes"])),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        lines = zip(op.attrs["starts"], op.attrs["sizes"], op.attrs["steps"], strict=True)
        return (operands[0][tuple(slice(start, start + (size - 1) * step + 1, step) for start, size, step in lines)],)


class Concat(OpDef):
    """Tiles one after the other along an axis; their other extents agree."""

    name = "concat"
    signature = "(a...)"
    attrs = schema(axis=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 1, "concat takes at least one tile")
        first, *others = map(tile, types)
        axis = axis_of(first, attrs["axis"], self.name)
        for other in others:
            rests = [type.shape[:axis] + type.shape[axis + 1 :] for type in (first, other)]
            fits = other.dtype == first.dtype and other.rank == first.rank and rests[0] == rests[1]
            require(fits, f"concat along axis {axis} of {first} and {other}")
        total = sum(tile(type).shape[axis] for type in types)
        return (TileType(first.dtype, (*first.shape[:axis], total, *first.shape[axis + 1 :])),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.concatenate(operands, axis=op.attrs["axis"]),)


class Flip(OpDef):
    """The elements along an axis in reverse order."""

    name = "flip"
    signature = "(a)"
    attrs = schema(axis=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source = tile(types[0])
        axis_of(source, attrs["axis"], self.name)
        return (TileType(source.dtype, source.shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.flip(operands[0], op.attrs["axis"]),)


class Take(OpDef):
    """Slices of `a` along an axis, chosen by an index tile of any integer dtype.

    The index's axes stand in the axis's place: result[x, i, j, y] = a[x, index[i, j], y]. An index outside the axis is
    an error of the program, which the reference VM reports; the other executors clamp it.
    """

    name = "take"
    signature = "(a, index)"
    attrs = schema(axis=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 2, self.name)
        source, index = map(tile, types)
        axis = axis_of(source, attrs["axis"], self.name)
        require(index.dtype.is_int, f"the index of take must be of an integer type, and is {index}")
        return (TileType(source.dtype, source.shape[:axis] + index.shape + source.shape[axis + 1 :]),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        source, index = operands
        axis = op.attrs["axis"]
        extent = source.shape[axis]
        outside = (index < 0) | (index >= extent)
        if np.any(outside):
            run.fail(op, f"take of element {index[outside].flat[0]} along an axis of {extent}")
        return (np.take(source, index.astype(np.int64), axis=axis),)


DEFINITIONS: tuple[OpDef, ...] = (
    Constant(),
    TableConstant(),
    Iota(),
    Broadcast(),
    Transpose(),
    Reshape(),
    Slice(),
    Concat(),
    Flip(),
    Take(),
)
