"""The matrix product: register blocks of explicit vectors, for any shapes, driven by whoever needs the result.

    c[m, n] + sum over k of a[m, k] * b[k, n]

`lower_dot` computes nothing: its tile is a `Product`, and when elements are wanted, by a buffer of its own or by a
chain of elementwise operations over one or several products (the scaling of an accumulator), `drive` runs the loops.
Per block of rows and vectors of columns the sums stay in registers along k; then the chain is evaluated on them, and
stored.

What one step along k does is an `Instruction` (`instructions`): `depth` rows of b at once, decoded as an atom of that
many rows, times the same elements of a row of a, which are one word of memory spread over all lanes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu import casts, matrices
from vmc.backends.cpu.emitter import Emitter, can_vector, natural
from vmc.backends.cpu.instructions import ATOM_COLUMNS, Instruction, instruction_for
from vmc.backends.cpu.tiles import Buffer, Tensor, Tile, chain, moved_sources
from vmc.backends.cpu.vectors import Atom, Place, Spot, spot
from vmc.ir.core import Op
from vmc.ir.types import DType

NEAREST = casts.Mode("nearest_even", None)
MOST_ROWS = {16: 4, 32: 4, 64: 16}
"""Rows of a block, by bytes of a vector. AVX-512 multiplies by a word of memory; else each row takes a register of its
own, and blocks are better about as many vectors wide as rows high.
"""
FEW_ROWS = 4
MOST_VECTORS = 4
LONGEST, LONGEST_GUARDED = 256, 64
"""Instructions that multiply in the body of a loop, at most; where loads are guarded, which is seldom, fewer."""
CHAINS = 8
"""Independent sums that hide the latency of a multiply-add."""
REUSE = 2
"""Blocks of rows from which on b is converted once, into memory, where that takes more than a few instructions."""


@dataclass(eq=False)
class Product:
    """c + a @ b before it is computed: the operands, b converted to what the instruction multiplies."""

    a: Tile
    b: Tile
    c: Tile
    instruction: Instruction
    store: Op | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """m, n, k."""
        (m, k), n = self.a.shape, self.b.shape[1]
        return m, n, k


def lower_dot(e: Emitter, op: Op) -> tuple[Tile]:
    a, b, c = map(e.tile, op.operands)
    type = op.result.tile
    types = (a.dtype, b.dtype, type.dtype)
    run = int(str(op.attrs["run"])) if op.name == "dot_short" else 1
    instruction = instruction_for(e.machine, types, b.shape, op.name == "dot_flushing", run)
    left, right = (converted(e, tile, instruction.operand(tile.dtype, type.dtype)) for tile in (a, b))
    if not in_memory(left):
        e.settle(left)
    rows = instruction.rows_of_block(a.shape[0])
    if right.buffer is None and (not can_vector(right) or (rows > REUSE and not instruction.decodes_cheaply)):
        e.settle(right)
    tile = Tile(type.dtype, type.shape, product=Product(left, right, c, instruction, e.plan.rows_wanted.get(op.result)))
    tile.sources = {**c.sources, **moved_sources(left), **moved_sources(right)}
    return (tile,)


def converted(e: Emitter, tile: Tile, dtype: DType) -> Tile:
    """The tile with elements of the type that is multiplied, which holds them exactly."""
    if tile.dtype == dtype:
        return tile
    source = tile.dtype
    return e.map(dtype, [tile], lambda element: casts.cast(e, source, dtype, NEAREST, element))


def in_memory(tile: Tile) -> bool:
    """Whether rows of the tile can be read where they are: it has a buffer, or is a slice of memory."""
    return tile.buffer is not None or (tile.origin is not None and tile.origin.address is not None)


# Driving


def drive(e: Emitter, buffer: Buffer, root: Tile) -> None:
    """Writes to a buffer a tile that is made elementwise of products, and of what can be had as vectors."""
    found = list(dict.fromkeys(products_in(root)))
    first = found[0].product
    assert isinstance(first, Product)
    group = [tile for tile in found if alike(first, tile.product)]
    for tile in found:
        if tile not in group:
            e.settle(tile)
    prepare(e, root)
    for tile in group:
        assert isinstance(tile.product, Product)
        prepare(e, tile.product.b)
        prepare(e, tile.product.c)
    conditions = list(dict.fromkeys(condition for tile in (root, *group) for condition in conditions_of(tile)))
    nest = Nest(e, group, root, buffer, rows_wanted(e, first))
    if not conditions:
        with e.guard(False):
            nest.run()
        return
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = e.b.and_(whole, condition)
    with e.b.if_else(whole) as (then, otherwise):
        with then, e.guard(False):
            nest.run()
        with otherwise, e.guard(True):
            nest.run()


def rows_wanted(e: Emitter, product: Product) -> ir.Value | None:
    """How many rows of a product lie inside of the tensor that they are for; None if all do, or it is not known yet."""
    op = product.store
    if op is None or op.attrs["sizes"][0] is None or op.attrs["steps"][0] != 1 or op.attrs["inbounds"][0]:
        return None
    target, start = e.env.get(op.operands[0]), e.env.get(op.operands[2])
    if not isinstance(target, Tensor) or not isinstance(start, Tile):
        return None
    left = e.sub(target.extents[0], e.at(start, ()))
    return e.clamp(left, e.index(0), e.index(product.shape[0]))


def products_in(tile: Tile) -> Iterator[Tile]:
    """The products that a tile's elements are computed from, and that are still to be computed."""
    waiting, seen = [tile], set()
    while waiting:
        top = waiting.pop()
        if top in seen or top.buffer is not None:
            continue
        seen.add(top)
        if top.product is not None:
            yield top
        waiting += reversed(top.operands)


def alike(one: Product, other: object) -> bool:
    """Whether two products can share loops."""
    return isinstance(other, Product) and (one.shape, one.instruction) == (other.shape, other.instruction)


def prepare(e: Emitter, tile: Tile) -> None:
    """Gives buffers to the tiles of a chain that cannot be had as vectors."""
    waiting, seen = [tile], set()
    while waiting:
        top = waiting.pop()
        if top in seen or top.buffer is not None or top.product is not None:
            continue
        seen.add(top)
        if can_vector(top):
            waiting += reversed((*top.operands, *top.inputs))
        else:
            e.settle(top)


def conditions_of(tile: Tile) -> list[ir.Value]:
    """When all loads of a chain lie inside their tensors, as i1 values that must all hold."""
    found: dict[ir.Value, None] = {}
    for part in chain(tile):
        if part.buffer is None and part.whole is not None:
            found[part.whole] = None
        if part.buffer is None and isinstance(part.product, Product):
            factors = (part.product.b, part.product.c)
            found |= dict.fromkeys(condition for factor in factors for condition in conditions_of(factor))
    return list(found)


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

    @property
    def products(self) -> list[Product]:
        return [tile.product for tile in self.group if isinstance(tile.product, Product)]

    def run(self) -> None:
        """By tiles, or by vectors. Where few rows may be wanted, there is code for few, with more columns at a time."""
        m = self.products[0].shape[0]
        if self.wanted is None or m <= FEW_ROWS:
            self.all_rows()
            return
        few = self.e.b.icmp_signed("<=", self.wanted, self.e.index(FEW_ROWS))
        with self.e.b.if_else(few) as (then, otherwise):
            with then, self.e.fresh_memo():
                self.by_vectors(FEW_ROWS)
            with otherwise, self.e.fresh_memo():
                self.all_rows()

    def all_rows(self) -> None:
        step = matrices.step_for(self)
        if step is not None:
            matrices.Tiles(self, step).run()
        else:
            self.by_vectors(MOST_ROWS[self.e.machine.vector_bytes])

    def by_vectors(self, most: int) -> None:
        """Blocks of at most so many rows. Columns outermost, so that a strip of b stays near; the widest vectors first,
        then what is left over.
        """
        m, n, _ = self.products[0].shape
        rows = power_of_two(min(most, m, self.most_rows()))
        column = 0
        for lanes in self.widths():
            for vectors in descending(self.vectors_beside(rows)):
                span = lanes * vectors
                count = (n - column) // span
                if count:
                    self.columns(column, column + count * span, (rows, lanes, vectors))
                    column += count * span

    def widths(self) -> list[int]:
        """Lanes of the vectors of sums, from the widest on."""
        lanes = self.products[0].instruction.lanes
        if self.products[0].instruction.depth > 1:
            return [lanes]
        return [lanes >> shift for shift in range(lanes.bit_length())]

    @property
    def sums_in_registers(self) -> int:
        """Vectors of sums of each product that registers have room for, beside factors and scales."""
        return max(1, self.e.machine.vector_registers // 2 // len(self.group))

    def most_rows(self) -> int:
        """The rows of a block of one vector of columns that registers have room for, and whose code is not too long."""
        instruction = self.products[0].instruction
        turns = self.step(self.products[0].shape[2]) // instruction.depth
        longest = LONGEST_GUARDED if self.e.guarded else LONGEST
        return max(1, min(self.sums_in_registers, longest // (turns * len(self.group) * instruction.length)))

    def vectors_beside(self, rows: int) -> int:
        """How many vectors of columns a block of so many rows has."""
        return power_of_two(max(1, min(MOST_VECTORS, self.most_rows() // rows)))

    def columns(self, low: int, high: int, size: tuple[int, int, int]) -> None:
        """A range of columns, in strips; those of a storage begin where its blocks do, as far as the code can see."""
        e, (_, lanes, vectors) = self.e, size
        span = lanes * vectors
        stored = any(product.b.buffer is None and product.b.period > 1 for product in self.products)
        turn = max(span, ATOM_COLUMNS) if stored else span

        def strips(column: ir.Value) -> None:
            base, offset = spot(column)
            for part in range(0, turn, span):
                self.rows((base, offset + part), size)

        e.each(e.index(low), e.index(high), strips, turn)

    def rows(self, column: Spot, size: tuple[int, int, int]) -> None:
        """The blocks of rows of a strip of columns, the highest first."""
        e, (most, lanes, vectors) = self.e, size
        end = e.index(self.products[0].shape[0]) if self.wanted is None else self.wanted
        row: ir.Value = e.index(0)
        for rows in descending(most):
            left = e.sub(end, row)
            stop = e.add(row, e.sub(left, e.divmod(left, rows)[1]))
            e.each(row, stop, lambda place: self.block(Block(place, column, rows, lanes, vectors)), rows)  # noqa: B023
            row = stop

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
        step = self.step(k)
        short = self.products[0].instruction.short
        run = short.run if short else 1
        chains = min(2, step // depth // run) if size < CHAINS and not short else 1
        start = [
            e.vector(product.c, block.place(row, vector), Atom(1, block.lanes))
            for product in self.products
            for row, vector in block.parts
        ]
        zeros = [ir.Constant(value.type, None) for value in start] * (chains - 1)

        def turn(inner: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
            sums, (base, offset) = list(running), spot(inner)
            steps = [(base, offset + along) for along in range(0, step, depth)]
            for number, few in enumerate(batched(steps, run)):
                self.multiply(block, few, sums, number % chains * size)
            return sums

        whole = k // step * step
        ends = e.loop(e.index(0), e.index(whole), [*start, *zeros], turn, step)
        for rest in range(whole, k, depth):
            ends = list(ends)
            with e.fresh_memo():
                self.multiply(block, [(None, rest)], ends, 0)
        add = self.products[0].instruction.add
        totals = [ends[i] if chains == 1 else add(e, ends[i], ends[size + i]) for i in range(size)]
        parts = len(block.parts)
        return [totals[i * parts : (i + 1) * parts] for i in range(len(self.group))]

    def step(self, k: int) -> int:
        """How far along k the body of the inner loop reaches: whole blocks of memory, and enough to be worth a turn."""
        instruction = self.products[0].instruction
        period = max(product.instruction.period(product.b) for product in self.products)
        step = max(period, instruction.steps * instruction.depth)
        return min(step, max(instruction.depth, k))

    def multiply(self, block: Block, steps: Sequence[Spot], sums: list[ir.Value], first: int) -> None:
        """Some steps along k of every sum; they are `sums` from `first` on. With an instruction for short sums, these
        are added to the sums after the last step.
        """
        e, parts = self.e, block.parts
        for number, product in enumerate(self.products):
            instruction, start = product.instruction, first + number * len(parts)
            short: dict[int, ir.Value] = {}
            for inner in steps:
                right = [
                    e.vector(product.b, (inner, block.column_spot(vector)), Atom(instruction.depth, block.lanes))
                    for vector in range(block.vectors)
                ]
                for at, (row, vector) in enumerate(parts, start):
                    left = instruction.left(e, product.a, (block.row_spot(row), inner), block.lanes)
                    if instruction.short is None:
                        sums[at] = instruction.combine(e, sums[at], left, right[vector])
                    else:
                        terms = instruction.short.multiply(e, left, right[vector])
                        short[at] = e.b.add(short[at], terms) if at in short else terms
            for at, total in short.items():
                assert instruction.short is not None
                sums[at] = instruction.short.widen(e, sums[at], total)


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


def power_of_two(most: int) -> int:
    """The largest power of two that is not more."""
    return 1 << (most.bit_length() - 1)


def descending(most: int) -> list[int]:
    """Powers of two from one down to 1."""
    return [most >> shift for shift in range(most.bit_length())]
