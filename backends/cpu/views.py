"""Bits re-read: `view` as another type, `relayout` in another place, which means nothing to one thread.

A view without layouts re-reads the bits of the last axis. One with layouts re-reads each lane's bits: which bit of the
operand each bit of the result is, `vmc.ir.ops.views.bit_map` says, and here becomes tables of places and shifts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from llvmlite import ir

from vmc.backends.cpu.address import constant_table
from vmc.backends.cpu.elements import I32, I64, code_type, from_code, resize, step_to, to_code
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Index, Tile, moved_sources
from vmc.ir.core import Op
from vmc.ir.ops.views import bit_map


def lower_relayout(e: Emitter, op: Op) -> tuple[Tile]:
    """The same elements; the result may not be overwritten, since the operand is the same memory."""
    source = e.tile(op.operands[0])
    if source.buffer is None:
        return (replace(source),)
    return (replace(source, buffer=replace(source.buffer, owned=False)),)


def lower_view(e: Emitter, op: Op) -> tuple[Tile]:
    """Each new element gathers its bits from the old ones that hold them."""
    source, result = e.tile(op.operands[0]), op.result.tile
    if op.attrs["layout"] is not None:
        return (lane_view(e, op, e.settle(source)),)
    if not source.cheap:
        e.settle(source)
    old, new = source.dtype.width, result.dtype.width

    def at(index: Index) -> ir.Value:
        first = e.mul(index[-1], e.index(new))
        if old >= new and old % new == 0:
            place, part = e.divmod(index[-1], old // new)
            code = to_code(e.b, source.dtype, e.at(source, (*index[:-1], place)))
            shift = resize(e.b, e.mul(part, e.index(new)), code.type, signed=False)
            return finish(e, op, e.b.lshr(code, shift))
        return finish(e, op, gather_bits(e, source, index, first, new))

    tile = Tile(result.dtype, result.shape, at)
    tile.sources = moved_sources(source)
    return (tile,)


def lane_view(e: Emitter, op: Op, held: Buffer) -> Tile:
    """A view with layouts: runs of bits that lie side by side in every element, found by tables."""
    source, result = op.operands[0].tile, op.result.tile
    old, new = source.dtype.width, result.dtype.width
    bits = bit_map(source, result).reshape(result.size, new)
    together = (bits[:, 1:] == bits[:, :-1] + 1) & (bits[:, 1:] % old != 0)
    lows = [0, *(int(bit) + 1 for bit in np.flatnonzero(~np.all(together, axis=0)))]
    runs = [
        (
            low,
            end - low,
            constant_table(e, I32, [int(place) for place in bits[:, low] // old]),
            constant_table(e, I32, [int(shift) for shift in bits[:, low] % old]),
        )
        for low, end in zip(lows, [*lows[1:], new], strict=True)
    ]

    def entry(table: ir.Value, position: ir.Value) -> ir.Value:
        return e.b.zext(e.b.load(step_to(e.b, table, position, I32), typ=I32, align=4), I64)

    def flat(position: ir.Value) -> ir.Value:
        code: ir.Value = ir.Constant(I64, 0)
        for low, count, places, shifts in runs:
            element = e.read(held, entry(places, position))
            wide = resize(e.b, to_code(e.b, source.dtype, element), I64, signed=False)
            part = e.b.and_(e.b.lshr(wide, entry(shifts, position)), ir.Constant(I64, (1 << count) - 1))
            code = e.b.or_(code, e.b.shl(part, ir.Constant(I64, low)))
        return finish(e, op, code)

    tile = Tile(result.dtype, result.shape, lambda index: flat(e.linear(index, result.shape)), flat)
    tile.sources = {held: False}
    return tile


def gather_bits(e: Emitter, source: Tile, index: Index, first: ir.Value, count: int) -> ir.Value:
    """`count` bits of the last axis from a bit on, as i64."""
    old = source.dtype.width
    place, skip = e.divmod(first, old)
    result: ir.Value = ir.Constant(I64, 0)
    aligned = count % old == 0
    parts = count // old if aligned else (count + old - 2) // old + 1
    for number in range(parts):
        inside = e.call("llvm.smin.i64", I64, e.add(place, e.index(number)), e.index(source.shape[-1] - 1))
        code = to_code(e.b, source.dtype, e.at(source, (*index[:-1], inside)))
        wide = resize(e.b, code, I64, signed=False)
        up = e.index(number * old)
        if aligned:
            result = e.b.or_(result, e.b.shl(wide, up))
            continue
        shift = e.b.sub(up, skip)
        shifted = placed(e, wide, shift)
        result = e.b.or_(result, shifted)
    return result


def placed(e: Emitter, bits: ir.Value, shift: ir.Value) -> ir.Value:
    """Bits moved up, or down where the shift is negative; all out where it is 64 or more."""
    none, most = e.index(0), e.index(63)
    up, down = e.clamp(shift, none, most), e.clamp(e.b.sub(none, shift), none, most)
    moved = e.b.lshr(e.b.shl(bits, up), down)
    return e.b.select(e.b.icmp_signed(">", shift, most), none, moved)


def finish(e: Emitter, op: Op, code: ir.Value) -> ir.Value:
    """The element whose bits are the low ones of a word."""
    result = op.result.tile.dtype
    type = code_type(result)
    cut = resize(e.b, code, type, signed=False)
    if result.width < type.width:
        cut = e.b.and_(cut, ir.Constant(type, (1 << result.width) - 1))
    return from_code(e.b, result, cut)
