"""Elementwise operations: one recipe per element over the operands' recipes."""

from __future__ import annotations

from llvmlite import ir

from vmc.backends.cpu import arith, casts
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Tile
from vmc.ir.core import Op


def lower_step(e: Emitter, op: Op) -> tuple[Tile]:
    """An operation of `arith`, on operands of one dtype."""
    name, dtype = op.name, op.operands[0].tile.dtype
    tiles = [e.tile(operand) for operand in op.operands]
    return (e.map(op.result.tile.dtype, tiles, lambda *elements: arith.step(e, name, dtype, *elements)),)


def lower_select(e: Emitter, op: Op) -> tuple[Tile]:
    def choose(condition: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
        return e.b.select(e.truth(condition), a, b)

    return (e.map(op.result.tile.dtype, [e.tile(operand) for operand in op.operands], choose),)


def lower_cast(e: Emitter, op: Op) -> tuple[Tile]:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    rounding, saturate = str(op.attrs["rounding"]), op.attrs["saturate"]
    assert saturate is None or isinstance(saturate, bool)

    def convert(element: ir.Value, noise: ir.Value | None = None) -> ir.Value:
        return casts.cast(e, source, target, casts.Mode(rounding, saturate, noise), element)

    return (e.map(target, [e.tile(operand) for operand in op.operands], convert),)


def lower_bitcast(e: Emitter, op: Op) -> tuple[Tile]:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    return (e.map(target, [e.tile(op.operands[0])], lambda element: casts.bitcast(e, source, target, element)),)
