"""Bits re-read: `view` as another type, `relayout` in another place, which means nothing to one thread."""

from __future__ import annotations

from dataclasses import replace

from llvmlite import ir

from vmc.backends.cpu.elements import I64, code_type, from_code, resize, to_code
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Index, Tile, moved_sources
from vmc.ir.core import IRError, Op


def lower_relayout(e: Emitter, op: Op) -> tuple[Tile]:
    """The same elements; the result may not be overwritten, since the operand is the same memory."""
    source = e.tile(op.operands[0])
    if source.buffer is None:
        return (replace(source),)
    return (replace(source, buffer=replace(source.buffer, owned=False)),)


def lower_view(e: Emitter, op: Op) -> tuple[Tile]:
    """Along the last axis: each new element gathers its bits from the old ones that hold them."""
    if op.attrs["layout"] is not None:
        raise IRError("a view of a tile with a layout is not there on the CPU yet", op.span)
    source, result = e.tile(op.operands[0]), op.result.tile
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
