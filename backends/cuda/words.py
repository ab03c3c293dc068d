"""Codes as the words that they came in: loads of tensors whose bits lie in the order in which threads decode them.

Where the bits of a thread's part of a slice fill whole words, alike in all threads, the words are loaded as they are,
16 bytes at once where they lie so; `decoding` makes numbers of them. Both are found by following every bit of the slice
through the register layout and through the storage: what the storage is called, or who chose it, does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.memory import Memory, view
from vmc.backends.cuda.places import base, led, shape_of
from vmc.backends.cuda.registers import element_layout, expression, plus, quotient, remainder, times
from vmc.backends.cuda.scaled import known_number, scaled
from vmc.backends.cuda.tir import U32, Expr, binary, cast, const, tirx
from vmc.ir.core import Op, Storage
from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.spread import holdings
from vmc.ir.storage import block_counts, block_positions
from vmc.ir.types import DType

WORD, WIDEST = 32, 4
Place = tuple[int, int]
"""A word of a thread, and a bit of it."""


@dataclass(frozen=True)
class Words:
    """A tile as words: `places[slot]` says where the bits of the code in a slot are, the least significant first."""

    dtype: DType
    buffer: Any
    count: int
    places: tuple[tuple[Place, ...], ...]


@dataclass(frozen=True)
class Linear:
    """`start` plus multiples of runs of bits of the thread's number: (shift, number of values, multiple)."""

    start: int
    terms: tuple[tuple[int, int, int], ...]

    def numbers(self, threads: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The numbers of threads."""
        parts = [(threads >> shift) % count * step for shift, count, step in self.terms]
        total: np.ndarray[Any, Any] = np.sum([np.full_like(threads, self.start), *parts], axis=0)
        return total

    def at(self, thread: Expr) -> Expr | int:
        total: Expr | int = self.start
        for shift, count, step in self.terms:
            total = plus(total, times(remainder(quotient(thread, 1 << shift), count), step))
        return total


@dataclass(frozen=True)
class Vector:
    """`words` words side by side: the block they are in, in every dimension, and the first one's place in the block."""

    words: int
    block: tuple[Linear, ...]
    first: Linear


@dataclass(frozen=True)
class Plan:
    """The accesses of a thread, and where the bits of its slots come to be."""

    vectors: tuple[Vector, ...]
    places: tuple[tuple[Place, ...], ...]


def lower_load(e: Emitter, op: Op) -> None:
    """A load of a tensor with a shuffled storage. Raises UnsupportedError where its slices do not fit the storage."""
    memory: Memory = e.values[op.operands[0]]
    storage = memory.type.storage
    assert storage is not None
    attrs, kind = op.attrs, memory.index_kind
    layout = element_layout(op.result.tile).reshape(*(size or 1 for size in attrs["sizes"]))
    made = plan(storage, memory.width, layout, e.threads)
    if made is None or any(step != 1 for step in attrs["steps"]) or attrs["fill"]:
        raise UnsupportedError(f"a slice of {op.result.tile.shape} does not lie in whole words of its tensor's storage")
    total = sum(vector.words for vector in made.vectors)
    words = e.buffer(U32, total, op.result.name or "w")
    e.define(op.result, Words(memory.type.dtype, words, total, made.places))
    if in_one_stage(e, op, memory):
        return load_staged(e, op, made, memory, words)
    starts = [
        e.let(binary("Div", cast(e.scalar(start), kind), const(size, kind)), kind, "block")
        for start, size in zip(op.operands[1:], storage.block, strict=True)
    ]
    counts = [
        e.let(binary("Div", binary("Add", extent, const(size - 1, kind)), const(size, kind)), kind, "blocks")
        for extent, size in zip(memory.extents, storage.block, strict=True)
    ]
    data, done = view(e, memory, U32), 0
    for vector in made.vectors:
        load_vector(e, vector, storage, memory, starts, counts, attrs["inbounds"], data, words, done)
        done += vector.words


def in_one_stage(e: Emitter, op: Op, memory: Memory) -> bool:
    """Whether a load is of a whole stage of a ring, or of the beginning of one, in shared memory."""
    inside = all(op.attrs["inbounds"]) and all(known_number(e, start) == 0 for start in op.operands[2:])
    return memory.is_shared and inside and op.attrs["sizes"][0] is None


def load_staged(e: Emitter, op: Op, made: Plan, memory: Memory, words: Any) -> None:
    """Words whose places differ by constants are loaded from one base."""
    storage = memory.type.storage
    assert storage is not None
    counts = block_counts(storage, shape_of(memory))
    steps = [0] * len(counts)
    step = storage.pitch // 8
    for dim in reversed(storage.dimensions):
        steps[dim] = step
        step *= counts[dim]
    threads = np.arange(e.threads)
    lines = [[*vector.block, vector.first] for vector in made.vectors]
    weights = [*steps, WORD // 8]
    parts = [[line.numbers(threads) * weight for line, weight in zip(own, weights, strict=True)] for own in lines]
    table = np.stack([np.sum(own, axis=0) for own in parts], axis=1)
    stage = cast(scaled(e, op.operands[1], steps[0]), U32)
    bases: dict[int, Expr] = {}
    done = 0
    for vector, (leader, distance) in zip(made.vectors, led(table), strict=True):
        if leader not in bases:

            def place(own: list[Linear] = lines[leader]) -> Expr:
                total: Expr | int = memory.bit_offset // 8
                for line, weight in zip(own, weights, strict=True):
                    total = plus(total, times(line.at(e.thread), weight))
                return expression(total)

            bases[leader] = binary("Add", base(e, memory, table[:, leader], place), stage)
        to = [tirx().address_of(e.get(words, done + word)) for word in range(vector.words)]
        e.call(f"vmc_load_shared{vector.words}", *to, binary("Add", bases[leader], const(distance, U32)))
        done += vector.words


def load_vector(
    e: Emitter,
    vector: Vector,
    storage: Storage,
    memory: Memory,
    starts: Sequence[Expr],
    counts: Sequence[Expr],
    claims: Sequence[bool],
    data: Any,
    words: Any,
    done: int,
) -> None:
    """Words of one block; of a block behind the tensor's last one, zeros."""
    kind = memory.index_kind
    blocks = [
        binary("Add", start, cast(expression(along.at(e.thread)), kind))
        for start, along in zip(starts, vector.block, strict=True)
    ]
    blocks = [e.let(block, kind, "b") for block in blocks]
    number: Expr = const(0, kind)
    for dim in storage.dimensions:
        number = binary("Add", binary("Mul", number, counts[dim]), blocks[dim])
    place = binary("Mul", number, const(storage.pitch // WORD, kind))
    place = binary("Add", place, cast(expression(vector.first.at(e.thread)), kind))
    place = e.let(binary("Add", place, const(memory.bit_offset // WORD, kind)), kind, "at")
    inside = [
        binary("LT", block, count) for block, count, claim in zip(blocks, counts, claims, strict=True) if not claim
    ]
    if inside:
        for number_of in range(vector.words):
            e.put(words, done + number_of, const(0, U32))
    with e.when(inside):
        to = [tirx().address_of(e.get(words, done + number)) for number in range(vector.words)]
        e.call(f"vmc_load{vector.words}", *to, tirx().address_of(e.get(data, place)))


# ---- the plan --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def plan(storage: Storage, width: int, layout: Layout, threads: int) -> Plan | None:
    """How the threads load a slice that begins at a block; None where their words are not whole, or not alike."""
    shape, block = layout.shape, storage.block
    if storage.pitch % WORD or any(extent % size for extent, size in zip(shape, block, strict=True)):
        return None
    held = holdings(layout, threads)
    if (held < 0).any():
        return None
    index = np.unravel_index(held, shape)
    blocks = np.stack([line // size for line, size in zip(index, block, strict=True)])
    inside = np.ravel_multi_index([line % size for line, size in zip(index, block, strict=True)], block)
    bits = block_positions(storage, width)[inside]
    words = [words_of(blocks[:, thread], bits[thread]) for thread in range(threads)]
    keys, places = words[0]
    if any(other != places or len(found) != len(keys) for found, other in words[1:]):
        return None
    table = np.array([found for found, _ in words])
    vectors = grouped(table)
    return None if vectors is None else Plan(vectors, places)


def words_of(
    blocks: np.ndarray[Any, Any], bits: np.ndarray[Any, Any]
) -> tuple[list[tuple[int, ...]], tuple[tuple[Place, ...], ...]]:
    """One thread's words, as (block in every dimension, word of the block), and the places of its slots' bits."""
    spread = np.broadcast_to(blocks[:, :, None], (*blocks.shape, bits.shape[-1]))
    keys = np.concatenate([spread, (bits // WORD)[None]]).reshape(len(blocks) + 1, -1).T
    found, number = np.unique(keys, axis=0, return_inverse=True)
    if len(found) * WORD != bits.size:
        return [], ()
    pairs = np.stack([number.reshape(bits.shape), bits % WORD], axis=-1)
    places = tuple(tuple((int(word), int(bit)) for word, bit in slot) for slot in pairs)
    return [tuple(map(int, key)) for key in found], places


def grouped(table: np.ndarray[Any, Any]) -> tuple[Vector, ...] | None:
    """Words [threads, words, block and word] as accesses; None where they are no sums of the thread's bits."""
    count = table.shape[1]
    if not count:
        return None
    for size in (WIDEST, 2, 1):
        if count % size == 0 and together(table, size):
            break
    vectors = []
    for first in range(0, count, size):
        lines = [linear(table[:, first, axis]) for axis in range(table.shape[2])]
        if any(line is None for line in lines):
            return None
        *block, word = (line for line in lines if line is not None)
        vectors.append(Vector(size, tuple(block), word))
    return tuple(vectors)


def together(table: np.ndarray[Any, Any], size: int) -> bool:
    """Whether every `size` words lie side by side at a multiple of their size."""
    groups = table.reshape(table.shape[0], -1, size, table.shape[2])
    first = groups[:, :, :1]
    same = (groups[..., :-1] == first[..., :-1]).all()
    rising = (groups[..., -1] == first[..., -1] + np.arange(size)).all()
    return bool(same and rising and (first[..., -1] % size == 0).all())


def linear(values: np.ndarray[Any, Any]) -> Linear | None:
    """Numbers by thread as sums of multiples of runs of the thread's bits; None where they are no such sums."""
    start, threads = int(values[0]), len(values)
    steps = [int(values[1 << bit]) - start for bit in range((threads - 1).bit_length())]
    numbers = np.arange(threads)
    bits = numbers[:, None] >> np.arange(len(steps)) & 1
    if not np.array_equal(start + bits @ np.array(steps, np.int64), values):
        return None
    terms: list[tuple[int, int, int]] = []
    for bit, step in enumerate(steps):
        if terms and step == terms[-1][2] * terms[-1][1] and terms[-1][0] + terms[-1][1].bit_length() - 1 == bit:
            terms[-1] = (terms[-1][0], 2 * terms[-1][1], terms[-1][2])
        elif step:
            terms.append((bit, 2, step))
    return Linear(start, tuple(terms))
