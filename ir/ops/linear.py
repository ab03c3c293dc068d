"""The matrix product of two tiles.

    dot(a[M, K], b[K, N], c[M, N]) -> c + a @ b
    dot_flushing(a, b, c)                           the same, of bf16, without denormal numbers
    dot_short(a, b, c) {run}                        the same, of i8 and u8, where `run` products sum to less than 2^15
    dot_fp8(a, b, c) {native, run}                  the same, of f8e4m3 and f8e5m2
    dot_warpgroup(a, b, c) {run}                    the same, by instructions of warpgroups
    dot_shared(tensor, start..., b, c) {sizes, run} the same, where a is a slice of a shared tensor

Integers: exact modulo 2^b of the accumulator. Floats: products and sums in any order and association, so that
|result - exact| <= (K + 2) u (|c| + |a| @ |b|) with u the unit roundoff of c's dtype (f32 or f64).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import IRError, Op, Space, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, operands, require, schema, tensor, tile
from vmc.ir.ops.arith import narrow
from vmc.ir.ops.memory import check_slice, slice_index, slice_shape
from vmc.ir.types import DType, dtype


def accumulator(a: DType, b: DType) -> DType | None:
    """The dtype that products of `a` and `b` are summed in; None where `dot` does not take the two."""
    if a.is_int and b.is_int:
        return dtype("i64") if max(a.width, b.width) >= 32 else dtype("i32")
    if a.is_int or b.is_int:
        return None
    if "f64" in (a.name, b.name):
        return dtype("f64") if a == b else None
    return dtype("f32")


class Dot(OpDef):
    """c + a @ b."""

    name = "dot"
    signature = "(a, b, c)"

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 3, self.name)
        return (product_type(*map(tile, types)),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        a, b, c = operands
        return (product(op.operands[0].tile.dtype, a, op, b, c),)


def product_type(a: TileType, b: TileType, c: TileType) -> TileType:
    """The type of c + a @ b. Raises IRError where the three do not fit."""
    require(a.rank == b.rank == c.rank == 2, f"dot takes tiles of rank 2, and got {a}, {b}, {c}")
    require(a.shape[1] == b.shape[0], f"dot: {a} and {b} differ in the inner extent")
    require(c.shape == (a.shape[0], b.shape[1]), f"dot: the accumulator {c} does not have the shape of {a} @ {b}")
    expected = accumulator(a.dtype, b.dtype)
    require(expected == c.dtype, f"dot of {a.dtype.name} and {b.dtype.name} does not accumulate in {c.dtype.name}")
    return TileType(c.dtype, c.shape)


def product(dtype: DType, a: Operand, op: Op, b: Operand, c: Operand) -> Array:
    """c + a @ b, `dtype` being that of a, those of b and c the last operands' of the operation."""
    right, sums = (value.tile.dtype for value in op.operands[-2:])
    with np.errstate(all="ignore"):
        total = sums.to_values(c) + matmul(dtype.to_values(a), right.to_values(b), sums)
        return np.asarray(narrow(total, sums))


def matmul(a: Array, b: Array, accumulator: DType) -> Array:
    """The product in f64, or in 64-bit integers."""
    kind = np.int64 if accumulator.is_int else np.float64
    return np.asarray(np.matmul(a.astype(kind), b.astype(kind)))


class FlushingDot(Dot):
    """c + a @ b of bf16 in f32, where factors and sums below the normal range may be taken as 0.

    What matrix units for bf16 do. Passes make it where they know that nothing is lost, or in `fast` kernels.
    """

    name = "dot_flushing"

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        results = super().infer(types, attrs)
        both = all(tile(type).dtype == dtype("bf16") for type in types[:2])
        require(both, "dot_flushing takes factors of bf16")
        return results


class ShortDot(Dot):
    """c + a @ b of i8 and u8 in i32, where the products of any `run` pairs of factors sum to less than 2^15.

    A pass that makes it has proved so. Targets that add up products in 16 bits rely on it, and the reference VM checks.
    """

    name = "dot_short"
    attrs = schema(run=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        results = super().infer(types, attrs)
        require(
            [tile(type).dtype.name for type in types[:2]] == ["i8", "u8"], "dot_short takes factors of i8 and of u8"
        )
        require(attrs["run"] > 0, f"dot_short: a run of {attrs['run']} products")
        return results

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        left, right = (int(np.abs(np.asarray(factor, np.int64)).max(initial=0)) for factor in operands[:2])
        if left * right * int(op.attrs["run"]) >= 1 << 15:
            raise IRError(f"dot_short: {op.attrs['run']} products of {left} and {right} do not fit 16 bits")
        return super().evaluate(run, op, operands)


class Fp8Dot(Dot):
    """c + a @ b of f8e4m3 or f8e5m2 in f32, by matrix instructions for these where `native`, else by those for f16.

    With a `run` the sums of native instructions keep 13 bits behind the point: those of `run` products are taken so,
    and added in f32. Let S be |a| @ |b|, and L the largest |a| |b| of a run, numbers below the normal range counted as
    the least normal one. Then |result - exact| <= the sum over the runs of (run + run / 16) 2^-13 max(L, S), plus (K /
    run + 2) u (|c| + S), which passes may allow in `fast` kernels. With `run` = 0 the bound is that of `dot`.
    """

    name = "dot_fp8"
    attrs = schema(native=bool, run=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        results = super().infer(types, attrs)
        names = {tile(type).dtype.name for type in types[:2]}
        require(names <= {"f8e4m3", "f8e5m2"}, "dot_fp8 takes factors of f8e4m3 and f8e5m2")
        require(
            attrs["run"] == 0 or (attrs["native"] and attrs["run"] > 0), f"dot_fp8: a run of {attrs['run']} products"
        )
        return results


PAIRS = ({"f16"}, {"bf16"}, {"i8", "u8"}, {"f8e4m3", "f8e5m2"})
"""The types of which warpgroups multiply any two."""


class WarpgroupDot(Dot):
    """c + a @ b of f16, or bf16, or 8-bit floats in f32, or of bytes in i32, which four warps compute together, with a
    in shared memory.

    A pass makes it of `dot` where the target has such instructions and they pay; a later one puts a where they read it
    (`dot_shared`). Where there is a `run`, which is no shorter than K, sums keep few bits: the bound is that of
    `dot_fp8`.
    """

    name = "dot_warpgroup"
    attrs = schema(run=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        results = super().infer(types, attrs)
        names = {tile(type).dtype.name for type in types[:2]}
        require(any(names <= pair for pair in PAIRS), "dot_warpgroup takes factors of f16, bf16, bytes or 8-bit floats")
        require(
            attrs["run"] == 0 or tile(types[0]).shape[1] <= attrs["run"], "dot_warpgroup: a run ends in the product"
        )
        return results


class SharedDot(OpDef):
    """c + a @ b, where a is a slice of a shared tensor that lies inside it."""

    name = "dot_shared"
    signature = "(tensor, start..., b, c)"
    reads_memory = True
    attrs = schema(sizes=tuple, run=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 3, "dot_shared takes a tensor, starts, a factor and what the product is added to")
        memory = tensor(types[0], "what dot_shared reads")
        require(memory.space is Space.SHARED, "dot_shared reads shared memory only")
        check_slice(memory, types[1:-2], inside(memory.rank, attrs["sizes"]), self.name)
        a = TileType(memory.dtype, slice_shape(attrs["sizes"]))
        return (product_type(a, *map(tile, types[-2:])),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        memory, *starts, b, c = operands
        type = op.operands[0].tensor
        index, mask = slice_index(memory, starts, inside(type.rank, op.attrs["sizes"]))
        return (product(type.dtype, memory.read(index, mask), op, b, c),)


def inside(rank: int, sizes: Sequence[int | None]) -> dict[str, object]:
    """The attributes of a slice of neighbours inside a tensor."""
    return {"sizes": tuple(sizes), "steps": (1,) * rank, "inbounds": (True,) * rank}


DOTS = frozenset({"dot", "dot_flushing", "dot_short", "dot_fp8", "dot_warpgroup"})
"""The names of products of tiles."""

DEFINITIONS: tuple[OpDef, ...] = (Dot(), FlushingDot(), ShortDot(), Fp8Dot(), WarpgroupDot(), SharedDot())
