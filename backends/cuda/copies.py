"""Asynchronous copies of 16 bytes from device to shared memory, by cp.async, and the waits for them.

Rows of a dense tensor are copied so where their starts are multiples of 16 bytes, which is known from the conditions
around the copy or tested at run time, else one element after the other; blocks of a stored tensor whole, to the places
of the same blocks. What lies outside is filled with zeros by copying less. Every other copy is made at once, by
registers.

Both are lines of chunks that lie side by side. Threads stand side by side along a line, at least eight of them, and
then along lines; what a thread copies further on in its lines is a constant away from its first chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vmc.backends.cuda import bulk
from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.memory import Memory, pieces, view
from vmc.backends.cuda.places import Array, address, base, first_bits, led, shape_of, staged
from vmc.backends.cuda.registers import expression, plus, quotient, remainder, times
from vmc.backends.cuda.scaled import Factor, Term, address_of_sum, is_fixed, kept, known_number
from vmc.backends.cuda.shared import lower_copy_async as copy_at_once
from vmc.backends.cuda.tir import I32, I64, U32, U64, Expr, binary, cast, const, select, tirx
from vmc.ir.core import Op, Storage, Value
from vmc.ir.layout import Layout, contiguous_bits

CHUNK = 128
BYTES = CHUNK // 8
NEIGHBOURS = 8
"""Chunks that make 128 bytes, what device memory gives at once."""
MOST_PENDING = 7
"""Groups that a wait may leave: one that leaves fewer waits for more than it has to."""


def lower_copy_async(e: Emitter, op: Op) -> None:
    """By cp.async where the copy is of such a kind."""
    target, source = (e.values[operand] for operand in op.operands[:2])
    if is_of_blocks(e, op, target, source):
        if e.arrivals is not None and bulk.is_bulk(op):
            bulk.copy_bulk(e, op, target, source, lambda: copy_blocks(e, op, target, source))
        else:
            copy_blocks(e, op, target, source)
    elif is_of_rows(e, op, target, source):
        copy_rows(e, op, target, source)
    else:
        copy_at_once(e, op)


def lower_commit(e: Emitter, op: Op) -> None:
    e.call("vmc_commit_group")
    if e.arrivals is not None:
        bulk.close_group(e)


def lower_wait(e: Emitter, op: Op) -> None:
    e.call(f"vmc_wait_group_{min(op.attrs['pending'], MOST_PENDING)}")
    if e.arrivals is not None:
        bulk.wait_groups(e, op.attrs["pending"])


# ---- lines of chunks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
    """`rows` lines of `columns` chunks each, places in bytes. In the source they start `before` bytes and the terms of
    `start` behind its first, and are a pitch apart. `stage` is where the target begins, `places` and `place` where each
    chunk lies in it, by row and column, as numbers (None where they are not known) and as an expression. `rows_left`,
    `columns_left`: how many there are in the source, None if all.
    """

    rows: int
    columns: int
    start: Sequence[Term]
    before: int
    pitch: Factor
    stage: Expr
    places: Array | None
    place: Callable[[Expr | int, Expr | int], Expr]
    rows_left: Expr | None
    columns_left: Expr | None


@dataclass(frozen=True)
class Deal:
    """How threads share lines: `wide` of them stand along a line, `high` along lines. Piece number n of a thread is
    `row(n)`, `column(n)`; a piece that some threads do not have is theirs `below` a number only.
    """

    rows: int
    columns: int
    threads: int
    wide: int

    @property
    def high(self) -> int:
        return self.threads // self.wide if self.wide else 0

    @property
    def count(self) -> int:
        """The pieces of a thread."""
        return -(-self.rows * self.columns // self.threads)

    @property
    def below(self) -> int | None:
        """The number of all pieces, where the last one of a thread may not be among them."""
        total = self.rows * self.columns
        return None if total % self.threads == 0 else total

    def at(self, piece: int, thread: Expr | int) -> tuple[Expr | int, Expr | int]:
        """The row and the column of a piece."""
        if not self.wide:
            number = plus(thread, piece * self.threads)
            return quotient(number, self.columns), remainder(number, self.columns)
        across = self.columns // self.wide
        down, along = divmod(piece, across)
        row = plus(quotient(thread, self.wide), down * self.high)
        return row, plus(remainder(thread, self.wide), along * self.wide)

    def numbers(self) -> Array:
        """The number of each chunk, by thread and piece; the last one for those that there are not."""
        last = self.rows * self.columns - 1
        pieces = [[self.at(piece, thread) for piece in range(self.count)] for thread in range(self.threads)]
        return np.array([[min(row * self.columns + column, last) for row, column in line] for line in pieces])


def dealt(rows: int, columns: int, threads: int) -> Deal:
    """The lines dealt out so that every thread copies as many chunks of as few lines as it can; one by one where lines
    and threads do not fit.
    """
    widths = [1 << bit for bit in range(threads.bit_length())]
    wide = [n for n in widths if n >= NEIGHBOURS] + [n for n in reversed(widths) if n < NEIGHBOURS]
    fits = (n for n in wide if columns % n == 0 and threads % n == 0 and rows % (threads // n) == 0)
    return Deal(rows, columns, threads, next(fits, 0))


def copy_lines(e: Emitter, lines: Lines, target: Memory, source: Memory, name: str, width: int = 0) -> None:
    """All chunks by the function `name`, which takes an address in shared memory, one in device memory, and how many of
    the 16 bytes there are; the rest are zeros. With `width`, that of elements, `columns_left` counts elements.
    """
    deal = dealt(lines.rows, lines.columns, e.threads)
    numbers = deal.numbers()
    table = None if lines.places is None else lines.places.reshape(-1)[numbers]
    leaders = [(piece, 0) for piece in range(deal.count)] if table is None else led(table)
    bases: dict[int, Expr] = {}
    starts: dict[str, Expr] = {}
    along = deal.at(0, e.thread)[1]
    for piece in range(deal.count):
        row, column = deal.at(piece, e.thread)
        leader, distance = leaders[piece]
        if leader not in bases:

            def place(piece: int = leader) -> Expr:
                return lines.place(*deal.at(piece, e.thread))

            own = address(e, target, place()) if table is None else base(e, target, table[:, leader], place)
            bases[leader] = e.let(binary("Add", own, cast(lines.stage, U32)), U32, "to")
        moved = column_distance(deal, piece)
        if moved is None or str(row) not in starts:

            def own(row: Expr | int = row, first: Expr | int = column if moved is None else along) -> Expr:
                down = binary("Mul", cast(expression(row), I64), lines.pitch())
                before = binary("Add", const(lines.before, I64), down)
                return binary("Add", before, cast(expression(times(first, BYTES)), I64))

            starts[str(row)] = address_of_sum(e, view(e, source, "uint8"), lines.start, own)
        start = starts[str(row)]
        if moved:
            start = binary("Add", start, const(moved, U64))
        size = found_bytes(lines, row, column, width)
        with e.when([] if deal.below is None else [piece_exists(e, deal, piece)]):
            to = binary("Add", bases[leader], const(distance, U32))
            e.call(name, to, start, size)


def column_distance(deal: Deal, piece: int) -> int | None:
    """The bytes from a thread's first chunk in a line to that of a piece; None where they differ by thread."""
    return piece % (deal.columns // deal.wide) * deal.wide * BYTES if deal.wide else None


def piece_exists(e: Emitter, deal: Deal, piece: int) -> Expr:
    return binary("LT", expression(plus(e.thread, piece * deal.threads)), const(deal.below or 0, I32))


def found_bytes(lines: Lines, row: Expr | int, column: Expr | int, width: int) -> Expr:
    """How many bytes of a chunk there are in the source."""
    size: Expr = const(BYTES, I32)
    inside = []
    if lines.rows_left is not None:
        inside.append(binary("LT", expression(row), lines.rows_left))
    if lines.columns_left is not None and not width:
        inside.append(binary("LT", expression(column), lines.columns_left))
    elif lines.columns_left is not None:
        behind = binary("Sub", lines.columns_left, expression(times(column, CHUNK // width)))
        size = tirx().Max(const(0, I32), tirx().Min(binary("Mul", behind, const(width // 8, I32)), size))
    for condition in inside:
        size = select(condition, size, const(0, I32))
    return size


def left_of(e: Emitter, extent: Expr, value: Value, block: int, most: int) -> Expr:
    """How many of `most` there are from a start, in blocks of so many, on."""

    def left() -> Expr:
        start = binary("Div", cast(e.scalar(value), I64), const(block, I64))
        behind = binary("Sub", extent, start)
        return cast(tirx().Max(const(0, I64), tirx().Min(behind, const(most, I64))), I32)

    return kept(e, left, I32, "left") if is_fixed(e, value) else e.let(left(), I32, "left")


# ---- rows ------------------------------------------------------------------------------------------------------------


def is_of_rows(e: Emitter, op: Op, target: Memory, source: Memory) -> bool:
    """Whether the slices are of whole chunks along the last dimension, the target's in aligned places."""
    attrs = op.attrs
    sizes, width = attrs["sizes"], source.width
    if source.type.storage is not None or attrs["fill"] or source.bit_offset or width not in (8, 16, 32):
        return False
    if len(sizes) not in (1, 2) or sizes[-1] is None or any(step != 1 for step in attrs["steps"]):
        return False
    if sizes[-1] * width % CHUNK or target.bit_offset % CHUNK:
        return False
    if len(target.type.shape) > 1 + len(sizes) or not starts_aligned(e, op, target, width):
        return False
    return is_dense(target) or aligned(target.type.storage, width)


def starts_aligned(e: Emitter, op: Op, target: Memory, width: int) -> bool:
    """Whether the target's slice starts at a chunk."""
    last = op.operands[-1]
    return op.attrs["target_sizes"][-1] is not None and e.multiple_of(last) % (CHUNK // width) == 0


def is_dense(memory: Memory) -> bool:
    """Whether a target has rows of whole chunks, one after the other."""
    return memory.type.storage is None and shape_of(memory)[-1] * memory.width % CHUNK == 0


def aligned(storage: Storage | None, width: int) -> bool:
    """Whether chunks of the last dimension are side by side in a target's blocks."""
    if storage is None:
        return False
    layout: Layout = storage.layout if storage.layout.element_bits else storage.layout.with_bits(width)
    return storage.shuffle is None and storage.pitch % CHUNK == 0 and contiguous_bits(layout) >= CHUNK


def copy_rows(e: Emitter, op: Op, target: Memory, source: Memory) -> None:
    """Where everything is a multiple of 16 bytes, chunks lie inside or outside as a whole."""
    rank = len(source.type.shape)
    sizes, claims, extent = op.attrs["sizes"], op.attrs["inbounds"], source.extents
    each, bytes = CHUNK // source.width, source.width // 8
    starts = op.operands[2 : 2 + rank]
    rows = (sizes[0] or 1) if rank == 2 else 1

    def row_bytes() -> Expr:
        return binary("Mul", extent[-1], const(bytes, I64))

    start = [Term(op.operands[1 + rank], lambda: const(bytes, I64))]
    rows_left = None
    if rank == 2:
        start.append(Term(op.operands[2], row_bytes))
        rows_left = None if claims[0] else left_of(e, extent[0], starts[0], 1, rows)
    left = None if claims[-1] else left_of(e, extent[-1], starts[-1], 1, sizes[-1])
    stage, places, place = in_target(e, op, target, rows, sizes[-1] // each, each)

    def copy(name: str, whole: bool) -> None:
        columns_left = left
        if left is not None and whole:
            columns_left = e.let(left >> const(each.bit_length() - 1, I32), I32, "left")
        lines = Lines(
            rows,
            sizes[-1] // each,
            start,
            0,
            row_bytes,
            stage,
            places,
            place,
            rows_left,
            columns_left,
        )
        copy_lines(e, lines, target, source, name, 0 if whole else source.width)

    known = e.extent_multiple(source.type.shape[-1]) % each == 0 or (rank == 1 and claims[0])
    known = known and e.multiple_of(op.operands[1 + rank]) % each == 0
    rest = binary("BitwiseAnd", binary("BitwiseOr", extent[-1], cast(e.scalar(starts[-1]), I64)), const(each - 1, I64))
    e.choose(
        [] if known else [binary("EQ", rest, const(0, I64))],
        lambda: copy("vmc_copy16", True),
        lambda: copy(f"vmc_copy16_by_{source.width}", False),
    )


def in_target(
    e: Emitter, op: Op, target: Memory, rows: int, columns: int, each: int
) -> tuple[Expr, Array | None, Callable[[Expr | int, Expr | int], Expr]]:
    """The start of the stage that the leading index chooses, and the places of chunks from there on."""
    rank = len(op.operands[1].tensor.shape)
    values = op.operands[2 + rank :]
    stage, starts = staged(e, target, op.attrs["target_sizes"], values)
    one_row = sum(size is not None for size in op.attrs["target_sizes"]) == 1

    def place(row: Expr | int, column: Expr | int) -> Expr:
        moved = [expression(times(column, each))] if one_row else [expression(row), expression(times(column, each))]
        return in_stage(target, starts, moved)

    first = 0 if stage is None else 1
    stage = const(0, I32) if stage is None else stage
    if any(known_number(e, value) != 0 for value in values[first:]):
        return stage, None, place
    row, column = np.meshgrid(np.arange(rows), np.arange(columns) * each, indexing="ij")
    lines = [column] if one_row else [row, column]
    index = [np.zeros_like(column)] * (len(starts) - len(lines)) + lines
    return stage, first_bits(target, index) // 8, place


def in_stage(memory: Memory, places: Sequence[Expr], by: Sequence[Expr]) -> Expr:
    """The byte of an element, `by` further on in the last dimensions."""
    first = len(places) - len(by)
    lines = [binary("Add", place, moved) for place, moved in zip(places[first:], by, strict=True)]
    return pieces(memory, [*places[:first], *lines])[0][0] >> const(3, I32)


# ---- blocks ----------------------------------------------------------------------------------------------------------


def is_of_blocks(e: Emitter, op: Op, target: Memory, source: Memory) -> bool:
    """Whether the slices are whole blocks of storages of two dimensions, the target's with one of stages in front."""
    a, b = source.type.storage, target.type.storage
    if a is None or b is None or op.attrs["fill"] or None in op.attrs["sizes"] or len(a.block) != 2:
        return False
    extra = len(b.block) - len(a.block)
    same = b.block == (1,) * extra + a.block and b.pitch == a.pitch and b.shuffle == a.shuffle
    same = (
        same
        and b.layout.reshape(*a.block) == a.layout
        and tuple(d - extra for d in b.dimensions) == (-1, *a.dimensions)
    )
    sizes = op.attrs["sizes"]
    whole = all(size % block == 0 for size, block in zip(sizes, a.block, strict=True)) and shape_of(target)[1:] == sizes
    whole = whole and all(known_number(e, value) == 0 for value in op.operands[5:])
    whole = whole and all(e.multiple_of(op.operands[2 + dim]) % size == 0 for dim, size in enumerate(a.block))
    whole = whole and a.pitch // 8 % a.block[a.dimensions[1]] == 0
    return extra == 1 and same and whole and a.pitch % CHUNK == 0 and all(step == 1 for step in op.attrs["steps"])


def copy_blocks(e: Emitter, op: Op, target: Memory, source: Memory) -> None:
    """A line is a run of blocks along the dimension in which they are neighbours."""
    storage = source.type.storage
    assert storage is not None
    outer, inner = storage.dimensions
    counts = [size // block for size, block in zip(op.attrs["sizes"], storage.block, strict=True)]
    there = [blocks_of(source, storage, dim) for dim in range(2)]
    in_block, bytes = storage.pitch // CHUNK, storage.pitch // 8

    def pitch() -> Expr:
        return binary("Mul", blocks_of(source, storage, inner), const(bytes, I64))

    lefts = [
        None if claim else left_of(e, total, start, block, count)
        for claim, total, start, block, count in zip(
            op.attrs["inbounds"], there, op.operands[2:4], storage.block, counts, strict=True
        )
    ]
    columns_left = lefts[inner]
    if columns_left is not None:
        columns_left = e.let(binary("Mul", columns_left, const(in_block, I32)), I32, "left")
    stage, _ = staged(e, target, op.attrs["target_sizes"], op.operands[4:])
    rows, columns = counts[outer], counts[inner] * in_block
    places = np.arange(rows * columns).reshape(rows, columns) * BYTES

    def place(row: Expr | int, column: Expr | int) -> Expr:
        return expression(plus(plus(times(row, columns * BYTES), times(column, BYTES)), target.bit_offset // 8))

    start = [
        Term(op.operands[2 + outer], pitch, storage.block[outer]),
        Term(op.operands[2 + inner], lambda: const(bytes, I64), storage.block[inner]),
    ]
    before = source.bit_offset // 8
    lines = Lines(rows, columns, start, before, pitch, stage, places, place, lefts[outer], columns_left)
    copy_lines(e, lines, target, source, "vmc_copy16")


def blocks_of(memory: Memory, storage: Storage, dim: int) -> Expr:
    """How many blocks there are along a dimension."""
    size = storage.block[dim]
    return binary("Div", binary("Add", memory.extents[dim], const(size - 1, I64)), const(size, I64))
