"""Relayouts within a warp: lanes exchange slots by shuffles, as many narrow elements at once as a word holds."""

from __future__ import annotations

from vmc.backends.cuda.arith import from_code, to_code
from vmc.backends.cuda.emitter import Emitter, Tile
from vmc.backends.cuda.tir import I32, U32, Expr, binary, call, const, container, select
from vmc.ir.core import Op
from vmc.ir.passes.gpu.swaps import Exchange
from vmc.ir.types import DType

ALL_LANES = 0xFFFFFFFF
WORD = 32


def exchanged(e: Emitter, op: Op, source: Tile, found: Exchange) -> Tile:
    """A tile in the layout of a relayout's result."""
    made = e.tile(op.result.tile, op.result.name)
    count = source.registers.slots
    together = shared_bits(found, source.dtype.width, count)
    held = packed(e, source, together)
    for lane, slot in found.swaps:
        swap(e, held, lane, 1 << slot, container(source.dtype))
    for number, slot in enumerate(found.slots):
        e.put(made.buffer, number, unpacked(held, slot, together, source.dtype))
    return made


def shared_bits(found: Exchange, width: int, count: int) -> list[int]:
    """The bits of slots that no swap touches, and whose elements share a word: as many as elements of a width fit."""
    if width not in (8, 16):
        return []
    fixed = [bit for bit in range(count.bit_length() - 1) if all(bit != slot for _, slot in found.swaps)]
    return fixed[: (WORD // width).bit_length() - 1]


def packed(e: Emitter, source: Tile, together: list[int]) -> dict[int, Expr]:
    """The words, by the slot of the first element in each."""
    words: dict[int, Expr] = {}
    width = source.dtype.width
    for slot in range(source.registers.slots):
        first, place = parted(slot, together)
        value = e.held(source, slot)
        if together:
            value = binary("BitwiseAnd", to_code(source.dtype, value), const((1 << width) - 1, U32))
            value = value << const(width * place, U32) if place else value
        words[first] = binary("BitwiseOr", words[first], value) if first in words else value
    return {first: e.let(word, container(source.dtype), "x") for first, word in words.items()}


def parted(slot: int, together: list[int]) -> tuple[int, int]:
    """The first slot of a word, and the place of a slot in it."""
    place = sum((slot >> bit & 1) << number for number, bit in enumerate(together))
    return slot & ~sum(1 << bit for bit in together), place


def unpacked(held: dict[int, Expr], slot: int, together: list[int], dtype: DType) -> Expr:
    first, place = parted(slot, together)
    if not together:
        return held[first]
    word = held[first] >> const(dtype.width * place, U32) if place else held[first]
    return from_code(dtype, binary("BitwiseAnd", word, const((1 << dtype.width) - 1, U32)))


def swap(e: Emitter, held: dict[int, Expr], lane: int, slot: int, kind: str) -> None:
    """Every pair of words whose slots differ in a bit: a lane keeps one, and trades the other for its neighbour's."""
    upper = e.let(binary("BitwiseAnd", e.thread >> const(lane, I32), const(1, I32)), I32, "upper")
    high = binary("NE", upper, const(0, I32))
    for first in [number for number in held if not number & slot]:
        low, second = held[first], held[first | slot]
        sent = e.let(select(high, low, second), kind, "sent")
        came = e.let(call(kind, "__shfl_xor_sync", const(ALL_LANES, U32), sent, const(1 << lane, I32)), kind, "came")
        held[first] = e.let(select(high, came, low), kind, "x")
        held[first | slot] = e.let(select(high, second, came), kind, "x")
