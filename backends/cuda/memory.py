"""Tensors in global and shared memory: addresses of elements, and reads and writes of elements and runs of bits.

Elements of 8, 16, 32 and 64 bits that lie at multiples of their size are accessed as such; everything else bit by bit
of bytes. Writing a part of a byte must not disturb the rest, which other threads, or blocks, may be writing: it is done
by an atomic `and` and an atomic `or` on the word of 32 bits around it, and what is both read and written so is read by
words, too, with relaxed loads, as the memory model wants of accesses that meet. A word is accessed in one of the two
ways: what shares words with such elements is written atomically itself. (So a tensor of narrow elements is taken to lie
in whole words of memory.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from vmc.backends.cuda.arith import code_kind, from_code, to_code
from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.tir import F32, F64, I32, I64, U32, U64, Expr, binary, cast, const, select, tirx
from vmc.ir.core import Space, Storage, TensorType
from vmc.ir.layout import BIT, Digit
from vmc.ir.layout.digits import split
from vmc.ir.layout.planes import Plane
from vmc.ir.layout.swizzle import Swizzle

NATIVE = (8, 16, 32, 64)
WORD = 32


@dataclass(frozen=True)
class Memory:
    """A tensor: `pointer` to bytes, the first bit of the tensor behind it, extents as expressions.

    Places in device memory are computed in 64 bits, those in shared memory in 32.
    """

    type: TensorType
    pointer: Any
    bit_offset: int
    extents: tuple[Expr, ...]
    is_part: bool = False

    @property
    def shares_words(self) -> bool:
        """Whether threads may write different parts of one word: narrow elements, or parts of blocks."""
        return (
            self.type.access.writable and not self.is_shared and (self.width < 8 or self.width % 8 > 0 or self.is_part)
        )

    @property
    def is_shared(self) -> bool:
        return self.type.space is Space.SHARED

    @property
    def index_kind(self) -> str:
        return I32 if self.is_shared else I64

    def number(self, value: int) -> Expr:
        """A constant among places."""
        return const(value, self.index_kind)

    @property
    def width(self) -> int:
        return self.type.dtype.width

    @property
    def is_native(self) -> bool:
        """Whether every element is a machine word at a multiple of its size."""
        placed = self.type.storage is None and self.width in NATIVE and self.bit_offset % self.width == 0
        return placed and not (self.shares_words and self.width < WORD)


def add(a: Expr, b: Expr) -> Expr:
    return binary("Add", a, b)


def mul(a: Expr, b: Expr) -> Expr:
    return binary("Mul", a, b)


def flat_index(memory: Memory, index: Sequence[Expr]) -> Expr:
    """The row-major number of an element."""
    total = index[0] if index else memory.number(0)
    for extent, line in zip(memory.extents[1:], index[1:], strict=True):
        total = add(mul(total, extent), line)
    return total


def view(e: Emitter, memory: Memory, kind: str) -> Any:
    """The memory as a buffer of a machine type."""
    return e.view(memory.pointer, kind)


def machine_kind(memory: Memory) -> str:
    """The machine type of a native element in memory."""
    dtype = memory.type.dtype
    if dtype.name in ("f32", "f64"):
        return F32 if dtype.name == "f32" else F64
    signed = dtype.is_int and not dtype.is_uint
    return f"{'int' if signed else 'uint'}{memory.width}"


def read(e: Emitter, memory: Memory, index: Sequence[Expr]) -> Expr:
    """The element at an index inside the tensor."""
    dtype = memory.type.dtype
    if memory.is_native:
        place = flat_index(memory, index)
        if memory.bit_offset:
            place = add(place, memory.number(memory.bit_offset // memory.width))
        loaded = e.get(view(e, memory, machine_kind(memory)), place)
        return from_memory(memory, loaded)
    code = None
    for address, bits, shift, alignment in pieces(memory, index):
        part = read_bits(e, memory, address, bits, alignment, code_kind(dtype))
        part = part << const(shift, code_kind(dtype)) if shift else part
        code = part if code is None else binary("BitwiseOr", code, part)
    return from_code(dtype, code)


def from_memory(memory: Memory, loaded: Expr) -> Expr:
    """The element of a native machine value."""
    kind = machine_kind(memory)
    if kind in (F32, F64, U32, U64):
        return loaded
    if kind in (I32, I64):
        return cast(loaded, code_kind(memory.type.dtype))
    signed = kind.startswith("int")
    return cast(cast(loaded, I32), U32) if signed else cast(loaded, U32)


def write(e: Emitter, memory: Memory, index: Sequence[Expr], value: Expr) -> None:
    """Writes an element at an index inside the tensor."""
    dtype = memory.type.dtype
    if memory.is_native:
        place = flat_index(memory, index)
        if memory.bit_offset:
            place = add(place, memory.number(memory.bit_offset // memory.width))
        kind = machine_kind(memory)
        stored = value if kind in (F32, F64, U32, U64) else cast(value, kind)
        e.put(view(e, memory, kind), place, stored)
        return
    code = e.let(to_code(dtype, value), code_kind(dtype), "code")
    for address, bits, shift, alignment in pieces(memory, index):
        part = code >> const(shift, code_kind(dtype)) if shift else code
        write_bits(e, memory, address, bits, alignment, part)


Piece = tuple[Expr, int, int, int]
"""A run of an element's bits in memory: the bit address, how many, which bit of the code is the first, and what
the address is a multiple of."""


def pieces(memory: Memory, index: Sequence[Expr]) -> list[Piece]:
    """The runs of bits of an element."""
    storage, start = memory.type.storage, memory.bit_offset
    if storage is None:
        address = mul(flat_index(memory, index), memory.number(memory.width))
        return [(shifted(memory, address, start), memory.width, 0, gcd(start, memory.width))]
    return stored_pieces(memory, storage, index)


def stored_pieces(memory: Memory, storage: Storage, index: Sequence[Expr]) -> list[Piece]:
    """Of a tensor in blocks: the block's place, and where the layout puts the element in it.

    Raises UnsupportedError where the bits of a block are shuffled.
    """
    if storage.shuffle is not None:
        raise UnsupportedError("single elements of a tensor with shuffled bits are not accessed")
    long = memory.number
    block, inner = long(0), long(0)
    for dim in storage.dimensions:
        size = long(storage.block[dim])
        count = binary("Div", add(memory.extents[dim], long(storage.block[dim] - 1)), size)
        block = add(mul(block, count), binary("Div", index[dim], size))
    for line, extent in zip(index, storage.block, strict=True):
        inner = add(mul(inner, long(extent)), binary("Mod", line, long(extent)))
    base = add(mul(block, long(storage.pitch)), long(memory.bit_offset))
    layout = storage.layout if storage.layout.element_bits else storage.layout.with_bits(memory.width)
    found: list[Piece] = []
    first = 0
    for plane in layout.planes:
        elements, bits = split(plane.digits, plane.bits)
        place = walked(memory, elements, inner, dict(plane.offset).get(BIT, 0))
        runs = [(0, 0, plane.bits)] if is_run(bits, plane) else [(n, bit_place(bits, n), 1) for n in range(plane.bits)]
        for number, distance, length in runs:
            address = shifted(memory, place, distance)
            if layout.swizzle is not None:
                address = swizzled(memory, address, layout.swizzle)
            steps = [d.stride for d in elements]
            alignment = gcd(storage.pitch, memory.bit_offset, dict(plane.offset).get(BIT, 0) + distance, *steps)
            alignment = alignment if layout.swizzle is None else gcd(alignment, 1 << layout.swizzle.base)
            found.append((add(base, address), length, first + number, alignment))
        first += plane.bits
    return found


def is_run(bits: Sequence[Digit], plane: Plane) -> bool:
    """Whether the bits of an element lie side by side."""
    return plane.bits == 1 or tuple(bits) == (Digit(plane.bits, 1, BIT),)


def bit_place(bits: Sequence[Digit], number: int) -> int:
    """Where a bit lies behind its element's first."""
    place = 0
    for digit in reversed(bits):
        place += number % digit.extent * digit.stride
        number //= digit.extent
    return place


def walked(memory: Memory, digits: Sequence[Digit], flat: Expr, start: int) -> Expr:
    """The place of a row-major number."""
    long = memory.number
    total, weight = long(start), 1
    for digit in reversed(digits):
        part = binary("Mod", binary("Div", flat, long(weight)), long(digit.extent))
        total = add(total, mul(part, long(digit.stride)))
        weight *= digit.extent
    return total


def swizzled(memory: Memory, address: Expr, swizzle: Swizzle) -> Expr:
    mask = ((1 << swizzle.bits) - 1) << swizzle.base
    moved = binary("BitwiseAnd", address >> memory.number(swizzle.shift), memory.number(mask))
    return binary("BitwiseXor", address, moved)


def shifted(memory: Memory, address: Expr, distance: int) -> Expr:
    return add(address, memory.number(distance)) if distance else address


def read_bits(e: Emitter, memory: Memory, address: Expr, bits: int, alignment: int, kind: str) -> Expr:
    """So many bits from a bit address on, in an unsigned container with zeros above."""
    long = memory.number
    if bits in NATIVE and alignment % bits == 0 and not (memory.shares_words and bits < WORD):
        return cast(e.get(view(e, memory, f"uint{bits}"), binary("Div", address, long(bits))), kind)
    if memory.shares_words:
        return read_words(e, memory, address, bits, alignment, kind)
    data = view(e, memory, "uint8")
    byte = e.let(address >> long(3), memory.index_kind, "byte")
    if alignment % 8 == 0:
        count, shift = -(-bits // 8), None
    else:
        first = cast(binary("BitwiseAnd", address, long(7)), U32)
        shift = e.let(first, U32, "shift")
        count = (bits + 8 - gcd(alignment, 8) + 7) // 8
    wide = U64
    total = None
    for number in range(count):
        loaded = cast(e.get(data, shifted(memory, byte, number)), wide)
        if shift is not None and number:
            # A byte is read only where the run reaches into it: there may be nothing behind the tensor.
            reaches = binary("LT", const(8 * number, U32), add(shift, const(bits, U32)))
            loaded = select(reaches, loaded, const(0, wide))
        part = loaded << const(8 * number, wide) if number and number < 8 else loaded
        if number == 8:
            part = spill(loaded, shift)
            total = binary("BitwiseOr", total >> cast(shift, wide), part)
            return cast(masked(total, bits, wide), kind)
        total = part if total is None else binary("BitwiseOr", total, part)
    if shift is not None:
        total = total >> cast(shift, wide)
    return cast(masked(total, bits, wide), kind)


def read_words(e: Emitter, memory: Memory, address: Expr, bits: int, alignment: int, kind: str) -> Expr:
    """As `read_bits`, by words of 32 bits that other threads may be writing other parts of."""
    word = e.let(address >> memory.number(5), memory.index_kind, "word")
    shift = e.let(cast(binary("BitwiseAnd", address, memory.number(31)), U32), U32, "shift")
    count = (bits + 32 - gcd(alignment, 32) + 31) // 32
    data, parts = view(e, memory, U32), []
    for number in range(count):
        target = tirx().address_of(e.get(data, shifted(memory, word, number)))
        reaches = binary("LT", const(32 * number, U32), binary("Add", shift, const(bits, U32)))
        loaded = cast(tirx().call_extern(U32, "vmc_load_word", target), U64)
        parts.append(loaded if number == 0 else select(reaches, loaded, const(0, U64)))
    total = parts[0] if count == 1 else binary("BitwiseOr", parts[0], parts[1] << const(32, U64))
    total = total >> cast(shift, U64)
    if count == 3:
        total = binary("BitwiseOr", total, spill(parts[2], shift))
    return cast(masked(total, bits, U64), kind)


def spill(ninth: Expr, shift: Expr | None) -> Expr:
    """The bits behind the first 64, where they go after the shift by `shift`."""
    assert shift is not None
    amount = binary("Sub", const(64, U32), shift)
    none = binary("EQ", shift, const(0, U32))
    return select(none, const(0, U64), ninth << cast(select(none, const(0, U32), amount), U64))


def masked(value: Expr, bits: int, kind: str) -> Expr:
    return value if bits == 64 else binary("BitwiseAnd", value, const((1 << bits) - 1, kind))


def write_bits(e: Emitter, memory: Memory, address: Expr, bits: int, alignment: int, code: Expr) -> None:
    """Writes the low bits of a code at a bit address."""
    long = memory.number
    if bits in NATIVE and alignment % bits == 0 and not (memory.shares_words and bits < WORD):
        e.put(view(e, memory, f"uint{bits}"), binary("Div", address, long(bits)), cast(code, f"uint{bits}"))
        return
    whole = cast(code, U64)
    value = e.let(masked(whole, bits, U64), U64, "bits")
    place = e.let(address, memory.index_kind, "place")
    # In each word of 32 bits that the run reaches into, its part is cleared and set.
    words = (bits + 32 - gcd(alignment, 32) + 31) // 32
    for number in range(words):
        start = e.let(cast(binary("BitwiseAnd", place, long(31)), U64), U64, "start")
        word = e.let(add(place >> long(5), long(number)), memory.index_kind, "word")
        full = const((1 << bits) - 1, U64)
        mask, part = word_of(full, start, number), word_of(value, start, number)
        mask = e.let(mask, U32, "mask")
        with e.when([binary("NE", mask, const(0, U32))]):
            target = tirx().address_of(e.get(view(e, memory, U32), word))
            e.call("atomicAnd", target, tirx().BitwiseNot(mask))
            e.call("atomicOr", target, part)


def word_of(value: Expr, start: Expr, number: int) -> Expr:
    """The word `number` of a value of 64 bits moved up by `start` below 32."""
    if number == 0:
        return cast(value << start, U32)
    if number == 1:
        return cast((value >> const(1, U64)) >> binary("Sub", const(31, U64), start), U32)
    moved = value >> binary("Sub", const(63, U64), start)
    return cast(moved >> const(1, U64), U32)
