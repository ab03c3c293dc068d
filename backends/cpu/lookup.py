"""Tables of bytes looked up for a whole vector of codes at once, by the byte permutations that a processor has."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu.elements import I8, I16
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.vectors import joined, shuffle, splat, undefined

SIGN = 0x80
LINE = 16
"""Entries that a byte shuffle inside 16 bytes looks up."""


def look_up(e: Emitter, table: Sequence[int], codes: ir.Value) -> ir.Value:
    """table[code] in every lane. `codes` are bytes below the table's length, a power of two.

    Of a table whose halves are the same, or the same but for the top bit (floats with a sign), half is looked up.
    """
    count, half = codes.type.count, len(table) // 2
    flipped = len(table) == 256 and [entry ^ SIGN for entry in table[:half]] == list(table[half:])
    if flipped or (len(table) > LINE and table[:half] == table[half:]):
        low = splat(e.b, ir.Constant(I8, half - 1), count)
        found = look_up(e, table[:half], e.b.and_(codes, low))
        return e.b.xor(found, e.b.and_(codes, splat(e.b, ir.Constant(I8, SIGN), count))) if flipped else found
    if "avx512vbmi" in e.machine.features and count in (16, 32, 64):
        return permuted(e, table, codes)
    return shuffled(e, table, codes)


def can_look_up(e: Emitter) -> bool:
    """Whether the processor looks up bytes of a whole vector at once; AVX brings vpshufb."""
    return "avx" in e.machine.features


def look_up_words(e: Emitter, table: Sequence[int], codes: ir.Value) -> ir.Value:
    """table[code] in every lane, of 16 bits each: its low bytes and its high bytes, side by side."""
    low, high = (look_up(e, [word >> place & 255 for word in table], codes) for place in (0, 8))
    count = codes.type.count
    bytes = shuffle(e.b, low, high, [lane for i in range(count) for lane in (i, count + i)])
    return e.b.bitcast(bytes, ir.VectorType(I16, count))


def constant(table: Sequence[int], count: int) -> ir.Constant:
    """`count` bytes of a table, repeated."""
    return ir.Constant(ir.VectorType(I8, count), [table[i % len(table)] for i in range(count)])


def permuted(e: Emitter, table: Sequence[int], codes: ir.Value) -> ir.Value:
    """By vpermb, which looks up 64 entries, or vpermi2b, which looks up 128; longer tables are halved."""
    count = codes.type.count
    if len(table) > 128:
        half = len(table) // 2
        return chosen(e, codes, half, permuted(e, table[:half], codes), permuted(e, table[half:], codes))
    wide = codes
    while wide.type.count < 64:
        wide = joined(e.b, wide, undefined(wide.type))
    if len(table) == 128:
        low, high = constant(table[:64], 64), constant(table[64:], 64)
        found = e.call("llvm.x86.avx512.vpermi2var.qi.512", wide.type, low, wide, high)
    else:
        found = e.call("llvm.x86.avx512.permvar.qi.512", wide.type, constant(table, 64), wide)
    return found if count == 64 else shuffle(e.b, found, undefined(found.type), range(count))


def shuffled(e: Emitter, table: Sequence[int], codes: ir.Value) -> ir.Value:
    """By vpshufb: 16 entries in each 16 bytes."""
    count = codes.type.count
    if len(table) > LINE:
        half = len(table) // 2
        return chosen(e, codes, half, shuffled(e, table[:half], codes), shuffled(e, table[half:], codes))
    if count > (32 if "avx2" in e.machine.features else 16):
        halves = [shuffle(e.b, codes, undefined(codes.type), range(s, s + count // 2)) for s in (0, count // 2)]
        return joined(e.b, *(shuffled(e, table, half) for half in halves))
    low = e.b.and_(codes, splat(e.b, ir.Constant(I8, len(table) - 1), count))
    wide = low if count >= 16 else shuffle(e.b, low, undefined(low.type), [min(i, count - 1) for i in range(16)])
    name = "llvm.x86.avx2.pshuf.b" if wide.type.count == 32 else "llvm.x86.ssse3.pshuf.b.128"
    found = e.call(name, wide.type, constant(table, wide.type.count), wide)
    return found if count >= 16 else shuffle(e.b, found, undefined(found.type), range(count))


def chosen(e: Emitter, codes: ir.Value, bit: int, low: ir.Value, high: ir.Value) -> ir.Value:
    """`high` where the codes have a bit."""
    count = codes.type.count
    masked = e.b.and_(codes, splat(e.b, ir.Constant(I8, bit), count))
    return e.b.select(e.b.icmp_unsigned("!=", masked, splat(e.b, ir.Constant(I8, 0), count)), high, low)
