"""Constants, and operations that move elements without looking at them.

    constant {type, code}            every element has one bit pattern
    table {table}                    a constant tile
    iota {n}                         i32[n]: 0, 1, ..., n - 1
    broadcast(a) {shape}             NumPy's rule: aligned at the right, extents of 1 stretch
    transpose(a) {permutation}       result axis d is operand axis permutation[d]
    reshape(a) {shape}               the same elements in row-major order
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, Table, TileType, Type
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, operands, require, tile
from vmc.ir.types import dtype


class Constant(OpDef):
    """A tile all of whose elements have the bit pattern `code`."""

    name = "constant"
    attrs = {"type": TileType, "code": int}

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
    attrs = {"table": Table}

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        return (TileType(attrs["table"].dtype, attrs["table"].shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        table = op.attrs["table"]
        assert isinstance(table, Table)
        return (table.dtype.from_codes(table.array()),)


class Iota(OpDef):
    """The integers from 0 up to n."""

    name = "iota"
    attrs = {"n": int}

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
    attrs = {"shape": tuple}

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
    attrs = {"permutation": tuple}

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source, permutation = tile(types[0]), attrs["permutation"]
        require(sorted(permutation) == list(range(source.rank)), f"{permutation} does not permute the axes of {source}")
        return (TileType(source.dtype, tuple(source.shape[axis] for axis in permutation)),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        permutation = op.attrs["permutation"]
        assert isinstance(permutation, tuple)
        return (np.transpose(operands[0], [int(str(axis)) for axis in permutation]),)


class Reshape(OpDef):
    """The same elements, in row-major order, under another shape."""

    name = "reshape"
    attrs = {"shape": tuple}

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source, result = tile(types[0]), TileType(tile(types[0]).dtype, check_shape(attrs["shape"], self.name))
        require(source.size == result.size, f"{source} has {source.size} elements, {result} has {result.size}")
        return (result,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.reshape(operands[0], op.result.tile.shape),)


DEFINITIONS: tuple[OpDef, ...] = (Constant(), TableConstant(), Iota(), Broadcast(), Transpose(), Reshape())
