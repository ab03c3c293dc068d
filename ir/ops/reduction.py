"""Operations along one axis: reduce, arg, scan and sort.

    reduce(a) {kind, axis}                       sum prod min max and or xor; the axis disappears
    arg(a) {kind, axis}                          min max: where the extreme first is, i32; the axis disappears
    scan(a) {kind, axis, exclusive, reverse}     the running sum prod min max and or xor
    sort(a) {axis, descending}                   values in order, and where each was, i32

Integers wrap. `reduce` of floats sums and multiplies in any order and association, f16 and bf16 in f32 with one
rounding at the end: where no partial result overflows or underflows, |sum - exact| <= (n - 1) u sum|a| + u |exact|,
and a product is off by a factor within (1 +- u)^n, with u the unit roundoff of the type it is computed in, plus the
rounding to f16 or bf16.
`scan` proceeds strictly in order in the element type, rounding every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vmc.ir.core import Op, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, axis_of, filtered, operands, require, schema, tile
from vmc.ir.ops.arith import is_arithmetic, maximum, minimum, narrow, widen
from vmc.ir.types import DType, dtype

I32, U1 = dtype("i32"), dtype("u1")

STEPS: dict[str, Callable[[Array, Array], Array]] = {
    "sum": np.add,
    "prod": np.multiply,
    "min": minimum,
    "max": maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
"""One step of each kind, on widened arrays."""


def check_kind(kind: str, type: DType, kinds: Sequence[str], name: str) -> None:
    """Raises IRError unless the kind is one of `kinds` and defined on the dtype."""
    require(kind in kinds, f"unknown kind of {name} {kind!r}; there are {', '.join(kinds)}")
    legal = type.is_int if kind in ("and", "or", "xor") else is_arithmetic(type)
    require(legal, f"{name} {kind} is not defined on {type.name}")


def one_tile(types: Sequence[Type], axis: int, name: str) -> TileType:
    """The type of the only operand, which must have the axis. Raises IRError."""
    operands(types, 1, name)
    source = tile(types[0])
    axis_of(source, axis, name)
    return source


def identity(kind: str, type: DType) -> int:
    """The code of the value that leaves every other as it is."""
    if kind in ("sum", "or", "xor"):
        return 0
    if kind == "and":
        return (1 << type.width) - 1
    if kind == "prod":
        return int(type.encode(1)[()])
    if type.is_float:
        return int(type.encode(np.inf if kind == "min" else -np.inf)[()])
    return int(type.encode(int(type.max if kind == "min" else type.min))[()])


class AlongAxis(OpDef):
    """An operation along one axis, on the types that have arithmetic."""

    signature = "(a)"

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(is_arithmetic)


class Reduce(AlongAxis):
    """Combines the elements along an axis. `min` and `max` propagate NaN and order zeros as those operations do."""

    name = "reduce"
    attrs = schema(kind=str, axis=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source = one_tile(types, attrs["axis"], self.name)
        check_kind(attrs["kind"], source.dtype, tuple(STEPS), self.name)
        return (without_axis(source, attrs["axis"]),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        type, kind = op.result.tile.dtype, op.attrs["kind"]
        with np.errstate(all="ignore"):
            return (narrow(reduce_axis(kind, widen(operands[0], type), op.attrs["axis"]), type),)


def without_axis(source: TileType, axis: int) -> TileType:
    return TileType(source.dtype, source.shape[:axis] + source.shape[axis + 1 :])


def reduce_axis(kind: str, values: Array, axis: int) -> Array:
    """The reduction of widened values; float sums and products in f64."""
    if values.dtype.kind == "f":
        if kind in ("min", "max"):
            return reduce_extreme(kind, values, axis)
        values = values.astype(np.float64)
    ufunc = {"sum": np.add, "prod": np.multiply, "min": np.minimum, "max": np.maximum}.get(kind) or STEPS[kind]
    assert isinstance(ufunc, np.ufunc)
    return np.asarray(ufunc.reduce(values, axis=axis, dtype=values.dtype))


def reduce_extreme(kind: str, values: Array, axis: int) -> Array:
    """The extreme of floats; where it is zero, its sign follows from the signs of the zeros there."""
    if kind == "min":
        extreme, wanted = np.minimum.reduce(values, axis=axis), np.signbit(values)
    else:
        extreme, wanted = np.maximum.reduce(values, axis=axis), ~np.signbit(values)
    found = np.any((values == 0) & wanted, axis=axis)
    zero = np.where(found == (kind == "min"), -0.0, 0.0)
    return np.where(extreme == 0, zero, extreme).astype(values.dtype)


class Arg(AlongAxis):
    """Where along an axis the least or the greatest element first is. A NaN counts as the extreme; -0 equals +0."""

    name = "arg"
    attrs = schema(kind=str, axis=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source = one_tile(types, attrs["axis"], self.name)
        check_kind(attrs["kind"], source.dtype, ("min", "max"), self.name)
        return (TileType(I32, without_axis(source, attrs["axis"]).shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        values = widen(operands[0], op.operands[0].tile.dtype)
        find = np.argmin if op.attrs["kind"] == "min" else np.argmax
        return (np.asarray(find(values, axis=op.attrs["axis"])).astype(np.int32),)


class Scan(AlongAxis):
    """Element i combines the elements up to i, or those before i where `exclusive`; from the end where `reverse`.

    The first element of an exclusive scan is the identity: 0, 1, all ones, or the greatest or least value (infinite for
    floats) of the type.
    """

    name = "scan"
    attrs = schema(kind=str, axis=int, exclusive=bool, reverse=bool)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source = one_tile(types, attrs["axis"], self.name)
        check_kind(attrs["kind"], source.dtype, tuple(STEPS), self.name)
        return (TileType(source.dtype, source.shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        type, kind, axis = op.result.tile.dtype, op.attrs["kind"], op.attrs["axis"]
        lines = np.moveaxis(np.asarray(operands[0]), axis, 0)
        lines = lines[::-1] if op.attrs["reverse"] else lines
        result = running(kind, type, lines)
        if op.attrs["exclusive"]:
            start = type.from_codes(np.full(lines[:1].shape, identity(kind, type), type.code_dtype))
            result = np.concatenate([start, result[:-1]])
        result = result[::-1] if op.attrs["reverse"] else result
        return (np.ascontiguousarray(np.moveaxis(result, 0, axis)),)


def running(kind: str, type: DType, lines: Array) -> Array:
    """The inclusive scan along axis 0, one step and one rounding after the other."""
    result, step = np.array(lines), STEPS[kind]
    with np.errstate(all="ignore"):
        for i in range(1, len(lines)):
            result[i] = narrow(step(widen(result[i - 1], type), widen(lines[i], type)), type)
    return result


class Sort(AlongAxis):
    """The elements along an axis in order, and the places they came from. Equal elements keep their order, in a
    descending sort too; -0 equals +0; NaN comes last either way.
    """

    name = "sort"
    attrs = schema(axis=int, descending=bool)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source = one_tile(types, attrs["axis"], self.name)
        require(is_arithmetic(source.dtype), f"sort is not defined on {source.dtype.name}")
        return TileType(source.dtype, source.shape), TileType(I32, source.shape)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        axis, values = op.attrs["axis"], widen(operands[0], op.operands[0].tile.dtype)
        if op.attrs["descending"]:
            values = -values if values.dtype.kind == "f" else ~values
        places = np.argsort(values, axis=axis, kind="stable")
        return np.take_along_axis(np.asarray(operands[0]), places, axis), places.astype(np.int32)


class Nonzero(OpDef):
    """The places of the elements that are 1, in order, and how many there are; the places after those are 0."""

    name = "nonzero"
    signature = "(a)"

    def legal_types(self) -> tuple[DType, ...]:
        return (U1,)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source = one_tile(types, 0, self.name)
        require(source.dtype == U1, f"nonzero takes u1, and got {source.dtype.name}")
        require(source.rank == 1, f"nonzero takes a tile of one axis, and got {source}")
        return TileType(I32, source.shape), TileType(I32, ())

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        found = np.flatnonzero(np.asarray(operands[0]))
        places = np.zeros(op.results[0].tile.shape, np.int32)
        places[: found.size] = found
        return places, np.array(found.size, np.int32)


DEFINITIONS: tuple[OpDef, ...] = (Reduce(), Arg(), Scan(), Sort(), Nonzero())
