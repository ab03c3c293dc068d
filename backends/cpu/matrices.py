"""Products by matrix registers (AMX): sums of 16 x 16 from 16 rows of 64 bytes of a and 64 bytes of 16 columns of b.

The atoms of b that vectors multiply, 4 rows of bytes or 2 of bf16, are just the rows that a tile register takes. A
strip of b is decoded once into memory and serves all rows of a. Each product of the group has sums for `rows` x
`columns` tiles:

    products   sums           rows x columns   a, b
    1          0 1 2 3        2 x 2            4 5, 6 7
    2          0 1 2 3        1 x 2            4 5, 6 7
    3          0 1 2 3 4 5    1 x 2            6, 7

The shapes of all tile registers are set when a block begins and given up when it ends: they belong to the thread, and
other libraries set their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from llvmlite import ir

from vmc.backends.cpu.address import constant_table
from vmc.backends.cpu.elements import FLOAT, I8, I32, I64
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.instructions import memory_at
from vmc.backends.cpu.tiles import Buffer, Tile
from vmc.backends.cpu.vectors import Atom, Spot, spot

if TYPE_CHECKING:
    from vmc.backends.cpu.nest import Nest

SIDE = 16
ROW_BYTES = 64
WORD = 4
"""Bytes of an atom in each column."""


@dataclass(frozen=True)
class Unit:
    """What multiplies tiles: the feature, the instruction, the type of sums, and up to how many rows of one product
    vectors are faster.
    """

    feature: str
    instruction: str
    sums: ir.Type
    few: int


UNITS = {4: Unit("amx-int8", "tdpbsud", I32, 4), 2: Unit("amx-bf16", "tdpbf16ps", FLOAT, 0)}
"""By the depth of an atom."""
MOST_PRODUCTS = 3


def step_for(nest: Nest) -> int | None:
    """How far along k the tiles of a nest reach; None where vectors are the better or the only way."""
    e, products = nest.e, nest.products
    m, n, k = products[0].shape
    depth = products[0].instruction.depth
    if depth not in UNITS or not {UNITS[depth].feature, "amx-tile"} <= e.machine.features:
        return None
    if m <= few_rows(nest) or (m > SIDE and m % SIDE) or n % SIDE or len(products) > MOST_PRODUCTS:
        return None
    step = next((step for step in (SIDE * depth, SIDE * depth // 2) if k % step == 0), None)
    wanted = step and shapes(step // depth, len(products) == MOST_PRODUCTS, min(m, SIDE))
    return step if wanted and e.tile_shapes in (None, wanted) else None


def few_rows(nest: Nest) -> int:
    """Up to so many rows of a block vectors are the faster way. Tiles write decoded weights to memory and read them
    back, but then hardly feel the number of rows.
    """
    return UNITS[nest.products[0].instruction.depth].few // len(nest.products)


@dataclass(eq=False)
class Tiles:
    """The loops of a nest over tiles, `step` along k at a time."""

    nest: Nest
    step: int

    @property
    def e(self) -> Emitter:
        return self.nest.e

    @property
    def depth(self) -> int:
        return self.nest.products[0].instruction.depth

    @property
    def side(self) -> int:
        """Rows of a tile of a and of sums."""
        return min(self.nest.products[0].shape[0], SIDE)

    def run(self) -> None:
        set_shapes(self.e, shapes(self.step // self.depth, len(self.nest.products) == MOST_PRODUCTS, self.side))
        m, n, k = self.nest.products[0].shape
        strip = 2 * SIDE if n % (2 * SIDE) == 0 else SIDE
        shared = list(dict.fromkeys(product.b for product in self.nest.products))
        memories = {b: self.e.allocate_raw(I8, 1, k // self.depth * WORD * strip) for b in shared}
        sums = self.e.allocate_raw(UNITS[self.depth].sums, 4, 6 * SIDE * SIDE)
        high = 2 if m % (2 * SIDE) == 0 and len(self.nest.products) == 1 else 1

        def columns(column: ir.Value) -> None:
            for b, memory in memories.items():
                self.decode(b, memory, column, strip)
            self.e.each(self.e.index(0), self.end(m, high * self.side), lambda row: rows(row, column), high * self.side)

        def rows(row: ir.Value, column: ir.Value) -> None:
            self.multiply(row, high, strip // SIDE, memories, sums)
            self.finish(row, column, high, strip // SIDE, sums)

        self.e.each(self.e.index(0), self.e.index(n), columns, strip)

    def end(self, m: int, high: int) -> ir.Value:
        """Where the blocks of `high` rows end that have a row of use; `high` divides m."""
        e, wanted = self.e, self.nest.wanted
        if wanted is None:
            return e.index(m)
        return e.mul(e.divmod(e.add(wanted, e.index(high - 1)), high)[0], e.index(high))

    def decode(self, b: Tile, memory: Buffer, column: ir.Value, strip: int) -> None:
        """Writes a strip of b as tiles: k / step of them for each 16 columns, one after the other."""
        e, k = self.e, b.shape[0]
        stride = max(b.period, self.depth)
        turn = stride if k % stride == 0 else self.depth

        def some(inner: ir.Value) -> None:
            base, offset = spot(inner)
            for part in range(strip // SIDE):
                for row in range(0, turn, self.depth):
                    at, from_column = (base, offset + row), spot(column)
                    place = (at, (from_column[0], from_column[1] + part * SIDE))
                    value = e.vector(b, place, Atom(self.depth, SIDE))
                    target = e.element(memory, self.place_in_strip(at, part, k))
                    e.store(memory.scope, value, target, ROW_BYTES)

        e.each(e.index(0), e.index(k), some, turn)

    def place_in_strip(self, inner: Spot, part: int, k: int) -> ir.Value:
        """The byte of a strip where the atom from row `inner` on of one 16 columns begins."""
        e, bytes = self.e, SIDE * WORD // self.depth
        return e.add(e.mul(e.spot(inner), e.index(bytes)), e.index(part * k * bytes))

    def multiply(self, row: ir.Value, high: int, wide: int, memories: dict[Tile, Buffer], sums: Buffer) -> None:
        """All sums of a block of `high` x `wide` tiles, into memory."""
        e, products = self.e, self.nest.products
        k = products[0].shape[2]
        registers = Registers(len(products), high, wide)
        for register in registers.sums:
            tile_call(e, "tilezero", register)

        def turn(inner: ir.Value) -> None:
            held: dict[int, object] = {}

            def hold(register: int, what: object, address: Callable[[], ir.Value], stride: ir.Value) -> int:
                if held.get(register) != what:
                    load_tile(e, register, address(), stride)
                    held[register] = what
                return register

            def left(a: Tile, i: int) -> ir.Value:
                base, offset = spot(row)
                return memory_at(e, a, ((base, offset + i * SIDE), spot(inner)))[0]

            def right(b: Tile, j: int) -> ir.Value:
                return e.element(memories[b], self.place_in_strip(spot(inner), j, k))

            for j in range(wide):
                for number, product in enumerate(products):
                    a, b = product.a, product.b
                    y = hold(registers.right(j), (b, j), partial(right, b, j), e.index(ROW_BYTES))
                    for i in range(high):
                        x = hold(registers.left(i), (a, i), partial(left, a, i), row_stride(e, a))
                        tile_call(e, UNITS[self.depth].instruction, registers.sum(number, i, j), x, y)

        e.each(e.index(0), e.index(k), turn, self.step)
        for number, register in enumerate(registers.sums):
            place = e.element(sums, e.index(number * SIDE * SIDE))
            e.call("llvm.x86.tilestored64", ir.VoidType(), imm(register), place, e.index(ROW_BYTES))

    def finish(self, row: ir.Value, column: ir.Value, high: int, wide: int, sums: Buffer) -> None:
        """The chain over the sums, row after row."""
        e, nest = self.e, self.nest
        registers = Registers(len(nest.products), high, wide)
        atom = Atom(1, SIDE)

        def line(inner: ir.Value, i: int) -> None:
            with e.fresh_memo():
                base, offset = spot(e.add(row, e.add(inner, e.index(i * SIDE))))
                for j in range(wide):
                    from_column = spot(column)
                    place = ((base, offset), (from_column[0], from_column[1] + j * SIDE))
                    for number, tile in enumerate(nest.group):
                        first = registers.sum(number, i, j) * SIDE * SIDE
                        where = e.element(sums, e.add(e.mul(inner, e.index(SIDE)), e.index(first)))
                        found = e.load(sums.scope, where, ir.VectorType(sums.element, SIDE), ROW_BYTES)
                        product = nest.products[number]
                        total = product.instruction.add(e, found, e.vector(product.c, place, atom))
                        e.know(tile, place, atom, total)
                    nest.store(place, atom, e.vector(nest.root, place, atom))

        for i in range(high):
            e.each(e.index(0), self.rows_of_use(row, i), lambda inner: line(inner, i), 1)  # noqa: B023

    def rows_of_use(self, row: ir.Value, i: int) -> ir.Value:
        """How many rows of the tile i of a block are wanted."""
        e, wanted, side = self.e, self.nest.wanted, self.e.index(self.side)
        if wanted is None:
            return side
        return e.clamp(e.sub(wanted, e.add(row, e.index(i * self.side))), e.index(0), side)


@dataclass(frozen=True)
class Registers:
    """Which tile register holds what, for a number of products and a block of high x wide tiles each."""

    products: int
    high: int
    wide: int

    @property
    def single(self) -> bool:
        """Whether there is but one register for a and one for b."""
        return self.products == MOST_PRODUCTS

    @property
    def sums(self) -> range:
        return range(self.products * self.high * self.wide)

    def sum(self, product: int, i: int, j: int) -> int:
        return (product * self.high + i) * self.wide + j

    def left(self, i: int) -> int:
        return 6 if self.single else 4 + i

    def right(self, j: int) -> int:
        return 7 if self.single else 6 + j


def imm(register: int) -> ir.Constant:
    return ir.Constant(I8, register)


def tile_call(e: Emitter, name: str, *registers: int) -> None:
    e.call(f"llvm.x86.{name}", ir.VoidType(), *map(imm, registers))


def load_tile(e: Emitter, register: int, address: ir.Value, stride: ir.Value) -> None:
    e.call("llvm.x86.tileloadd64", ir.VoidType(), imm(register), address, stride)


def row_stride(e: Emitter, a: Tile) -> ir.Value:
    """Bytes from one row of a tile in memory to the next."""
    zero, one = (None, 0), (None, 1)
    first, second = (memory_at(e, a, (row, zero))[0] for row in (zero, one))
    return e.b.sub(e.b.ptrtoint(second, I64), e.b.ptrtoint(first, I64))


def set_shapes(e: Emitter, shapes: tuple[int, ...]) -> None:
    """Has the function set the shapes of all tile registers at its beginning; it releases them at its end."""
    if e.tile_shapes is not None:
        return
    e.tile_shapes = shapes
    memory = constant_table(e, I8, shapes)
    with e.b.goto_entry_block():
        e.call("llvm.x86.ldtilecfg", ir.VoidType(), memory)


def release(e: Emitter) -> None:
    """Gives up the tile registers, if they were used."""
    if e.tile_shapes is not None:
        e.call("llvm.x86.tilerelease", ir.VoidType())


def shapes(atoms: int, single: bool, high: int) -> tuple[int, ...]:
    """The operand of LDTILECFG for palette 1 (Intel SDM, volume 2): bytes of a row, and rows, of each register.

    A tile reaches over so many atoms of b, and over `high` rows of a. `single`: there is but one register for a, the
    last but one, and one for b.
    """
    left, right = ((6,), (7,)) if single else ((4, 5), (6, 7))
    widths = [atoms * WORD if register in left else ROW_BYTES for register in range(8)]
    rows = [atoms if register in right else high for register in range(8)]
    words = [byte for width in widths for byte in (width & 255, width >> 8)]
    return (1, *[0] * 15, *words, *[0] * 16, *rows, *[0] * 8)
