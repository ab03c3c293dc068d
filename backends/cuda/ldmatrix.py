"""ldmatrix: loads from shared memory of tiles that lie in threads as 8 x 8 matrices of 16 bits do.

PTX ISA, "Warp-level matrix load instruction": the threads of each group of eight name the rows of one of four matrices;
every thread is given two neighbours of row (lane / 4), columns 2 (lane % 4), of each; or of elements of 8 bits, of
which rows of 16 bytes have twice as many, four. Whether a tile lies so is seen
from what its layout puts in which slot; the addresses are sums of bits of the thread's number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from vmc.backends.cuda.arith import from_code
from vmc.backends.cuda.copies import aligned, in_stage
from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.memory import Memory
from vmc.backends.cuda.places import address, base, first_bits, led, staged
from vmc.backends.cuda.registers import element_layout, expression
from vmc.backends.cuda.scaled import known_number
from vmc.backends.cuda.tir import U32, Expr, binary, cast, const, tirx
from vmc.backends.cuda.words import Linear, linear
from vmc.ir.core import Op
from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.spread import holdings

MATRICES, SIDE, LANES = 4, 8, 32
LINE, WORD = 4, 32
"""The words of a matrix's row, and the bits of one."""


@dataclass(frozen=True)
class Access:
    """One instruction: the row and column that each thread names, and the first slots of the words that it fills."""

    row: Linear
    column: Linear
    slots: tuple[int, ...]


def is_matrices(op: Op, memory: Memory, threads: int) -> bool:
    """Whether a load can be made so."""
    tile = op.result.tile
    if not memory.is_shared or memory.width not in (8, 16) or tile.rank != 2 or memory.bit_offset % 128:
        return False
    if any(size is None for size in op.attrs["sizes"][-2:]) or not all(op.attrs["inbounds"]):
        return False
    if any(size is not None for size in op.attrs["sizes"][:-2]) or any(step != 1 for step in op.attrs["steps"]):
        return False
    whole = aligned(memory.type.storage, memory.width)
    return whole and accesses(element_layout(tile), threads, WORD // memory.width) is not None


@lru_cache(maxsize=64)
def accesses(layout: Layout, threads: int, each: int) -> tuple[Access, ...] | None:
    """The instructions that fill a tile, `each` elements a word; None where it does not lie in such matrices."""
    if threads % LANES or layout.shape[0] % SIDE or layout.shape[1] % (LINE * each):
        return None
    held = holdings(layout, threads)
    if (held < 0).any() or held.shape[1] % (each * MATRICES):
        return None
    columns = layout.shape[1]
    lanes = np.arange(threads) % LANES
    own = lanes // LINE * columns + lanes % LINE * each
    words = held.reshape(threads, -1, each)
    origins = words[:, :, 0] - own[:, None]
    warps = origins.reshape(-1, LANES, origins.shape[1])
    if (words != words[:, :, :1] + np.arange(each)).any() or (warps != warps[:, :1]).any():
        return None
    found = []
    for first in range(0, origins.shape[1], MATRICES):
        group = np.arange(threads)
        named = origins[group, first + group % LANES // SIDE]
        rows, places = linear(named // columns + group % SIDE), linear(named % columns)
        if rows is None or places is None:
            return None
        found.append(Access(rows, places, tuple(each * (first + n) for n in range(MATRICES))))
    return tuple(found)


def lower_matrices(e: Emitter, op: Op) -> None:
    """A load by ldmatrix.x4."""
    memory: Memory = e.values[op.operands[0]]
    made = e.tile(op.result.tile, op.result.name)
    found = accesses(element_layout(op.result.tile), e.threads, WORD // memory.width)
    assert found is not None
    stage, starts = staged(e, memory, op.attrs["sizes"], op.operands[1:])
    known = stage is not None and all(known_number(e, start) == 0 for start in op.operands[2:])
    table = places(memory, found, e.threads)
    leaders = led(table) if known else [(n, 0) for n in range(len(found))]
    bases: dict[int, Expr] = {}
    for access, (leader, distance) in zip(found, leaders, strict=True):
        if leader not in bases:
            moved = [expression(line.at(e.thread)) for line in (found[leader].row, found[leader].column)]

            def place(moved: list[Expr] = moved) -> Expr:
                return in_stage(memory, starts, moved)

            own = base(e, memory, table[:, leader], place) if known else address(e, memory, place())
            bases[leader] = own if stage is None else binary("Add", own, cast(stage, U32))
        words = e.buffer(U32, MATRICES, "m")
        to = [tirx().address_of(e.get(words, part)) for part in range(MATRICES)]
        e.call("vmc_ldmatrix4", *to, binary("Add", bases[leader], const(distance, U32)))
        for part, slot in enumerate(access.slots):
            word = e.get(words, part)
            made.words[tuple(range(slot, slot + WORD // memory.width))] = word
            for number, bit in enumerate(range(0, WORD, memory.width)):
                code = word >> const(bit, U32) if bit else word
                if bit + memory.width < WORD:
                    code = binary("BitwiseAnd", code, const((1 << memory.width) - 1, U32))
                e.put(made.buffer, slot + number, from_code(op.result.tile.dtype, code))
    e.define(op.result, made)


def places(memory: Memory, found: tuple[Access, ...], threads: int) -> np.ndarray[Any, Any]:
    """The bytes that threads name, by thread and access, in a stage."""
    lanes = np.arange(threads)
    columns = []
    for access in found:
        index = [line.numbers(lanes) for line in (access.row, access.column)]
        columns.append(first_bits(memory, [np.zeros_like(lanes)] * (len(memory.type.shape) - 2) + index) // 8)
    return np.stack(columns, axis=1)
