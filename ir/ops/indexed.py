"""Access to tensors at computed places: gather, scatter and atomics.

    gather(tensor, index per dimension..., mask?) {fill} -> tile
    scatter(tensor, value, index per dimension..., mask?)
    atomic(tensor, value, index per dimension..., mask?) {kind} -> the old values

The index tiles are i32 or i64, and they, the value and the u1 mask have one shape. An index outside the extents, where
the mask does not switch its element off, is an error of the program, which the reference VM reports; the other
executors then read zero bits and write nothing. With a `fill` (a code) gather reads that instead, outside and where
masked off. A masked-off element of gather without fill, and of atomic, is zero bits. Two elements of one scatter that
write different values to one place are an error of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vmc.ir.core import Op, TensorType, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Memory, Operand
from vmc.ir.opdef import Attrs, OpDef, filtered, require, schema, tensor, tile
from vmc.ir.ops.arith import maximum, minimum, narrow, widen
from vmc.ir.ops.memory import check_code
from vmc.ir.types import DType, dtype

INDEX_TYPES = (dtype("i32"), dtype("i64"))
ATOMIC_TYPES = tuple(map(dtype, ("i32", "u32", "i64", "u64", "f32", "f64")))

ATOMIC_KINDS: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "min": minimum,
    "max": maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exchange": lambda old, new: new,
}
"""What an atomic leaves in memory, from the old and the operand's value."""


def combine(kind: str, type: DType, old: Array, new: Array) -> Array:
    """One step of an atomic on arrays of `type.array_dtype`."""
    with np.errstate(all="ignore"):
        return narrow(ATOMIC_KINDS[kind](widen(old, type), widen(new, type)), type)


def check_indices(memory: TensorType, types: Sequence[Type], name: str) -> tuple[int, ...]:
    """The common shape of the index tiles and the mask. Raises IRError."""
    require(memory.rank >= 1, f"{name} needs a tensor with dimensions")
    count = len(types) in (memory.rank, memory.rank + 1)
    require(count, f"{name} takes {memory.rank} indices, and perhaps a mask, and got {len(types)} operands")
    shape = tile(types[0], "an index").shape
    for type in types[: memory.rank]:
        index = tile(type, "an index")
        require(index.dtype in INDEX_TYPES, f"an index of {name} must be i32 or i64, and is {index}")
        require(index.shape == shape, f"the indices of {name} have the shapes {list(shape)} and {list(index.shape)}")
    for type in types[memory.rank :]:
        mask = tile(type, "the mask")
        require(mask.dtype == dtype("u1"), f"the mask of {name} must be u1, and is {mask}")
        require(mask.shape == shape, f"{name}: the mask has the shape {list(mask.shape)}, the indices {list(shape)}")
    return shape


def check_value(memory: TensorType, type: Type, shape: tuple[int, ...], name: str) -> None:
    value, expected = tile(type, "the value"), TileType(memory.dtype, shape)
    same = (value.dtype, value.shape) == (expected.dtype, expected.shape)
    require(same, f"{name} takes a value of type {expected} here, and got {value}")


def split_mask(memory: Memory, operands: Sequence[Array]) -> tuple[list[Array], Array]:
    """Index arrays as int64, and the mask as bool."""
    rank = len(memory.shape)
    index = [np.asarray(operand).astype(np.int64) for operand in operands[:rank]]
    mask = operands[rank] != 0 if len(operands) > rank else np.ones(index[0].shape, bool)
    return index, mask


class Gather(OpDef):
    """Element e of the result is the tensor's element at the index tiles' elements e."""

    name = "gather"
    signature = "(tensor, index..., mask?)"
    reads_memory = True
    attrs = schema(fill=(int, type(None)))

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 2, "gather takes a tensor and its indices")
        memory = tensor(types[0], "what gather reads")
        shape = check_indices(memory, types[1:], self.name)
        if attrs["fill"] is not None:
            check_code(attrs["fill"], memory.dtype, "the fill")
        return (TileType(memory.dtype, shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        memory = operands[0]
        index, mask = split_mask(memory, operands[1:])
        fill = op.attrs["fill"]
        if fill is None:
            return (memory.read(index, mask),)
        for line, extent in zip(index, memory.shape, strict=True):
            mask = mask & (line >= 0) & (line < extent)
        type = op.result.tile.dtype
        return (np.where(mask, memory.read(index, mask), type.from_codes(np.asarray(fill, type.code_dtype))),)


class Scatter(OpDef):
    """Writes element e of the value at the index tiles' elements e."""

    name = "scatter"
    signature = "(tensor, value, index..., mask?)"
    pure = False
    writes_memory = True

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 3, "scatter takes a tensor, a value and the indices")
        memory = tensor(types[0], "what scatter writes")
        require(memory.access.writable, "scatter to a tensor that is an input")
        check_value(memory, types[1], check_indices(memory, types[2:], self.name), self.name)
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        memory, value = operands[:2]
        index, mask = split_mask(memory, operands[2:])
        if contradicts(memory, op.operands[0].tensor.dtype, index, mask, value):
            run.fail(op, "this scatter writes different values to one element")
        memory.write(index, mask, value)
        return ()


def contradicts(memory: Memory, type: DType, index: Sequence[Array], mask: Array, value: Array) -> bool:
    """Whether two elements that the mask leaves have one place and different bits."""
    inside = np.logical_and.reduce([(line >= 0) & (line < n) for line, n in zip(index, memory.shape, strict=True)])
    kept = mask & inside
    places = np.ravel_multi_index([line[kept] for line in index], memory.shape)
    codes = type.to_codes(value)[kept]
    order = np.argsort(places, kind="stable")
    places, codes = places[order], codes[order]
    return bool(np.any((places[1:] == places[:-1]) & (codes[1:] != codes[:-1])))


class Atomic(OpDef):
    """Combines element e of the value into the tensor's element at the index tiles' elements e, indivisibly.

    The kinds are add, min, max, and, or, xor, exchange; the bitwise ones take integers only. Elements that meet in one
    place, of one block or of several, are combined one after the other in an order that is not defined.
    """

    name = "atomic"
    signature = "(tensor, value, index..., mask?)"
    pure = False
    reads_memory = True
    writes_memory = True
    attrs = schema(kind=str)

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(ATOMIC_TYPES.__contains__)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 3, "atomic takes a tensor, a value and the indices")
        memory, kind = tensor(types[0], "what atomic changes"), attrs["kind"]
        require(kind in ATOMIC_KINDS, f"unknown kind of atomic {kind!r}; there are {', '.join(ATOMIC_KINDS)}")
        require(memory.access.writable, "atomic on a tensor that is an input")
        require(memory.storage is None, "atomic needs a dense tensor")
        bitwise = kind in ("and", "or", "xor")
        legal = memory.dtype in ATOMIC_TYPES and not (bitwise and memory.dtype.is_float)
        require(legal, f"atomic {kind} is not defined on {memory.dtype.name}")
        shape = check_indices(memory, types[2:], self.name)
        check_value(memory, types[1], shape, self.name)
        return (TileType(memory.dtype, shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        memory, value = operands[:2]
        index, mask = split_mask(memory, operands[2:])
        return (memory.atomic(op.attrs["kind"], index, mask, value),)


DEFINITIONS: tuple[OpDef, ...] = (Gather(), Scatter(), Atomic())
