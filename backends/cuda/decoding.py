"""`decode`: the operations of a decoder on the words of a thread."""

from __future__ import annotations

from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.tir import I32, U32, Expr, binary, call, const
from vmc.backends.cuda.words import Words
from vmc.ir.core import Op
from vmc.ir.decode import KINDS, Decoder, Imm, Operation
from vmc.ir.passes.gpu.decoding import decoder_for

SHIFTS = {"shl", "shr"}
WORD = 32


def lower_decode(e: Emitter, op: Op) -> None:
    """Every unit of words through the decoder's operations. Raises UnsupportedError for words in another order."""
    words = e.values[op.operands[0]]
    table = op.attrs["values"]
    decoder = decoder_for(op.operands[0].tile.dtype, table.dtype, table.array())
    if decoder is None or not isinstance(words, Words):
        raise UnsupportedError("decoding takes words in the order of a decoder, which these are not", op.span)
    slots = slots_of(words, decoder)
    if slots is None:
        raise UnsupportedError("the words to decode are not in the order of their decoder", op.span)
    made = e.tile(op.result.tile, op.result.name)
    per = KINDS[decoder.kind]
    size = WORD // per
    for unit in range(len(slots) // decoder.codes):
        first = unit * decoder.words
        inputs = [e.get(words.buffer, first + number) for number in range(decoder.words)]
        for number, result in enumerate(executed(e, decoder, inputs)):
            for part in range(per):
                slot = slots[unit * decoder.codes + number * per + part]
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
