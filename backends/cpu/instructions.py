"""What multiplies: the instructions of each processor that a matrix product is made of.

| depth | a, b -> sums | instruction |
|---|---|---|
| 4 | i8, u8 -> i32 | vpdpbusd (AVX512-VNNI, AVX-VNNI); usdot on Arm; of `dot_short` vpmaddubsw into sums of 16 bits, |
|   |               | added up in 32 by vpmaddwd after some steps; else vpmaddwd twice, of words of 16 bits |
| 2 | bf16, bf16 -> f32 | vdpbf16ps (AVX512-BF16), of `dot_flushing` |
| 1 | any | multiply-add of the sums' own type |

`depth` rows of b meet `depth` consecutive elements of a row of a, which are one word spread over all lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from llvmlite import ir

from vmc.backends.cpu.elements import BFLOAT, DOUBLE, FLOAT, I16, I32, element_type, step_to
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.target import Machine
from vmc.backends.cpu.tiles import Scope, Tile
from vmc.backends.cpu.vectors import Place, Spot, joined, shuffle, splat
from vmc.ir.types import DType, dtype

Combine = Callable[[Emitter, ir.Value, ir.Value, ir.Value], ir.Value]
ATOM_COLUMNS = 16


@dataclass(frozen=True)
class Short:
    """Sums of 16 bits: `multiply(e, left, right)` gives them for one step, two to a column; `run` steps' may be added
    up before `widen(e, sums, short)` adds them to the sums of 32 bits.
    """

    run: int
    multiply: Callable[[Emitter, ir.Value, ir.Value], ir.Value]
    widen: Callable[[Emitter, ir.Value, ir.Value], ir.Value]


@dataclass(frozen=True)
class Instruction:
    """`combine(e, sums, left, right)` gives new sums, in about `length` instructions. `lanes` are the columns of a
    vector of sums. With `short`, sums of 16 bits stand between the products and the sums; with `wide_left`, bytes on
    the left are kept as words of 16 bits.
    """

    name: str
    depth: int
    lanes: int
    combine: Combine
    length: int = 1
    short: Short | None = None
    wide_left: bool = False

    @property
    def together(self) -> int:
        """How many steps along k a body of a loop has at least."""
        return self.short.run if self.short else 1

    def operand(self, source: DType, sums: DType) -> DType:
        """The type that an operand is multiplied in."""
        return source if self.depth > 1 else sums

    def left_operand(self, source: DType, sums: DType) -> DType:
        """The same of the left one, as it lies in memory."""
        return dtype("i16") if self.wide_left else self.operand(source, sums)

    @property
    def decodes_cheaply(self) -> bool:
        """Whether b is better decoded again for every block of rows than kept decoded in memory."""
        return self.depth > 1

    def period(self, b: Tile) -> int:
        """Rows of b after which what an atom's decoding looks like repeats."""
        return b.period

    def left(self, e: Emitter, row: Line, inner: Spot, lanes: int) -> ir.Value:
        """`depth` elements of a row of a in each lane."""
        return e.remembered(("left", row.start, inner, lanes), lambda: self._left(e, row, inner, lanes))

    def _left(self, e: Emitter, row: Line, inner: Spot, lanes: int) -> ir.Value:
        base, offset = inner
        address = row.start if base is None else step_to(e.b, row.start, base, row.element)
        if offset:
            address = step_to(e.b, address, e.index(offset), row.element)
        if self.depth == 1:
            return splat(e.b, e.load(row.scope, address, row.element), lanes)
        if self.wide_left:
            return joined(
                e.b, *(self.words(e, row, step_to(e.b, address, e.index(at), I16), 2, lanes) for at in (0, 2))
            )
        return self.words(e, row, address, self.depth, lanes)

    def words(self, e: Emitter, row: Line, address: ir.Value, count: int, lanes: int) -> ir.Value:
        """`count` elements from an address on, again and again."""
        word = e.load(row.scope, address, ir.IntType(count * row.element.width))
        return e.b.bitcast(splat(e.b, word, lanes), ir.VectorType(row.element, count * lanes))

    def add(self, e: Emitter, one: ir.Value, other: ir.Value) -> ir.Value:
        """The sum of two sums."""
        return e.b.fadd(one, other) if is_float(one.type) else e.b.add(one, other)


@dataclass(frozen=True)
class Line:
    """A row of a tile in memory."""

    start: ir.Value
    element: ir.Type
    scope: Scope | None


def line(e: Emitter, tile: Tile, row: Spot) -> Line:
    """A row of a tile in memory. Loops that are made from here on see its address as one value."""
    address, scope = memory_at(e, tile, (row, (None, 0)))
    return Line(e.opaque(address), element_type(tile.dtype), scope)


def memory_at(e: Emitter, tile: Tile, place: Place) -> tuple[ir.Value, Scope | None]:
    """Where an element of a tile in memory lies, and the memory's scope."""
    index = tuple(map(e.spot, place))
    if tile.buffer is not None:
        return e.element(tile.buffer, e.linear(index, tile.shape)), tile.buffer.scope
    assert tile.origin is not None and tile.origin.address is not None
    return tile.origin.address(index), tile.origin.scope


@lru_cache(maxsize=256)
def instruction_for(
    machine: Machine, types: tuple[DType, DType, DType], shape: tuple[int, ...], flushing: bool, run: int
) -> Instruction:
    """The best instruction for a product of types a, b -> sums with b of a shape [k, n]. `flushing`: denormal numbers
    may be taken as zeros. `run`: products whose sum fits 16 bits.
    """
    a, b, sums = types
    lanes = machine.vector_bytes // (8 if sums.width == 64 else 4)
    k, n = shape
    pairs = flushing and "avx512bf16" in machine.features and machine.vector_bytes == 64
    if pairs and k % 2 == 0 and n % ATOM_COLUMNS == 0:
        return Instruction("pairs", 2, lanes, float_pairs)
    if (a.name, b.name, sums.name) == ("i8", "u8", "i32") and k % 4 == 0 and n % ATOM_COLUMNS == 0:
        combine = quads(machine)
        short = short_quads(machine, run) if combine is halves else None
        wide = combine is halves and short is None
        return Instruction("quads", 4, lanes, combine, 2 if short else 6 if wide else 1, short, wide)
    return Instruction("multiply-add", 1, lanes, multiply_add)


def float_pairs(e: Emitter, sums: ir.Value, left: ir.Value, right: ir.Value) -> ir.Value:
    """Sums of two products of bf16 (AVX512-BF16)."""
    halves = ir.VectorType(BFLOAT, 2 * sums.type.count)
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * sums.type.count}"
    return e.call(name, sums.type, sums, e.b.bitcast(left, halves), e.b.bitcast(right, halves))


def is_float(type: ir.Type) -> bool:
    element = type.element if isinstance(type, ir.VectorType) else type
    return element in (FLOAT, DOUBLE)


def multiply_add(e: Emitter, sums: ir.Value, left: ir.Value, right: ir.Value) -> ir.Value:
    """left * right + sums, of floats in one instruction: the sums of `dot` are free in order and rounding."""
    if not is_float(sums.type):
        return e.b.add(e.b.mul(left, right), sums)
    vector = isinstance(sums.type, ir.VectorType)
    element = sums.type.element if vector else sums.type
    name = f"{f'v{sums.type.count}' if vector else ''}{'f32' if element == FLOAT else 'f64'}"
    return e.call(f"llvm.fma.{name}", sums.type, left, right, sums)


# Four bytes to a sum


def quads(machine: Machine) -> Combine:
    """Sums of four products of bytes, signed by unsigned."""
    if "avx512vnni" in machine.features and machine.vector_bytes == 64:
        return vnni("llvm.x86.avx512.vpdpbusd.512")
    if "avxvnni" in machine.features and machine.vector_bytes == 32:
        return vnni("llvm.x86.avx512.vpdpbusd.256")
    if machine.triple.startswith("aarch64") and "i8mm" in machine.features:
        return usdot
    return halves


def vnni(name: str) -> Combine:
    def combine(e: Emitter, sums: ir.Value, left: ir.Value, right: ir.Value) -> ir.Value:
        return e.call(name, sums.type, sums, right, left)

    return combine


def usdot(e: Emitter, sums: ir.Value, left: ir.Value, right: ir.Value) -> ir.Value:
    return e.call("llvm.aarch64.neon.usdot.v4i32.v16i8", sums.type, sums, right, left)


MOST_STEPS = 8
"""More steps in 16 bits save little more, and make longer code."""
MADD_BYTES = {
    16: ("ssse3", "llvm.x86.ssse3.pmadd.ub.sw.128"),
    32: ("avx2", "llvm.x86.avx2.pmadd.ub.sw"),
    64: ("avx512bw", "llvm.x86.avx512.pmaddubs.w.512"),
}


def short_quads(machine: Machine, run: int) -> Short | None:
    """Sums of two products in 16 bits, where the processor has them and `run` products' sum fits."""
    feature, name = MADD_BYTES[machine.vector_bytes]
    if run < 2 or not machine.triple.startswith("x86_64") or feature not in machine.features:
        return None
    steps = min(run // 2, MOST_STEPS)

    def multiply(e: Emitter, left: ir.Value, right: ir.Value) -> ir.Value:
        return e.call(name, ir.VectorType(I16, left.type.count // 2), right, left)

    return Short(1 << (steps.bit_length() - 1), multiply, widen)


def widen(e: Emitter, sums: ir.Value, short: ir.Value) -> ir.Value:
    ones = splat(e.b, ir.Constant(I16, 1), short.type.count)
    return e.b.add(sums, pairs(e, short, ones, sums.type))


MADD = {16: "llvm.x86.sse2.pmadd.wd", 32: "llvm.x86.avx2.pmadd.wd", 64: "llvm.x86.avx512.pmaddw.d.512"}


def halves(e: Emitter, sums: ir.Value, left: ir.Value, right: ir.Value) -> ir.Value:
    """The first two and the last two of four bytes as words of 16 bits, whose products are exact in 32; those on the
    left are words already, the first two of each four before all last two.
    """
    b, count = e.b, sums.type.count
    zeros = ir.Constant(right.type, None)

    def words(first: int) -> ir.Value:
        lanes = [lane for i in range(count) for at in (first, first + 1) for lane in (4 * i + at, 4 * count)]
        return b.bitcast(shuffle(b, right, zeros, lanes), ir.VectorType(I16, 2 * count))

    for first in (0, 2):
        factor = e.remembered(("words", right, first), lambda: words(first))  # noqa: B023
        own = shuffle(b, left, left, range(first * count, (first + 2) * count))
        sums = b.add(sums, pairs(e, own, factor, sums.type))
    return sums


def pairs(e: Emitter, a: ir.Value, c: ir.Value, sums: ir.Type) -> ir.Value:
    """Sums of the products of two neighbouring words of 16 bits."""
    name = MADD.get(4 * sums.count) if e.machine.triple.startswith("x86_64") else None
    if name is not None:
        return e.call(name, sums, a, c)
    wide = ir.VectorType(I32, 2 * sums.count)
    products = e.b.mul(e.b.sext(a, wide), e.b.sext(c, wide))
    even, odd = (shuffle(e.b, products, products, range(start, 2 * sums.count, 2)) for start in (0, 1))
    return e.b.add(even, odd)
