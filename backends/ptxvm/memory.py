"""Memories as flat bytes: values, which bits were never written, who accessed them last, what is still on its way.

Addresses here are indices into the bytes; turning a program's addresses into indices is the business of the spaces
(`spaces.py`). All accesses are whole vectors: `index` has shape [n], one entry for every thread of the access, each
transferring `count` elements of `size` bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.errors import AsyncCopyError, AsyncProductError, RaceError
from vmc.backends.ptxvm.order import Order
from vmc.backends.ptxvm.tracking import Conflict, Tracker


@dataclass(frozen=True)
class Access:
    """Who accesses: cohort-wide thread numbers [n], the clocks, the number of the instruction, and whether it is
    atomic, volatile or otherwise `strong`, which two accesses of different threads may both be without a race."""

    threads: Array
    order: Order
    instruction: int
    strong: bool = False


@dataclass
class Memory:
    """`size` bytes. `granule`: bytes of the narrowest access, the unit in which races are looked for."""

    name: str
    data: Array
    granule: int
    tracker: Tracker | None
    unset: Array | None = None
    pending: Array | None = None
    outstanding: int = 0
    readers: Array | None = None
    """For every granule, how many unfinished matrix instructions read it."""
    holder: int = 0
    views: dict[int, Array] = field(default_factory=dict)
    unset_views: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.views = {w: self.data.view(t) for w, t in UINT.items()}
        if self.unset is not None:
            self.unset_views = {w: self.unset.view(t) for w, t in UINT.items()}

    def load(self, index: Array, size: int, count: int, access: Access) -> tuple[Array, Array | None]:
        """The elements [n, count], and their bits that were never written (None if there are none)."""
        self._check_read(index, size * count, access)
        places = elements(index, size, count)
        values = self.views[size * 8][places]
        return values, self._unset_bits(places, size)

    def _unset_bits(self, places: Array, size: int) -> Array | None:
        if self.unset is None:
            return None
        bits: Array = self.unset_views[size * 8][places]
        return bits if bits.any() else None

    def store(self, index: Array, values: Array, unset: Array | None, access: Access) -> None:
        """Write elements [n, count]. `unset`: bits of the values that are not set (None: all are)."""
        size, count = values.dtype.itemsize, values.shape[1]
        places = elements(index, size, count)
        view = self.views[size * 8]
        self._check_write(index, values, access)
        view[places] = values
        if self.unset is not None:
            self.unset_views[size * 8][places] = 0 if unset is None else unset
        if self.tracker is not None and len(index) > 1:
            self._check_same_instruction(places, values, view, access)

    def granules(self, index: Array, nbytes: int) -> Array:
        """The granules [n, k] that accesses of `nbytes` from these indices touch."""
        return elements(index, self.granule, max(1, nbytes // self.granule))

    def _check_read(self, index: Array, nbytes: int, access: Access) -> None:
        if self.tracker is None:
            return
        granules = self.granules(index, nbytes)
        if self.outstanding:
            self.check_pending(granules, access)
        conflict = self.tracker.read(granules, access.threads, access.order, access.instruction, access.strong)
        if conflict is not None:
            raise self.race(conflict)

    def _check_write(self, index: Array, values: Array, access: Access) -> None:
        if self.tracker is None:
            return
        nbytes = values.dtype.itemsize * values.shape[1]
        granules = self.granules(index, nbytes)
        if self.outstanding:
            self.check_pending(granules, access)

        def same() -> Array:
            unit = {1: 8, 2: 16, 4: 32, 8: 64}[self.granule]
            new = np.ascontiguousarray(values).view(UINT[unit]).reshape(granules.shape)
            equal: Array = self.views[unit][granules] == new
            return equal

        self.note_write(granules, access, same)

    def note_write(self, granules: Array, access: Access, same: object = None) -> None:
        """Check a write against earlier accesses, and remember it. Raises RaceError, AsyncProductError."""
        assert self.tracker is not None
        if self.readers is not None and self.readers[granules].any():
            raise self._held(granules, access)
        never = np.zeros(granules.shape, np.bool_)
        equal = same if callable(same) else lambda: never
        conflict = self.tracker.write(granules, access.threads, access.order, access.instruction, access.strong, equal)
        if conflict is not None:
            raise self.race(conflict)

    def _check_same_instruction(self, places: Array, values: Array, view: Array, access: Access) -> None:
        """Threads that write different values to one place in one instruction."""
        assert self.tracker is not None
        if access.strong:
            return
        lost = view[places] != values
        if not lost.any():
            return
        row, column = np.argwhere(lost)[0]
        size = values.dtype.itemsize
        granule = int(places[row, column]) * size // self.granule
        thread = int(access.threads[row]) + self.tracker.first
        other = int(self.tracker.writer[granule])
        raise self.race(Conflict("write after write", thread, other, access.instruction, granule))

    def check_pending(self, granules: Array, access: Access) -> None:
        """Raises AsyncCopyError where a granule waits for an asynchronous copy."""
        assert self.pending is not None and self.tracker is not None
        copies = self.pending[granules]
        if not copies.any():
            return
        row, column = np.argwhere(copies)[0]
        raise AsyncCopyError(
            f"byte {int(granules[row, column]) * self.granule} of {self.name} memory is the target of a cp.async that "
            f"has not been waited for",
            threads=(self.place(int(access.threads[row]) + self.tracker.first),),
        ).since(int(copies[row, column]) - 1)

    def hold(self, granules: Array, instruction: int) -> None:
        """From now on a matrix instruction reads these granules, each named once."""
        if self.readers is None:
            self.readers = np.zeros(len(self.data) // self.granule, np.int32)
        self.readers[granules] += 1
        self.holder = instruction

    def release(self, granules: Array) -> None:
        """A matrix instruction that held these granules is done."""
        assert self.readers is not None
        self.readers[granules] -= 1

    def _held(self, granules: Array, access: Access) -> AsyncProductError:
        assert self.readers is not None and self.tracker is not None
        row, column = np.argwhere(self.readers[granules])[0]
        error = AsyncProductError(
            f"byte {self.describe(int(granules[row, column]) * self.granule)} of {self.name} memory is written while a "
            f"wgmma reads it that has not been waited for",
            threads=(self.place(int(access.threads[row]) + self.tracker.first),),
        )
        error.since(self.holder)
        return error

    def check_fenced(self, granules: Array, access: Access) -> None:
        """Raises RaceError where the async proxy accesses what threads wrote, without a fence between."""
        if self.tracker is None or access.order.fenced is None:
            return
        unfenced = self.tracker.unfenced(granules, access.threads, access.order)
        if not unfenced.any():
            return
        row, column = np.argwhere(unfenced)[0]
        granule = int(granules[row, column])
        where = self.place(int(access.threads[row]) + self.tracker.first)
        writer = self.place(int(self.tracker.writer[granule]))
        raise RaceError(
            f"race in {self.name} memory: thread {writer[1]} of block {writer[0]} wrote byte "
            f"{self.describe(granule * self.granule)}, and the async proxy accesses it for thread {where[1]} with no "
            f"fence.proxy.async between",
            threads=(where, writer),
        ).since(int(self.tracker.write_line[granule]))

    def place(self, thread: int) -> tuple[int, int]:
        """(block, thread in the block) of a launch-wide thread number."""
        assert self.tracker is not None
        return divmod(thread, self.tracker.threads)

    def race(self, conflict: Conflict) -> RaceError:
        """The error for a conflict."""
        block, thread = self.place(conflict.thread)
        threads = [(block, thread)]
        if conflict.other is None:
            whom = "several threads"
        else:
            threads.append(self.place(conflict.other))
            other_block, other = threads[-1]
            whom = f"thread {other}" + ("" if other_block == block else f" of block {other_block}")
        error = RaceError(
            f"race in {self.name} memory, {conflict.kind}: thread {thread} of block {block} and {whom} access byte "
            f"{self.describe(conflict.granule * self.granule)} with nothing that orders them",
            threads=tuple(threads),
        )
        error.since(conflict.instruction)
        return error

    def describe(self, index: int) -> str:
        """A byte in the program's terms."""
        return str(index)


def elements(index: Array, size: int, count: int) -> Array:
    """Element numbers [n, count] of consecutive elements from byte indices [n]."""
    first = index // size if size > 1 else index
    return first[:, None] + np.arange(count) if count > 1 else first[:, None]
