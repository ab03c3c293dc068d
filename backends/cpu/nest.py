"""The loops of matrix products: blocks of rows and vectors of columns, whose sums stay in registers along k.

What one step along k does is an `Instruction` (`instructions`): `depth` rows of b at once, decoded as an atom of that
many rows, times the same elements of a row of a, which are one word of memory spread over all lanes. Then the chain
that wanted the product is evaluated on the sums, and stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby

from llvmlite import ir

from vmc.backends.cpu import matrices, strips
from vmc.backends.cpu.elements import I64
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.instructions import Line, line
from vmc.backends.cpu.memory import natural
from vmc.backends.cpu.products import Product, in_memory
from vmc.backends.cpu.strips import Strip
from vmc.backends.cpu.tiles import Buffer, Tile
from vmc.backends.cpu.vectors import Atom, Place, Spot, spot

MOST_ROWS = {16: 4, 32: 4, 64: 8}
"""Rows of a block, by bytes of a vector. AVX-512 multiplies by a word of memory; else each row takes a register of its
own, and blocks are better about as many vectors wide as rows high.
"""
FEW_REGISTERS = 16
PLAIN_ROWS = 6
"""The same where three quarters of 16 registers are sums: beside two vectors of columns that leaves one for a row."""
MOST_VECTORS = 4
LONGEST, SHORTEST = 256, 32
"""Instructions that multiply in the body of a loop: at most, and at least where steps along k are repeated for it."""
MOST_TURNS = 4
"""How often they are repeated."""
CHAINS = 8
"""Independent sums that hide the latency of a multiply-add."""
REUSE = 2
"""Blocks of rows from which on b is converted once, into memory, where that takes more than a few instructions."""


Lines = Mapping[tuple[Tile, int], Line]
"""The rows of factors that a block multiplies, by number."""


@dataclass(eq=False)
class Nest:
    """The loops over the blocks of a group of products, whose sums end in `root`, elementwise, in `buffer`. No more
    rows than `wanted` are of use.
    """

    e: Emitter
    group: list[Tile]
    root: Tile
    buffer: Buffer
    wanted: ir.Value | None
    strips: dict[Tile, Strip] = field(default_factory=dict)
    """Of right factors that are decoded in memory while a strip of columns is worked on."""

    @property
    def products(self) -> list[Product]:
        return [tile.product for tile in self.group if isinstance(tile.product, Product)]

    def run(self) -> None:
        """By tiles, or by vectors; few rows never by tiles, unless loads are guarded: that is seldom, so one way is
        enough.
        """
        e, step = self.e, matrices.step_for(self)
        if step is None:
            self.by_vectors()
            return
        tiles = matrices.Tiles(self, step)
        if self.wanted is None or e.guarded or not matrices.few_rows(self):
            tiles.run()
            return
        few = e.b.icmp_signed("<=", self.wanted, e.index(self.few_rows))
        with e.b.if_else(few) as (then, otherwise):
            with then, e.fresh_memo():
                self.in_blocks(e.index(0), self.few_rows)
            with otherwise, e.fresh_memo():
                tiles.run()

    @property
    def most_rows(self) -> int:
        """Rows of high blocks, which strips are decoded for."""
        return PLAIN_ROWS if self.plain else MOST_ROWS[self.e.machine.vector_bytes]

    @property
    def few_rows(self) -> int:
        """Rows of low blocks, for those that are left over."""
        return MOST_ROWS[self.e.machine.vector_bytes] // 2

    @property
    def has_strips(self) -> bool:
        """Whether high blocks read the right factors from strips."""
        high = self.rows_at_once(self.most_rows)
        depth, (m, _, _) = self.products[0].instruction.depth, self.products[0].shape
        some = any(self.pays(product, depth) for product in self.products)
        return some and m >= strips.BLOCKS * high and not self.e.guarded

    def pays(self, product: Product, depth: int) -> bool:
        """Whether a right factor is better read from strips, which many blocks of rows share."""
        if self.plain and product.shape[0] >= 2 * strips.BLOCKS * self.most_rows:
            return strips.is_large(product.b)
        return strips.pays(product.b, depth)

    def by_vectors(self) -> None:
        """By vectors. Right factors that many rows share are converted first, if many rows are wanted."""
        e, reused = self.e, any(product.reused for product in self.products)
        if not reused:
            self.all_in_blocks()
            return
        if self.wanted is None:
            with self.converted():
                self.all_in_blocks()
            return
        few = e.b.icmp_signed("<=", self.wanted, e.index(self.few_rows))
        with e.b.if_else(few) as (then, otherwise):
            with then, e.fresh_memo():
                self.in_blocks(e.index(0), self.few_rows)
            with otherwise, e.fresh_memo(), self.converted():
                self.all_in_blocks()

    @contextmanager
    def converted(self) -> Iterator[None]:
        """Code that finds the right factors that many rows share in memory."""
        products = self.products
        held = {product.b: replace(product.b) for product in products if product.reused}
        for b in held.values():
            self.e.settle(b)
        for tile, product in zip(self.group, products, strict=True):
            tile.product = replace(product, b=held.get(product.b, product.b))
        yield
        for tile, product in zip(self.group, products, strict=True):
            tile.product = product

    def all_in_blocks(self) -> None:
        """As many rows as there are in high blocks, then those left over in low ones of more columns at a time."""
        row = self.e.index(0)
        if not self.e.guarded:
            row = self.in_blocks(row, self.most_rows, self.few_rows)
        self.in_blocks(row, self.few_rows)

    def in_blocks(self, row: ir.Value, most: int, least: int = 0) -> ir.Value:
        """Rows from one on in blocks of at most so many and more than `least`; the first row that is left over."""
        rows = self.rows_at_once(most)
        parts: list[Rows] = []
        for height in descending(rows):
            if height > least:
                end = self.stop(row, height)
                if end is not row:
                    parts.append(Rows(row, end, height))
                row = end
        decoded = self.has_strips and least > 0
        with self.where_any(parts) if decoded else nullcontext():
            for vectors, group in groupby(parts, lambda part: self.vectors_beside(part.height)):
                self.columns(list(group), vectors, decoded)
        return row

    @contextmanager
    def where_any(self, parts: Sequence[Rows]) -> Iterator[None]:
        """Code that runs if there are rows."""
        if self.wanted is None or not parts:
            yield
            return
        some = self.e.b.icmp_signed("<", parts[0].low, parts[-1].high)
        with self.e.b.if_then(some), self.e.fresh_memo():
            yield

    def stop(self, row: ir.Value, height: int) -> ir.Value:
        """Where blocks of a height end that begin at a row. The last one may reach over rows that are not wanted, up to
        a quarter of it: that takes less than several lower ones.
        """
        e, m = self.e, self.products[0].shape[0]
        left: ir.Value = e.sub(e.index(m), row)
        if self.wanted is not None:
            left = e.call("llvm.smax.i64", I64, e.sub(self.wanted, row), e.index(0))
            left = e.add(left, e.index(height // 4 if m % height == 0 else 0))
        return e.add(row, e.sub(left, e.divmod(left, height)[1]))

    def columns(self, parts: Sequence[Rows], most: int, decoded: bool) -> None:
        """Some rows of all columns, at most so many vectors of them at once. Columns outermost, so that a strip of b
        stays near, which may be decoded in memory; the widest vectors first, then what is left over.
        """
        e, n, column = self.e, self.products[0].shape[1], 0
        for lanes in self.widths():
            for vectors in descending(most):
                span = lanes * vectors
                count = (n - column) // span
                if count:
                    strip = partial(self.strip, parts, lanes, vectors)
                    self.strips = self.new_strips(lanes, vectors) if decoded else {}
                    e.each(e.index(column), e.index(column + count * span), strip, span)
                    column += count * span
        self.strips = {}

    def new_strips(self, lanes: int, vectors: int) -> dict[Tile, Strip]:
        """Memory for so many vectors of columns of each right factor that has to be decoded."""
        depth = self.products[0].instruction.depth
        factors = dict.fromkeys(product.b for product in self.products if self.pays(product, depth))
        return {b: strips.strip_of(self.e, b, Atom(depth, lanes), vectors) for b in factors}

    def strip(self, parts: Sequence[Rows], lanes: int, vectors: int, column: ir.Value) -> None:
        """The blocks of some vectors of columns."""
        for b, strip in self.strips.items():
            strips.decode(self.e, b, spot(column), strip)
        for rows in parts:
            block = partial(Block, column=spot(column), rows=rows.height, lanes=lanes, vectors=vectors)
            self.e.each(rows.low, rows.high, lambda row: self.block(block(row)), rows.height)  # noqa: B023

    def widths(self) -> list[int]:
        """Lanes of the vectors of sums, from the widest on."""
        lanes = self.products[0].instruction.lanes
        if self.products[0].instruction.depth > 1:
            return [lanes]
        return [lanes >> shift for shift in range(lanes.bit_length())]

    @property
    def sums_in_registers(self) -> int:
        """Vectors of sums of each product that registers have room for, beside factors and scales."""
        quarters = 3 if self.plain else 2
        return max(1, self.e.machine.vector_registers * quarters // 4 // len(self.group))

    @property
    def has_few_registers(self) -> bool:
        return self.e.machine.vector_registers <= FEW_REGISTERS

    @cached_property
    def plain(self) -> bool:
        """Whether registers are few and right factors need none for decoding: they are read from memory as they are."""
        few, products = self.has_few_registers, self.products
        return few and products[0].instruction.depth == 1 and all(in_memory(product.b) for product in products)

    @property
    def chains(self) -> int:
        """Sums that go on side by side at least. Few registers are better used by what is being decoded."""
        return CHAINS // 2 if self.has_few_registers and not self.plain else CHAINS

    @property
    def room(self) -> int:
        """The rows of a block of one vector of columns that registers have room for, and whose code is not too long."""
        instruction = self.products[0].instruction
        turns = self.least_step // instruction.depth
        return max(1, min(self.sums_in_registers, LONGEST // (turns * len(self.group) * instruction.length)))

    def rows_at_once(self, most: int) -> int:
        """The rows of a block, at most so many."""
        return self.fitting(min(most, self.products[0].shape[0], self.room))

    def vectors_beside(self, rows: int) -> int:
        """How many vectors of columns a block of so many rows has."""
        return 1 if self.e.guarded else self.fitting(max(1, min(MOST_VECTORS, self.room // rows)))

    def fitting(self, most: int) -> int:
        """The largest height or width of a block that is not more: a power of two; of twelve sums one and a half."""
        power = 1 << (most.bit_length() - 1)
        return power * 3 // 2 if self.plain and power > 1 and most >= power * 3 // 2 else power

    def block(self, block: Block) -> None:
        """The sums of one block, and the chain over them."""
        e = self.e
        with e.fresh_memo():
            sums = self.sums(block)
            for number, (row, vector) in enumerate(block.parts):
                place, atom = block.place(row, vector), Atom(1, block.lanes)
                for tile, values in zip(self.group, sums, strict=True):
                    e.know(tile, place, atom, values[number])
                self.store(place, atom, e.vector(self.root, place, atom))

    def store(self, place: Place, atom: Atom, value: ir.Value) -> None:
        e = self.e
        address = e.element(self.buffer, e.linear(tuple(map(e.spot, place)), self.root.shape))
        e.store(self.buffer.scope, value, address, natural(self.buffer.element))

    def sums(self, block: Block) -> list[list[ir.Value]]:
        """For each product the sums of the block's parts, from c on."""
        e, depth = self.e, self.products[0].instruction.depth
        k = self.products[0].shape[2]
        size = block.rows * block.vectors * len(self.group)
        step = self.step(size)
        short = self.products[0].instruction.short
        run = short.run if short else 1
        chains = min(2, step // depth // run) if size < self.chains and not short else 1
        start = [
            e.vector(product.c, block.place(row, vector), Atom(1, block.lanes))
            for product in self.products
            for row, vector in block.parts
        ]
        zeros = [ir.Constant(value.type, None) for value in start] * (chains - 1)

        lines = {
            (product.a, row): line(e, product.a, block.row_spot(row))
            for product in self.products
            for row in range(block.rows)
        }

        apart = self.goes_vector_by_vector(block)

        def turn(inner: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
            sums, (base, offset) = list(running), spot(inner)
            steps = [(base, offset + along) for along in range(0, step, depth)]
            last: ir.Value | None = None
            for vectors in ([vector] for vector in range(block.vectors)) if apart else [range(block.vectors)]:
                with e.behind(last):
                    for number, few in enumerate(batched(steps, run)):
                        self.multiply(block, lines, few, sums, number % chains * size, vectors)
                last = sums[vectors[-1]]
            return sums

        whole = k // step * step
        ends = e.loop(e.index(0), e.index(whole), [*start, *zeros], turn, step)
        for rest in range(whole, k, depth):
            ends = list(ends)
            with e.fresh_memo():
                self.multiply(block, lines, [(None, rest)], ends, 0, range(block.vectors))
        add = self.products[0].instruction.add
        totals = [ends[i] if chains == 1 else add(e, ends[i], ends[size + i]) for i in range(size)]
        parts = len(block.parts)
        return [totals[i * parts : (i + 1) * parts] for i in range(len(self.group))]

    def goes_vector_by_vector(self, block: Block) -> bool:
        """Whether all steps of a turn are made for one vector of columns after the other. Sums of 16 bits that last one
        step leave LLVM free to decode all vectors first, for which 16 registers are too few.
        """
        short = self.products[0].instruction.short
        return block.rows == 1 and short is not None and short.run == 1 and self.has_few_registers

    @property
    def least_step(self) -> int:
        """How far along k the body of the inner loop reaches at least: whole blocks of memory."""
        instruction, k = self.products[0].instruction, self.products[0].shape[2]
        period = max(product.instruction.period(product.b) for product in self.products)
        return min(max(period, instruction.together * instruction.depth), max(instruction.depth, k))

    def step(self, size: int) -> int:
        """How far it reaches with so many sums: enough to be worth a turn."""
        instruction, k = self.products[0].instruction, self.products[0].shape[2]
        turns = min(MOST_TURNS, max(1, SHORTEST // (size * instruction.length)))
        return min(max(self.least_step, turns * instruction.depth), max(instruction.depth, k))

    def multiply(
        self,
        block: Block,
        lines: Mapping[tuple[Tile, int], Line],
        steps: Sequence[Spot],
        sums: list[ir.Value],
        first: int,
        vectors: Sequence[int],
    ) -> None:
        """Some steps along k of every sum of some vectors; all sums are `sums` from `first` on. With an instruction for
        short sums, these are added to the sums after the last step.
        """
        e, parts = self.e, block.parts
        for number, product in enumerate(self.products):
            instruction, start = product.instruction, first + number * len(parts)
            short: dict[int, ir.Value] = {}
            for inner in steps:
                right = {vector: self.right(product, block, inner, vector) for vector in vectors}
                for at, (row, vector) in enumerate(parts, start):
                    if vector not in right:
                        continue
                    left = instruction.left(e, lines[product.a, row], inner, block.lanes)
                    if instruction.short is None:
                        sums[at] = instruction.combine(e, sums[at], left, right[vector])
                    else:
                        terms = instruction.short.multiply(e, left, right[vector])
                        short[at] = e.b.add(short[at], terms) if at in short else terms
            for at, total in short.items():
                assert instruction.short is not None
                sums[at] = instruction.short.widen(e, sums[at], total)

    def right(self, product: Product, block: Block, inner: Spot, vector: int) -> ir.Value:
        """What a step along k multiplies by in one vector of columns."""
        strip = self.strips.get(product.b)
        if strip is not None:
            return strip.vector(self.e, inner, vector)
        atom = Atom(product.instruction.depth, block.lanes)
        return self.e.vector(product.b, (inner, block.column_spot(vector)), atom)


@dataclass(frozen=True)
class Rows:
    """Rows from `low` to `high`, in blocks of `height`."""

    low: ir.Value
    high: ir.Value
    height: int


@dataclass(frozen=True)
class Block:
    """Rows from `row` on, and `vectors` vectors of `lanes` columns from `column` on."""

    row: ir.Value
    column: Spot
    rows: int
    lanes: int
    vectors: int

    @property
    def parts(self) -> list[tuple[int, int]]:
        """Rows and vectors of the block, by number."""
        return [(row, vector) for row in range(self.rows) for vector in range(self.vectors)]

    def row_spot(self, row: int) -> tuple[ir.Value | None, int]:
        base, offset = spot(self.row)
        return base, offset + row

    def column_spot(self, vector: int) -> tuple[ir.Value | None, int]:
        base, offset = self.column
        return base, offset + vector * self.lanes

    def place(self, row: int, vector: int) -> Place:
        """Where a part of the block lies in the result."""
        return (self.row_spot(row), self.column_spot(vector))


def batched(items: Sequence[Spot], size: int) -> Iterator[Sequence[Spot]]:
    """The items in runs of a size; the last may be shorter."""
    return (items[start : start + size] for start in range(0, len(items), size))


def descending(most: int) -> list[int]:
    """A number, and the powers of two below it."""
    return [most, *(1 << shift for shift in reversed(range((most - 1).bit_length())))]
