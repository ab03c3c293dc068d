"""`decode`: the operations of a decoder on the words of a thread."""

from __future__ import annotations

from vmc.backends.cuda.arith import to_code
from vmc.backends.cuda.emitter import Emitter, Tile
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.tir import I32, U32, Expr, binary, call, const
from vmc.backends.cuda.words import Words
from vmc.ir.core import Op
from vmc.ir.decode import KINDS, Decoder, Imm, Operation
from vmc.ir.passes.gpu.decoding import decoder_of

SHIFTS = {"shl", "shr"}
WORD = 32


def lower_decode(e: Emitter, op: Op) -> None:
    """Every unit of words through the decoder's operations. Raises UnsupportedError for words in another order."""
    words = e.values[op.operands[0]]
    table = op.attrs["values"]
    decoder = decoder_of(op)
    if decoder is None:
        raise UnsupportedError("no decoder makes these values of their codes", op.span)
    made = e.tile(op.result.tile, op.result.name)
    slots = slots_of(words, decoder) if isinstance(words, Words) else None
    if slots is None:
        words, slots = assembled(e, words, decoder)
    per = KINDS[decoder.kind]
    size = WORD // per
    for unit in range(len(slots) // decoder.codes):
        first = unit * decoder.words
        inputs = [e.get(words.buffer, first + number) for number in range(decoder.words)]
        for number, result in enumerate(executed(e, decoder, inputs)):
            start = unit * decoder.codes + number * per
            made.words[tuple(slots[start : start + per])] = result
            for part, slot in enumerate(slots[start : start + per]):
                e.put(made.buffer, slot, cut(result, part * size, size, table.dtype.name == "i8"))
    e.define(op.result, made)


def slots_of(words: Words, decoder: Decoder) -> list[int] | None:
    """The slot of every code, in the decoder's order; None where the words hold codes in another one."""
    found = {tuple(WORD * word + bit for word, bit in places): slot for slot, places in enumerate(words.places)}
    slots = []
    for unit in range(words.count // decoder.words):
        for places in decoder.order:
            slot = found.get(tuple(WORD * decoder.words * unit + place for place in places))
            if slot is None:
                return None
            slots.append(slot)
    return slots if len(slots) == len(words.places) else None


def assembled(e: Emitter, tile: Tile | Words, decoder: Decoder) -> tuple[Words, list[int]]:
    """Words in the decoder's order, put together of codes in slots or of words in another order; the slot of each code.

    Places for which there is no code repeat the last one.
    """
    count = len(tile.places) if isinstance(tile, Words) else tile.registers.slots
    units = -(-count // decoder.codes)
    slots = [min(number, count - 1) for number in range(units * decoder.codes)]
    buffer = e.buffer(U32, units * decoder.words, "w")
    codes = [code_in(e, tile, slot) for slot in range(count)]
    for unit in range(units):
        for word in range(decoder.words):
            total: Expr = const(0, U32)
            for number, places in enumerate(decoder.order):
                code = codes[slots[unit * decoder.codes + number]]
                for bit, place in enumerate(places):
                    if place // WORD == word:
                        one = binary("BitwiseAnd", code >> const(bit, U32), const(1, U32))
                        total = binary("BitwiseOr", total, one << const(place % WORD, U32))
            e.put(buffer, unit * decoder.words + word, total)
    return Words(tile.dtype, buffer, units * decoder.words, ()), slots


def code_in(e: Emitter, tile: Tile | Words, slot: int) -> Expr:
    """The code in a slot, with zeros above."""
    if isinstance(tile, Tile):
        return e.let(to_code(tile.dtype, e.held(tile, slot)), U32, "c")
    total: Expr = const(0, U32)
    for bit, (word, place) in enumerate(tile.places[slot]):
        one = binary("BitwiseAnd", e.get(tile.buffer, word) >> const(place, U32), const(1, U32))
        total = binary("BitwiseOr", total, one << const(bit, U32))
    return e.let(total, U32, "c")


def executed(e: Emitter, decoder: Decoder, inputs: list[Expr]) -> list[Expr]:
    """The decoder's operations, emitted; its results."""
    values = list(inputs)
    for operation in decoder.program.operations:
        values.append(e.let(emitted(operation, values), U32, "d"))
    return [values[number] for number in decoder.program.results]


def emitted(operation: Operation, values: list[Expr]) -> Expr:
    """One operation as an expression."""
    operands = [const(x.value, U32) if isinstance(x, Imm) else values[x] for x in operation.operands]
    match operation.name:
        case "shl":
            return operands[0] << operands[1]
        case "shr":
            return operands[0] >> operands[1]
        case "rotr":
            return call(U32, "__funnelshift_r", operands[0], operands[0], operands[1])
        case "add":
            return binary("Add", *operands)
        case "prmt":
            return call(U32, "__byte_perm", *operands)
        case "lop3":
            *words, table = operation.operands
            assert isinstance(table, Imm) and len(words) == 3
            return call(U32, f"vmc_lop3_{table.value:02x}", *operands[:3])
        case name:
            return call(U32, f"vmc_{name.replace('.', '_')}", *operands)


def cut(word: Expr, start: int, size: int, signed: bool) -> Expr:
    """An element of a packed register, as containers hold it."""
    if size == 16:
        return word >> const(16, U32) if start else binary("BitwiseAnd", word, const(0xFFFF, U32))
    moved = word << const(WORD - start - size, U32)
    if signed:
        from vmc.backends.cuda.tir import cast

        return cast(cast(moved, I32) >> const(WORD - size, I32), U32)
    return moved >> const(WORD - size, U32)
