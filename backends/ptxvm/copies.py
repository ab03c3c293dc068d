"""Asynchronous copies to shared memory (cp.async), as late as the program allows.

A copy is carried out when its thread waits for it and not before; until then its target is out of bounds to everybody.
What a thread waited for counts as written by that thread at that moment, so that others need a barrier to see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.memory import Access
from vmc.backends.ptxvm.tracking import Conflict

if TYPE_CHECKING:
    from vmc.backends.ptxvm.state import Cohort


@dataclass
class Batch:
    """What one instruction started: for each thread target and source index, bytes to read, and the thread's group."""

    number: int
    size: int
    threads: Array
    target: Array
    source: Array
    length: Array
    group: Array


class Copies:
    """The outstanding copies of a cohort of `threads` threads."""

    def __init__(self, threads: int) -> None:
        self.group = np.zeros(threads, np.int64)
        self.batches: list[Batch] = []

    def start(self, m: Cohort, batch: Batch) -> None:
        """Begin copies. Raises RaceError where the target is still in use, AsyncCopyError where one is on its way."""
        memory = m.shared.memory
        assert memory.pending is not None
        access = Access(batch.threads, m.order, batch.number)
        if memory.tracker is not None:
            granules = memory.granules(batch.target, batch.size)
            if memory.outstanding:
                memory.check_pending(granules, access)
            memory.note_write(granules, access)
            self._check_targets(m, batch, granules)
            memory.pending[granules] = batch.number + 1
            memory.outstanding += granules.size
        batch.group = self.group[batch.threads]
        self.batches.append(batch)

    def _check_targets(self, m: Cohort, batch: Batch, granules: Array) -> None:
        """Raises RaceError where two threads of one instruction copy different things to one place."""
        tracker = m.shared.memory.tracker
        assert tracker is not None
        last = tracker.writer[granules[:, 0]] - tracker.first
        lost = np.flatnonzero(last != batch.threads)
        if not len(lost):
            return
        position = np.full(m.size, -1, np.int64)
        position[batch.threads] = np.arange(len(batch.threads))
        others = position[last[lost]]
        differ = (batch.source[lost] != batch.source[others]) | (batch.length[lost] != batch.length[others])
        differ |= batch.target[lost] != batch.target[others]
        for row, other in zip(lost[differ], others[differ], strict=True):
            ours, theirs = (int(batch.threads[r]) + tracker.first for r in (row, other))
            conflict = Conflict("write after write", ours, theirs, batch.number, int(granules[row, 0]))
            raise m.shared.memory.race(conflict)

    def commit(self, threads: Array) -> None:
        """What these threads started since their last commit becomes a group."""
        self.group[threads] += 1

    def wait(self, m: Cohort, allowed: int) -> None:
        """The cohort's active threads wait until at most `allowed` of their latest groups are outstanding."""
        self._complete(m, self.group - allowed)

    def wait_all(self, m: Cohort) -> None:
        """The active threads wait for everything they started."""
        self._complete(m, self.group + 1)

    def finish(self, m: Cohort, thread: int) -> None:
        """Carry out all that a thread of the cohort started."""
        kept = m.mask
        only = np.zeros(m.size, np.bool_)
        only[thread] = True
        m.focus(only)
        self.wait_all(m)
        m.focus(kept)

    def _complete(self, m: Cohort, limit: Array) -> None:
        """Carry out the active threads' copies of groups below `limit`."""
        left = []
        for batch in self.batches:
            done = m.mask[batch.threads] & (batch.group < limit[batch.threads])
            if not done.any():
                left.append(batch)
                continue
            self._carry_out(m, batch, done)
            keep = ~done
            if keep.any():
                left.append(_part(batch, keep))
        self.batches = left

    def _carry_out(self, m: Cohort, batch: Batch, done: Array) -> None:
        part = batch if done.all() else _part(batch, done)
        columns = np.arange(part.size)
        given = columns < part.length[:, None]
        source = m.global_space.memory
        places = np.where(given, part.source[:, None] + columns, 0)
        target = part.target[:, None] + columns
        shared = m.shared.memory
        shared.data[target] = np.where(given, source.data[places], np.uint8(0))
        if shared.unset is not None:
            bits = np.uint8(0) if source.unset is None else source.unset[places]
            shared.unset[target] = np.where(given, bits, np.uint8(0))
        if shared.tracker is not None:
            assert shared.pending is not None
            granules = shared.granules(part.target, part.size)
            shared.pending[granules] = 0
            shared.outstanding -= granules.size
            shared.tracker.write_stamp[granules] = m.order.stamp[part.threads][:, None]

    def outstanding(self) -> Batch | None:
        """A copy that nobody waited for."""
        return self.batches[0] if self.batches else None


def _part(batch: Batch, rows: Array) -> Batch:
    return Batch(
        batch.number, batch.size, batch.threads[rows], batch.target[rows], batch.source[rows], batch.length[rows],
        batch.group[rows],
    )  # fmt: skip
