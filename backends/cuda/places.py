"""Places in shared memory as sums: what a thread adds, once for all accesses, and what an access adds to that.

    row 8 of a matrix is 8 rows behind row 0 for every thread    ->    [base(thread) + 8 * 256]

A sum of a thread's own part, a stage and a constant takes no instruction: the constant is part of the access, and what
is the same in all threads is added by it too. Whether a place has that form is asked of its numbers, for all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.memory import Memory, view
from vmc.backends.cuda.registers import expression, plus, quotient, remainder, times
from vmc.backends.cuda.scaled import kept, scaled
from vmc.backends.cuda.tir import I32, U32, Expr, binary, call, cast, const, tirx
from vmc.ir.core import Value
from vmc.ir.storage import block_counts, block_numbers, block_positions

Array = np.ndarray[Any, Any]


def shape_of(memory: Memory) -> tuple[int, ...]:
    """The extents of a tensor in shared memory."""
    return tuple(extent for extent in memory.type.shape if isinstance(extent, int))


def first_bits(memory: Memory, index: Sequence[Array]) -> Array:
    """Where elements begin, in bits behind the tensor's first one: int64, of the shape of the indices."""
    shape, storage = shape_of(memory), memory.type.storage
    if storage is None:
        return np.asarray(np.ravel_multi_index(tuple(index), shape) * memory.width)
    pairs = list(zip(index, storage.block, strict=True))
    blocks = tuple(np.asarray(line // size) for line, size in pairs)
    inside = np.ravel_multi_index([line % size for line, size in pairs], storage.block)
    number = block_numbers(storage, blocks, block_counts(storage, shape))
    return np.asarray(number * storage.pitch + block_positions(storage, memory.width)[inside, 0])


def led(table: Array) -> list[tuple[int, int]]:
    """For every column of [threads, accesses]: the first column that it is a constant behind, and the constant."""
    leaders: dict[bytes, int] = {}
    found = []
    for column in range(table.shape[1]):
        own = np.ascontiguousarray(table[:, column] - table[0, column])
        leader = leaders.setdefault(own.tobytes(), column)
        found.append((leader, int(table[0, column] - table[0, leader])))
    return found


def base(e: Emitter, memory: Memory, bytes: Array, place: Callable[[], Expr]) -> Expr:
    """The address in shared memory of what each thread has there, given the bytes behind the tensor's first one by
    thread, and an expression of the bytes behind the arena's, for those that are no sums of the thread's bits.
    """
    found = of_bits(bytes + memory.bit_offset // 8)
    if found is None:
        return e.let(address(e, memory, place()), U32, "base")
    return kept(e, lambda: address(e, memory, expression(found.at(e.thread))), U32, "base")


def address(e: Emitter, memory: Memory, at: Expr) -> Expr:
    """The address in shared memory of a byte."""
    return call(U32, "vmc_shared", tirx().address_of(e.get(view(e, memory, "uint8"), at)))


@dataclass(frozen=True)
class Bits:
    """`start` and, for runs of bits of the thread's number, (shift, number of values, multiple); `joined` by Add, or by
    BitwiseXor.
    """

    start: int
    terms: tuple[tuple[int, int, int], ...]
    joined: str

    def at(self, thread: Expr) -> Expr | int:
        total: Expr | int = self.start
        for shift, count, step in self.terms:
            term = times(remainder(quotient(thread, 1 << shift), count), step)
            if self.joined == "Add":
                total = plus(total, term)
            elif isinstance(total, int) and isinstance(term, int):
                total ^= term
            else:
                total = binary(self.joined, expression(total), expression(term))
        return total


def of_bits(values: Array) -> Bits | None:
    """Numbers by thread as sums, with or without carries, of multiples of runs of the thread's bits."""
    start, threads = int(values[0]), len(values)
    numbers = np.arange(threads)
    places = range((threads - 1).bit_length())
    bits = [numbers >> bit & 1 for bit in places]
    for joined, apart, ufunc in (("Add", np.subtract, np.add), ("BitwiseXor", np.bitwise_xor, np.bitwise_xor)):
        steps = [int(apart(values[1 << bit], start)) for bit in places]
        total = np.full(threads, start, np.int64)
        for bit, step in zip(bits, steps, strict=True):
            total = ufunc(total, bit * step)
        if np.array_equal(total, values):
            return Bits(start, runs(steps, joined == "Add"), joined)
    return None


def runs(steps: Sequence[int], carries: bool) -> tuple[tuple[int, int, int], ...]:
    """Neighbouring bits whose steps double, as one run; without carries, those of one bit only."""
    terms: list[tuple[int, int, int]] = []
    for bit, step in enumerate(steps):
        single = carries or step & (step - 1) == 0
        if terms and single and step == terms[-1][2] * terms[-1][1] and 1 << bit - terms[-1][0] == terms[-1][1]:
            terms[-1] = (terms[-1][0], 2 * terms[-1][1], terms[-1][2])
        elif step:
            terms.append((bit, 2, step))
    return tuple(terms)


def staged(
    e: Emitter, memory: Memory, sizes: Sequence[int | None], starts: Sequence[Value]
) -> tuple[Expr | None, list[Expr]]:
    """Where the stage begins that a leading index chooses, in bytes, None without one, and the starts in the stage."""
    step = stage_bits(memory) if len(sizes) > 1 and sizes[0] is None else 0
    if not step or step % 8:
        return None, [cast(e.scalar(start), I32) for start in starts]
    inner = [cast(e.scalar(start), I32) for start in starts[1:]]
    return scaled(e, starts[0], step // 8), [const(0, I32), *inner]


def stage_bits(memory: Memory) -> int:
    """The bits of one stage of a ring, or of one row; 0 where those of a row do not lie together."""
    storage, shape = memory.type.storage, shape_of(memory)
    if storage is None:
        return prod(shape[1:]) * memory.width
    if storage.block[0] != 1 or storage.dimensions[0] != 0:
        return 0
    return prod(block_counts(storage, shape)[1:]) * storage.pitch
