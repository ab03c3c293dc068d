"""What blocks learn of each other through atomic operations and fences.

After the memory model of PTX: a thread releases what it knows by a fence followed by a strong write, or by a write with
.release; another one acquires it by a strong read of that place followed by a fence, or by a read with .acquire. What
a thread acquires counts as known to its whole block at once, which is more than PTX promises until the block's next
barrier. Programs without fences, acquiring and releasing operations pay nothing for this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vmc.backends.ptxvm.arrays import Array

if TYPE_CHECKING:
    from vmc.backends.ptxvm.program import Program
    from vmc.backends.ptxvm.state import Cohort

Knowledge = dict[int, Array]
"""For each block the stamps of its threads up to which accesses are known."""

ORDERING = {"release", "acquire", "acq_rel", "sc"}
STRONG = {"volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"}
"""Modifiers of accesses that other threads may make at the same time."""


def uses_releases(program: Program) -> bool:
    """Whether a program orders accesses of different blocks at all."""
    return any(
        (i.opcode[0] in ("fence", "membar") and "proxy" not in i.opcode) or ORDERING & set(i.opcode)
        for block in program.blocks
        for i in block.instructions
    )


def may_wait(program: Program) -> bool:
    """Whether a thread could wait in a loop for what another block writes: it reads global memory strongly."""
    return any(
        i.opcode[0] == "atom" or (i.opcode[0] == "ld" and STRONG & set(i.opcode))
        for block in program.blocks
        for i in block.instructions
        if "shared" not in i.opcode and "local" not in i.opcode
    )


class Releases:
    """State of a launch. Threads and blocks have their numbers in the launch; places are granules of global memory."""

    def __init__(self) -> None:
        self.known: dict[int, Knowledge] = {}
        self.fenced: dict[int, Knowledge] = {}
        self.seen: dict[int, Knowledge] = {}
        self.places: dict[int, Knowledge] = {}

    def ordered(self, block: int, other: int, thread: int | None, stamp: int) -> bool:
        """Whether accesses up to a stamp, of a thread (None: of all) of block `other`, are known to `block`."""
        row = self.known.get(block, {}).get(other)
        if row is None:
            return False
        return bool((row if thread is None else row[thread]).min() >= stamp)

    def fence(self, m: Cohort) -> None:
        """The active threads execute a fence."""
        for thread in m.active.tolist():
            self._acquire(m, thread)
            self.fenced[self._number(m, thread)] = self._knowledge(m, thread)

    def write(self, m: Cohort, threads: Array, granules: Array, release: bool) -> None:
        """Strong writes: what the threads released goes to the places."""
        for thread, place in zip(threads.tolist(), granules.tolist(), strict=True):
            told = self._knowledge(m, thread) if release else self.fenced.get(self._number(m, thread))
            if told is not None:
                merge(self.places.setdefault(place, {}), told)

    def read(self, m: Cohort, threads: Array, granules: Array, acquire: bool) -> None:
        """Strong reads: what the places hold is known after the thread's next fence, or at once."""
        for thread, place in zip(threads.tolist(), granules.tolist(), strict=True):
            found = self.places.get(place)
            if found:
                merge(self.seen.setdefault(self._number(m, thread), {}), found)
                if acquire:
                    self._acquire(m, thread)

    def _number(self, m: Cohort, thread: int) -> int:
        return thread + m.first_block * m.per_block

    def _acquire(self, m: Cohort, thread: int) -> None:
        seen = self.seen.pop(self._number(m, thread), None)
        if seen:
            block = self._number(m, thread) // m.per_block
            merge(self.known.setdefault(block, {}), {b: row for b, row in seen.items() if b != block})

    def _knowledge(self, m: Cohort, thread: int) -> Knowledge:
        """All that a thread knows now; what it does from here on is later."""
        local, place = divmod(thread, m.per_block)
        block = local + m.first_block
        result = {b: row.copy() for b, row in self.known.get(block, {}).items()}
        result[block] = m.order.depart(local, np.array([place]))
        return result


def merge(into: Knowledge, other: Knowledge) -> None:
    """Add what `other` knows."""
    for block, row in other.items():
        into[block] = np.maximum(into[block], row) if block in into else row.copy()
