"""What unfinished matrix instructions of warpgroups (wgmma) hold: registers of threads, and bytes of shared memory.

PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions": from `wgmma.mma_async` until a `wgmma.wait_group` that its
group is waited for in, nobody may touch the registers of D and A, nor write the matrices in shared memory; D alone is
passed on to further instructions of the same shape. Before it, a `wgmma.fence` must follow every other access to these
registers. Which registers are meant is known before the launch: they are *watched*, that is, every other
instruction that names one reports its accesses here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.errors import AsyncProductError
from vmc.backends.ptxvm.memory import Access

if TYPE_CHECKING:
    from vmc.backends.ptxvm.program import Program
    from vmc.backends.ptxvm.state import Cohort

WARP, WARPS, THREADS = 32, 4, 128


@dataclass
class Flight:
    """An instruction of one warpgroup that reads `granules` of shared memory: its number, its first thread, and for
    each warp the group it belongs to and whether it has been waited for."""

    number: int
    first: int
    granules: Array
    group: Array
    done: Array

    @property
    def readers(self) -> Array:
        """The threads in whose name shared memory is read: the first of every warp."""
        return self.first + WARP * np.arange(WARPS)


class Warpgroups:
    """The state of a cohort of `size` threads.

    For every watched register and thread: `touched`, whether it was accessed since the thread's last fence; `held`, the
    number, from 1, of the latest group that uses it and was not waited for (0: none); `columns`, those of the
    instruction that it is D of (0: it is a part of A); `line`, the instruction.
    """

    def __init__(self, program: Program, size: int) -> None:
        count = len(program.watched)
        self.rows = program.watched
        self.touched = np.ones((count, size), np.bool_)
        self.held = np.zeros((count, size), np.int32)
        self.columns = np.zeros((count, size), np.int32)
        self.line = np.zeros((count, size), np.int32)
        self.group = np.zeros(size, np.int32)
        self.flights: list[Flight] = []

    def touch(self, m: Cohort, rows: Sequence[int]) -> None:
        """The active threads access watched registers. Raises AsyncProductError for one in use."""
        index = np.ix_(np.asarray(rows), m.active)
        held = self.held[index]
        if held.any():
            row, column = np.argwhere(held)[0]
            raise self.error(m, rows[row], int(m.active[column]), "is used by a wgmma that has not been waited for")
        self.touched[index] = True

    def fence(self, m: Cohort) -> None:
        """wgmma.fence of the active threads."""
        self.touched[:, m.active] = False

    def use(self, m: Cohort, number: int, a: Sequence[int], d: Sequence[int], columns: int) -> None:
        """The active threads hand registers to an instruction. Raises AsyncProductError where they may not."""
        for rows, own in ((a, 0), (d, columns)):
            if not rows:
                continue
            index = np.ix_(np.asarray(rows), m.active)
            touched = self.touched[index]
            if touched.any():
                row, column = np.argwhere(touched)[0]
                what = "was accessed with no wgmma.fence since"
                raise self.error(m, rows[row], int(m.active[column]), what)
            other = (self.held[index] > 0) & (self.columns[index] != own)
            if other.any():
                row, column = np.argwhere(other)[0]
                what = "is used in another way by a wgmma that has not been waited for"
                raise self.error(m, rows[row], int(m.active[column]), what)
            self.held[index] = self.group[m.active] + 1
            self.columns[index] = own
            self.line[index] = number

    def read(self, m: Cohort, number: int, granules_of: Sequence[Array]) -> None:
        """The warpgroups of the active threads read granules of shared memory, each named once."""
        firsts = m.active[::THREADS]
        memory = m.shared.memory
        for first, granules in zip(firsts.tolist(), granules_of, strict=True):
            flight = Flight(number, first, granules, self.group[first + WARP * np.arange(WARPS)], np.zeros(4, np.bool_))
            self.flights.append(flight)
            _note(m, flight)
            if memory.tracker is not None:
                memory.hold(granules, number)

    def commit(self, m: Cohort) -> None:
        """wgmma.commit_group of the active threads."""
        self.group[m.active] += 1

    def wait(self, m: Cohort, allowed: int) -> None:
        """The active threads wait until at most `allowed` of their latest groups are under way."""
        limit = self.group[m.active] - allowed
        held = self.held[:, m.active]
        self.held[:, m.active] = np.where(held <= limit, 0, held)
        left = []
        for flight in self.flights:
            threads = flight.readers
            flight.done |= m.mask[threads] & (flight.group < self.group[threads] - allowed)
            if not flight.done.all():
                left.append(flight)
                continue
            if m.shared.memory.tracker is not None:
                m.shared.memory.release(flight.granules)
            _note(m, flight)
        self.flights = left

    def error(self, m: Cohort, row: int, thread: int, what: str) -> AsyncProductError:
        slot = next(s for s, number in self.rows.items() if number == row)
        block, own = divmod(thread, m.per_block)
        where = (block + m.first_block, own)
        error = AsyncProductError(
            f"register {m.program.names[slot]} of thread {own} of block {where[0]} {what}", threads=(where,)
        )
        if self.held[row, thread]:
            error.since(int(self.line[row, thread]))
        return error


def _note(m: Cohort, flight: Flight) -> None:
    """The warpgroup reads, as it may from now on until it is done. Raises RaceError, AsyncCopyError."""
    memory = m.shared.memory
    if memory.tracker is None:
        return
    readers = flight.readers
    granules = np.broadcast_to(flight.granules, (WARPS, len(flight.granules)))
    access = Access(readers, m.order, flight.number)
    if memory.outstanding:
        memory.check_pending(granules, access)
    conflict = memory.tracker.read(granules, readers, m.order, flight.number, False)
    if conflict is not None:
        raise memory.race(conflict)
    memory.check_fenced(granules, access)
