"""Elementwise operations: one recipe per element over the operands' recipes.

What is done to an element is a function of LLVM values that takes vectors as well, lane by lane.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu import arith, casts, small_floats
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Tile
from vmc.ir.core import Op
from vmc.ir.types import DType

DIVISIONS = ("floordiv", "mod")


def is_liftable(name: str, dtypes: Sequence[DType]) -> bool:
    """Whether an operation on operands of these dtypes is one of vectors in machine code, too.

    True of every elementwise operation but the few that LLVM takes apart, lane by lane: divisions, and products of more
    than 64 bits. Their results are right on vectors, but better computed once and kept in memory.
    """
    if name in ("select", "cast", "bitcast"):
        return True
    table = arith.INTEGER if dtypes[0].is_int else arith.FLOATING
    return name in table and name not in DIVISIONS and not (name == "mulhi" and dtypes[0].width > 32)


def lower_step(e: Emitter, op: Op) -> tuple[Tile]:
    """An operation of `arith`, on operands of one dtype."""
    name, dtype = op.name, op.operands[0].tile.dtype
    tiles = [e.tile(operand) for operand in op.operands]
    return (e.map(op.result.tile.dtype, tiles, lambda *elements: arith.step(e, name, dtype, *elements)),)


def choose(e: Emitter, condition: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
    """a where the u1 holds, else b."""
    return e.b.select(e.truth(condition), a, b)


def lower_select(e: Emitter, op: Op) -> tuple[Tile]:
    tiles = [e.tile(operand) for operand in op.operands]
    return (e.map(op.result.tile.dtype, tiles, lambda *elements: choose(e, *elements)),)


def lower_cast(e: Emitter, op: Op) -> tuple[Tile]:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    rounding, saturate = str(op.attrs["rounding"]), op.attrs["saturate"]
    assert saturate is None or isinstance(saturate, bool)

    def convert(element: ir.Value, noise: ir.Value | None = None) -> ir.Value:
        return casts.cast(e, source, target, casts.Mode(rounding, saturate, noise), element)

    tiles = [e.tile(operand) for operand in op.operands]
    tile = e.map(target, tiles, convert)
    if source.is_float and not saturate and casts.fits(source, target):
        tile.same = tiles[0]
        small_floats.by_rows(e, tile, tiles[0])
    return (tile,)


def lower_bitcast(e: Emitter, op: Op) -> tuple[Tile]:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    return (e.map(target, [e.tile(op.operands[0])], lambda element: casts.bitcast(e, source, target, element)),)
