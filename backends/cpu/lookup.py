"""Tables of bytes looked up for a whole vector of codes at once, by the byte permutations that a processor has."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu.elements import I8, I16, I32
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.vectors import ROWS, joined, shuffle, splat, undefined

SIGN = 0x80
LINE = 16
"""Entries that a byte shuffle inside 16 bytes looks up."""
CODES = 64
"""Codes of a vector of 64 bytes."""


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


def look_up_words(e: Emitter, table: Sequence[int], codes: ir.Value, rows: int) -> ir.Value:
    """table[code] in every lane, of 16 bits each, for an atom of codes of so many rows."""
    if rows == ROWS and codes.type.count == CODES and "avx512bw" in e.machine.features:
        return words_by_halves(e, table, codes)
    return bytes_in_words(e, *bytes_of_words(e, table, codes))


def bytes_of_words(e: Emitter, table: Sequence[int], codes: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The low bytes and the high bytes of what the codes stand for."""
    low, high = (look_up(e, [word >> place & 255 for word in table], codes) for place in (0, 8))
    return low, high


def bytes_in_words(e: Emitter, low: ir.Value, high: ir.Value) -> ir.Value:
    """Low bytes and high bytes side by side."""
    count = low.type.count
    bytes = shuffle(e.b, low, high, [lane for i in range(count) for lane in (i, count + i)])
    return e.b.bitcast(bytes, ir.VectorType(I16, count))


def words_by_halves(e: Emitter, table: Sequence[int], codes: ir.Value) -> ir.Value:
    """The same of atoms of 4 rows, most uses of which are two rows at a time: codes first change places inside each 16
    bytes, so that words of two rows are what an unpacking of low and high bytes gives.
    """
    places = [line + 4 * column + row for line in range(0, CODES, LINE) for row in (0, 2) for column in range(4)]
    moved = shuffle(e.b, codes, codes, [place + i for place in places for i in (0, 1)])
    low, high = bytes_of_words(e, table, moved)
    halves = []
    for half in (0, LINE // 2):
        lanes = [line + half + i for line in range(0, CODES, LINE) for i in range(LINE // 2)]
        halves.append(shuffle(e.b, low, high, [lane for i in lanes for lane in (i, CODES + i)]))
    low, high = (e.b.bitcast(half, ir.VectorType(I32, CODES // 4)) for half in halves)
    atom = shuffle(e.b, low, high, [lane for i in range(CODES // 4) for lane in (i, CODES // 4 + i)])
    return e.b.bitcast(atom, ir.VectorType(I16, CODES))


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
    if count > (32 if "avx2" in e.machine.features else 16):
        halves = [shuffle(e.b, codes, undefined(codes.type), range(s, s + count // 2)) for s in (0, count // 2)]
        return joined(e.b, *(shuffled(e, table, half) for half in halves))
    wide = codes if count >= 16 else shuffle(e.b, codes, undefined(codes.type), [min(i, count - 1) for i in range(16)])
    by_sign = len(table) > LINE and not has_masks(e) and mirrored(table)
    found = signed(e, table, wide) if by_sign else by_lines(e, table, wide, len(table))
    return found if count >= 16 else shuffle(e.b, found, undefined(found.type), range(count))


def by_lines(e: Emitter, table: Sequence[int], codes: ir.Value, below: int) -> ir.Value:
    """The same of 16 or 32 codes below a power of two: each line of the table looked up by the low four bits, and
    chosen by those above.
    """
    count = codes.type.count
    within = e.b.and_(codes, splat(e.b, ir.Constant(I8, SIGN - 1), count)) if below > SIGN else codes
    name = "llvm.x86.avx2.pshuf.b" if count == 32 else "llvm.x86.ssse3.pshuf.b.128"

    def find(part: Sequence[int]) -> ir.Value:
        if len(set(part)) == 1:
            return constant(part, count)
        if len(part) <= LINE:
            return e.call(name, codes.type, constant(part, count), within)
        half = len(part) // 2
        return chosen(e, codes, half, find(part[:half]), find(part[half:]))

    return find(table)


def signed(e: Emitter, table: Sequence[int], codes: ir.Value) -> ir.Value:
    """The same of a mirrored table: half of it, above the first entry, is looked up."""
    half, count = len(table) // 2, codes.type.count
    above = by_lines(e, [(entry - table[0]) % 256 for entry in table[:half]], codes, len(table))
    name = "llvm.x86.avx2.psign.b" if count == 32 else "llvm.x86.ssse3.psign.b.128"
    found = e.call(name, codes.type, above, raised(e, codes, half))
    return e.b.add(found, splat(e.b, ir.Constant(I8, table[0]), count))


def raised(e: Emitter, codes: ir.Value, bit: int) -> ir.Value:
    """Codes whose top bit is one of theirs; the bits below are anything, but of a code that is not 0 not all are 0."""
    words = ir.VectorType(I16, codes.type.count // 2)
    distance = splat(e.b, ir.Constant(I16, SIGN.bit_length() - bit.bit_length()), words.count)
    return e.b.bitcast(e.b.shl(e.b.bitcast(codes, words), distance), codes.type)


def mirrored(table: Sequence[int]) -> bool:
    """Whether the upper half is as far below the first entry as the lower half is above it, by at most 127."""
    half = len(table) // 2
    above = [entry - table[0] for entry in table[:half]]
    return [table[0] - entry for entry in table[half:]] == above and max(map(abs, above)) < SIGN


def has_masks(e: Emitter) -> bool:
    """Whether registers of masks choose bytes; else their top bits do."""
    return "avx512bw" in e.machine.features


def chosen(e: Emitter, codes: ir.Value, bit: int, low: ir.Value, high: ir.Value) -> ir.Value:
    """`high` where the codes have a bit."""
    zeros = splat(e.b, ir.Constant(I8, 0), codes.type.count)
    if not has_masks(e):
        return e.b.select(e.b.icmp_signed("<", raised(e, codes, bit), zeros), high, low)
    masked = e.b.and_(codes, splat(e.b, ir.Constant(I8, bit), codes.type.count))
    return e.b.select(e.b.icmp_unsigned("!=", masked, zeros), high, low)
