"""Operations on bits: logic, shifts, fields, permutations, counts, moves and selections."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmc.backends.ptxvm import syntax, taint
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step, in_turn
from vmc.backends.ptxvm.ops.integer import is_signed, signed, unsigned
from vmc.backends.ptxvm.parser import WIDTHS
from vmc.backends.ptxvm.program import TIMERS


def logic(e: Emitter) -> Step:
    """and, or, xor, not, on predicates as well."""
    apply: Callable[..., Array] = {
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert,
    }[e.root]  # fmt: skip
    sources = [e.source(i + 1) for i in range(len(e.operands) - 1)]
    return e.compute(e.result(), sources, apply, taint.bitwise(apply))


def cnot(e: Emitter) -> Step:
    return e.compute(e.result(), [e.source(1)], lambda a: (a == 0).astype(a.dtype), taint.anything(e.width))


def lop3_table(a: Array, b: Array, c: Array, table: int) -> Array:
    """The function of three bits whose value for (a, b, c) is bit 4a + 2b + c of `table`, on each bit."""
    result = np.zeros(np.broadcast_shapes(a.shape, b.shape, c.shape), a.dtype)
    na, nb, nc = ~a, ~b, ~c
    for index in range(8):
        if table >> index & 1:
            result |= (a if index & 4 else na) & (b if index & 2 else nb) & (c if index & 1 else nc)
    return result


def lop3(e: Emitter) -> Step:
    literal = e.operands[4]
    if e.has("BoolOp") or not isinstance(literal, syntax.Integer) or len(e.operands) != 5:
        e.unsupported("lop3 with a predicate")
    table = literal.value & 0xFF

    def apply(a: Array, b: Array, c: Array) -> Array:
        return lop3_table(a, b, c, table)

    sources = [e.source(i, 32) for i in (1, 2, 3)]
    return e.compute(e.result(), sources, apply, taint.bitwise(apply))


def shift_left(value: Array, amount: Array) -> Array:
    """Shifts by the width or more give 0."""
    width = value.dtype.itemsize * 8
    kept = np.minimum(amount, width - 1).astype(value.dtype)
    result: Array = np.where(amount >= width, value.dtype.type(0), value << kept)
    return result


def shift_right(value: Array, amount: Array, sign: bool) -> Array:
    """Shifts by the width or more give 0, or all copies of the sign."""
    width = value.dtype.itemsize * 8
    kept = np.minimum(amount, width - 1).astype(value.dtype)
    if sign:
        return unsigned(signed(value) >> signed(kept))
    result: Array = np.where(amount >= width, value.dtype.type(0), value >> kept)
    return result


def shl(e: Emitter) -> Step:
    return e.compute(e.result(), [e.source(1), e.source(2, 32)], shift_left, taint.moved(shift_left))


def shr(e: Emitter) -> Step:
    sign = is_signed(e.type)

    def apply(value: Array, amount: Array) -> Array:
        return shift_right(value, amount, sign)

    return e.compute(e.result(), [e.source(1), e.source(2, 32)], apply, taint.moved(apply))


def shf(e: Emitter) -> Step:
    """Funnel shifts of b:a."""
    left, clamp = e.has("l"), e.has("clamp")

    def apply(a: Array, b: Array, amount: Array) -> Array:
        n = (np.minimum(amount, 32) if clamp else amount & np.uint32(31)).astype(np.uint64)
        both = b.astype(np.uint64) << np.uint64(32) | a.astype(np.uint64)
        shifted = (both << n) >> np.uint64(32) if left else both >> n
        return shifted.astype(np.uint32)

    sources = [e.source(i, 32) for i in (1, 2, 3)]
    return e.compute(e.result(), sources, apply, taint.moved_all(apply, 1))


def prmt(e: Emitter) -> Step:
    mode = next((m for m in e.modifiers if m in ("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")), "")
    picks = {
        "f4e": ((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 6)),
        "b4e": ((0, 7, 6, 5), (1, 0, 7, 6), (2, 1, 0, 7), (3, 2, 1, 0)),
        "rc8": ((0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)),
        "ecl": ((0, 1, 2, 3), (1, 1, 2, 3), (2, 2, 2, 3), (3, 3, 3, 3)),
        "ecr": ((0, 0, 0, 0), (0, 1, 1, 1), (0, 1, 2, 2), (0, 1, 2, 3)),
        "rc16": ((0, 1, 0, 1), (2, 3, 2, 3), (0, 1, 0, 1), (2, 3, 2, 3)),
    }

    def apply(a: Array, b: Array, control: Array) -> Array:
        both = b.astype(np.uint64) << np.uint64(32) | a.astype(np.uint64)
        result = np.zeros(np.broadcast_shapes(both.shape, control.shape), np.uint64)
        for position in range(4):
            if mode:
                table = np.array([row[position] for row in picks[mode]], np.uint64)
                number, replicate = table[control & np.uint32(3)], np.zeros(1, np.bool_)
            else:
                selector = control >> np.uint32(4 * position)
                number = (selector & np.uint32(7)).astype(np.uint64)
                replicate = (selector & np.uint32(8)) != 0
            byte = (both >> (number * np.uint64(8))) & np.uint64(0xFF)
            byte = np.where(replicate, np.where(byte & np.uint64(0x80), np.uint64(0xFF), np.uint64(0)), byte)
            result |= byte << np.uint64(8 * position)
        return result.astype(np.uint32)

    sources = [e.source(i, 32) for i in (1, 2, 3)]
    return e.compute(e.result(), sources, apply, taint.moved_all(apply, 1))


def extract_field(value: Array, position: Array, length: Array, sign: bool) -> Array:
    """bfe: the field, filled with its uppermost bit if signed."""
    width = value.dtype.itemsize * 8
    start = (position & np.uint32(0xFF)).astype(np.int64)
    count = (length & np.uint32(0xFF)).astype(np.int64)
    shifted = shift_right(value, np.minimum(start, width), sign)
    ones = ~np.zeros(1, value.dtype)
    mask = np.where(
        count >= width,
        ones,
        (value.dtype.type(1) << np.minimum(count, width - 1).astype(value.dtype)) - value.dtype.type(1),
    )
    field = shifted & mask
    if not sign:
        return np.asarray(field)
    top = np.minimum(start + count - 1, width - 1)
    bit = (value >> np.maximum(top, 0).astype(value.dtype)) & value.dtype.type(1)
    filled = np.where(bit != 0, field | ~mask, field)
    return np.where(count == 0, value.dtype.type(0), filled)


def bfe(e: Emitter) -> Step:
    sign = is_signed(e.type)

    def apply(value: Array, position: Array, length: Array) -> Array:
        return extract_field(value, position, length, sign)

    sources = [e.source(1), e.source(2, 32), e.source(3, 32)]
    return e.compute(e.result(), sources, apply, taint.moved(apply))


def insert_field(a: Array, b: Array, position: Array, length: Array) -> Array:
    """bfi: the low bits of a inserted into b."""
    width = a.dtype.itemsize * 8
    start = (position & np.uint32(0xFF)).astype(np.int64)
    count = np.minimum((length & np.uint32(0xFF)).astype(np.int64), np.maximum(width - start, 0))
    one = a.dtype.type(1)
    ones = ~np.zeros(1, a.dtype)
    low = np.where(count >= width, ones, (one << np.minimum(count, width - 1).astype(a.dtype)) - one)
    mask = shift_left(low, start)
    return (shift_left(a, start) & mask) | (b & ~mask)


def bfi(e: Emitter) -> Step:
    sources = [e.source(1), e.source(2), e.source(3, 32), e.source(4, 32)]
    return e.compute(e.result(), sources, insert_field, taint.moved_all(insert_field, 2))


def bmsk(e: Emitter) -> Step:
    clamp = e.has("clamp")

    def apply(position: Array, length: Array) -> Array:
        start, count = position.astype(np.int64), length.astype(np.int64)
        if not clamp:
            start, count = start & 31, count & 31
        ones = (np.uint64(1) << np.minimum(count, 32).astype(np.uint64)) - np.uint64(1)
        return (ones << np.minimum(start, 32).astype(np.uint64)).astype(np.uint32)

    return e.compute(e.result(), [e.source(1, 32), e.source(2, 32)], apply, taint.anything(32))


def szext(e: Emitter) -> Step:
    sign, clamp = is_signed(e.type), e.has("clamp")

    def apply(value: Array, length: Array) -> Array:
        count = np.minimum(length, 32) if clamp else length & np.uint32(31)
        return extract_field(value, np.zeros(1, np.uint32), count.astype(np.uint32), sign)

    return e.compute(e.result(), [e.source(1), e.source(2, 32)], apply, taint.moved(apply))


def popc(e: Emitter) -> Step:
    return e.compute(e.result(), [e.source(1)], lambda a: count_bits(a).astype(np.uint32), taint.anything(32))


def count_bits(value: Array) -> Array:
    """How many bits are set, as uint64 (the sums in a word of Hacker's Delight, section 5-1)."""
    n = value.astype(np.uint64)
    n = n - ((n >> np.uint64(1)) & np.uint64(0x5555555555555555))
    n = (n & np.uint64(0x3333333333333333)) + ((n >> np.uint64(2)) & np.uint64(0x3333333333333333))
    n = (n + (n >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    result: Array = (n * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return result


def bit_length(value: Array) -> Array:
    """Bits up to the highest set one, as int64."""
    width = value.dtype.itemsize * 8
    smeared = value
    shift = 1
    while shift < width:
        smeared = smeared | (smeared >> value.dtype.type(shift))
        shift *= 2
    return count_bits(smeared).astype(np.int64)


def clz(e: Emitter) -> Step:
    width = e.width
    return e.compute(e.result(), [e.source(1)], lambda a: (width - bit_length(a)).astype(np.uint32), taint.anything(32))


def bfind(e: Emitter) -> Step:
    sign, shift_amount, width = is_signed(e.type), e.has("shiftamt"), e.width

    def apply(a: Array) -> Array:
        magnitude = np.where(signed(a) < 0, ~a, a) if sign else a
        position = bit_length(magnitude) - 1
        if shift_amount:
            position = np.where(position >= 0, width - 1 - position, position)
        return position.astype(np.uint32)

    return e.compute(e.result(), [e.source(1)], apply, taint.anything(32))


def reverse(value: Array) -> Array:
    """The bits in the opposite order."""
    width = value.dtype.itemsize * 8
    octets = np.ascontiguousarray(value).view(np.uint8).reshape(len(value), width // 8)
    bits = np.unpackbits(octets, axis=1, bitorder="little")[:, ::-1]
    return np.packbits(bits, axis=1, bitorder="little").view(value.dtype).reshape(-1)


def brev(e: Emitter) -> Step:
    return e.compute(e.result(), [e.source(1)], reverse, taint.moved(reverse))


def mov(e: Emitter) -> Step:
    """Copies, and packs or unpacks vectors."""
    destination, source = e.operands
    if isinstance(destination, syntax.Vector):
        return _unpack(e, destination, source)
    if isinstance(source, syntax.Vector):
        return _pack(e, destination, source)
    if isinstance(source, syntax.Name) and source.text in TIMERS:
        return _timer(e)
    slot = e.source(1)
    return e.compute(e.result(), [slot], lambda a: a, taint.moved(lambda a: a))


def _timer(e: Emitter) -> Step:
    """Clocks count the machine's steps."""
    destination = e.result()
    kind = UINT[e.program.widths[destination]]
    return lambda m: m.put(destination, np.full(1, m.step, kind))


def _pack(e: Emitter, destination: syntax.Operand, source: syntax.Vector) -> Step:
    count = len(source.elements)
    part = e.width // count
    sources = [e.source(element, part) for element in source.elements]
    whole = UINT[e.width]

    def apply(*parts: Array) -> Array:
        result = parts[0].astype(whole)
        for index, value in enumerate(parts[1:], 1):
            result = result | value.astype(whole) << whole(index * part)
        return result

    return e.compute(e.result(destination), sources, apply, taint.moved_all(apply, 0))


def _unpack(e: Emitter, destination: syntax.Vector, source: syntax.Operand) -> Step:
    count = len(destination.elements)
    part = e.width // count
    slot = e.source(source)
    steps = []
    for index, element in enumerate(destination.elements):
        if isinstance(element, syntax.Name) and element.text == "_":
            continue
        apply = _part_of(UINT[e.width](index * part), UINT[part])
        steps.append(e.compute(e.result(element), [slot], apply, taint.moved(apply)))
    return in_turn(steps)


def _part_of(shift: np.unsignedinteger, kind: type[np.unsignedinteger]) -> Callable[[Array], Array]:
    return lambda value: (value >> shift).astype(kind)


def selp(e: Emitter) -> Step:
    slot, negated = e.predicate(e.operands[3])
    sources = [e.source(1), e.source(2), slot]
    if negated:
        sources = [sources[1], sources[0], slot]
    return e.compute(e.result(), sources, lambda a, b, p: np.asarray(np.where(p, a, b)), taint.select)


def slct(e: Emitter) -> Step:
    """Chooses by the sign of the third operand."""
    kind, by = e.types
    control = e.source(3, WIDTHS[by], by)

    def apply(a: Array, b: Array, c: Array) -> Array:
        choice = signed(c) >= 0 if by == "s32" else c.view(np.float32) >= 0
        return np.asarray(np.where(choice, a, b))

    return e.compute(
        e.result(), [e.source(1, WIDTHS[kind], kind), e.source(2, WIDTHS[kind], kind), control],
        apply, taint.anything(WIDTHS[kind]),
    )  # fmt: skip
