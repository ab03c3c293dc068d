"""mbarrier objects: phases that complete when enough threads have arrived and all expected bytes are there.

Bulk copies and arrivals that wait for `cp.async` are carried out when a thread asks whether the phase is complete, only
they are missing, and it is not the first time: as late as can be. An object lives in shared memory by its address; what
it holds is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vmc.backends.ptxvm.addresses import SHARED_START
from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.errors import BarrierError

if TYPE_CHECKING:
    from vmc.backends.ptxvm.state import Cohort

PATIENCE = 20_000
"""Questions in a row, answered no while nobody arrives, after which waiting is an error."""


@dataclass(frozen=True)
class BulkCopy:
    """A copy of `size` bytes that thread `thread` started: indices of its target and source."""

    number: int
    thread: int
    target: int
    source: int
    size: int


@dataclass
class Mbarrier:
    """`told`: what those who arrived in this phase know; `learnt`: what waiting for the phases before teaches; `asked`:
    the step in which it was first asked whether a phase is over that lacks copies alone."""

    expected: int
    pending: int
    missing_bytes: int = 0
    phase: int = 0
    told: Array | None = None
    learnt: Array | None = None
    copies: list[BulkCopy] = field(default_factory=list)
    deferred: list[int] = field(default_factory=list)
    asked: int | None = None


class Mbarriers:
    """The mbarriers of a cohort, by block and address."""

    def __init__(self) -> None:
        self.objects: dict[tuple[int, int], Mbarrier] = {}
        self.refusals = 0

    def find(self, block: int, address: int) -> Mbarrier:
        """Raises BarrierError where none was initialised."""
        found = self.objects.get((block, address))
        if found is None:
            raise BarrierError(f"no mbarrier was initialised at {address - SHARED_START} of shared memory")
        return found

    def arrive(self, m: Cohort, block: int, thread: int, barrier: Mbarrier, count: int) -> int:
        """A thread arrives, and tells what it knows. The phase it arrived in. Raises BarrierError for one too many."""
        if count > barrier.pending:
            raise BarrierError(f"{count} arrive at an mbarrier that waits for {barrier.pending} more")
        phase = barrier.phase
        self._tell(barrier, m.order.tell(block, np.array([thread])))
        barrier.pending -= count
        self.refusals = 0
        self._advance(barrier)
        return phase

    def _tell(self, barrier: Mbarrier, told: Array) -> None:
        barrier.told = told if barrier.told is None else np.maximum(barrier.told, told)

    def _advance(self, barrier: Mbarrier) -> None:
        if barrier.pending == 0 and barrier.missing_bytes == 0 and not barrier.copies:
            barrier.phase += 1
            barrier.pending = barrier.expected
            if barrier.told is not None:
                barrier.learnt = barrier.told if barrier.learnt is None else np.maximum(barrier.learnt, barrier.told)
            barrier.told = None
            barrier.asked = None

    def complete(self, m: Cohort, block: int, barrier: Mbarrier, phase: int) -> bool:
        """Whether the phase is over, once what only a wait makes happen has happened. Raises BarrierError."""
        if barrier.phase == phase:
            self._catch_up(m, block, barrier)
        if barrier.phase != phase:
            self.refusals = 0
            return True
        self.refusals += 1
        if self.refusals > PATIENCE:
            raise BarrierError(
                f"waiting for an mbarrier that lacks {barrier.pending} arrivals and {barrier.missing_bytes} bytes, "
                f"and nobody else goes on"
            )
        return False

    def _catch_up(self, m: Cohort, block: int, barrier: Mbarrier) -> None:
        """Carry out deferred arrivals and bulk copies, if the phase lacks nothing else and was asked for before."""
        if barrier.pending > len(barrier.deferred) or not (barrier.deferred or barrier.copies):
            return
        barrier.asked = m.step if barrier.asked is None else barrier.asked
        if barrier.asked == m.step:
            return
        if barrier.deferred:
            deferred, barrier.deferred = barrier.deferred, []
            for thread in deferred:
                m.copies.finish(m, thread + block * m.per_block)
                self.arrive(m, block, thread, barrier, 1)
        if barrier.pending == 0 and barrier.copies:
            copies, barrier.copies = barrier.copies, []
            for copy in copies:
                self._carry_out(m, block, copy)
                self._tell(barrier, m.order.tell(block, np.array([copy.thread])))
                barrier.missing_bytes -= copy.size
            if barrier.missing_bytes < 0:
                raise BarrierError(f"copies bring {-barrier.missing_bytes} bytes more than an mbarrier expects")
            self._advance(barrier)

    def _carry_out(self, m: Cohort, block: int, copy: BulkCopy) -> None:
        shared, source = m.shared.memory, m.global_space.memory
        to, start = slice(copy.target, copy.target + copy.size), slice(copy.source, copy.source + copy.size)
        shared.data[to] = source.data[start]
        if shared.unset is not None:
            shared.unset[to] = 0 if source.unset is None else source.unset[start]
        if shared.tracker is not None:
            assert shared.pending is not None
            granules = shared.granules(np.array([copy.target]), copy.size)
            shared.pending[granules] = 0
            shared.outstanding -= granules.size
            shared.tracker.write_stamp[granules] = m.order.stamp[copy.thread + block * m.per_block]
            shared.tracker.by_proxy[granules] = True
