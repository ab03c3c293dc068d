"""Barriers of a block: bar.sync, bar.arrive, bar.red, by number and with a count of threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vmc.backends.ptxvm.arrays import Array, Bools
from vmc.backends.ptxvm.code import Barrier
from vmc.backends.ptxvm.errors import BarrierError
from vmc.backends.ptxvm.state import Cohort

Released = tuple[int, Bools]
"""Threads that go on, and the basic block where they do."""


@dataclass
class Pending:
    """A barrier of one block that some threads are at. `arrivals`: (threads, where they resume, the instruction)."""

    expected: int
    arrivals: list[tuple[Array, int, Barrier]] = field(default_factory=list)
    arrived: int = 0
    told: list[Array] = field(default_factory=list)
    votes: int = 0


class Barriers:
    """The barriers of all blocks of a cohort."""

    def __init__(self, cohort: Cohort) -> None:
        self.m = cohort
        self.blocks = cohort.size // cohort.per_block
        self.real = int(cohort.exists[: cohort.per_block].sum())
        self.pending: dict[tuple[int, int], Pending] = {}

    def arrive(self, barrier: Barrier, mask: Bools, resume: int) -> list[Released]:
        """Threads arrive. Those that may go on, these or ones that waited. Raises BarrierError."""
        m = self.m
        if m.counters is not None:
            m.counters.barriers += int(mask.reshape(self.blocks, -1).any(axis=1).sum())
        self._whole_warps(barrier, mask)
        counts = mask.reshape(self.blocks, -1).sum(axis=1)
        names = m.values[barrier.name]
        simple = barrier.kind == "sync" and barrier.count is None and len(names) == 1
        if simple and not self.pending and (counts[counts > 0] == self.real).all():
            m.order.barrier_all(np.flatnonzero(counts))
            return [(resume, mask)]
        result: list[Released] = []
        for block in np.flatnonzero(counts):
            own = np.flatnonzero(mask.reshape(self.blocks, -1)[block])
            result += self._arrive_in(int(block), barrier, own, resume)
        if barrier.kind == "arrive":
            result.append((resume, mask))
        return result

    def _whole_warps(self, barrier: Barrier, mask: Bools) -> None:
        if barrier.count is None and barrier.kind != "arrive":
            return
        warps = mask.reshape(-1, 32)
        partial = warps.any(axis=1) & (warps != self.m.exists.reshape(-1, 32)).any(axis=1)
        if partial.any():
            block, thread = divmod(int(np.flatnonzero(partial)[0]) * 32, self.m.per_block)
            raise BarrierError(
                f"a part of the warp of thread {thread} arrives at a barrier that counts threads",
                threads=((block + self.m.first_block, thread),),
            )

    def _arrive_in(self, block: int, barrier: Barrier, own: Array, resume: int) -> Iterator[Released]:
        m = self.m
        cohort_threads = own + block * m.per_block
        names = m.wide(barrier.name)[cohort_threads]
        for name in np.unique(names).tolist():
            threads = own[names == name]
            expected = self._expected(barrier, threads + block * m.per_block)
            state = self.pending.setdefault((block, name), Pending(expected))
            self._check(state, block, name, expected, threads)
            state.arrived += len(threads)
            state.votes += self._votes(barrier, threads + block * m.per_block)
            if barrier.kind == "arrive":
                state.told.append(m.order.tell(block, threads))
            else:
                state.arrivals.append((threads, resume, barrier))
            if state.arrived == state.expected:
                del self.pending[(block, name)]
                yield from self._release(block, state)

    def _expected(self, barrier: Barrier, threads: Array) -> int:
        if barrier.count is None:
            return self.real
        counts = np.unique(self.m.wide(barrier.count)[threads])
        if len(counts) != 1 or int(counts[0]) % 32:
            raise BarrierError(f"a barrier for {', '.join(map(str, counts))} threads, which is no one multiple of 32")
        return int(counts[0])

    def _check(self, state: Pending, block: int, name: int, expected: int, threads: Array) -> None:
        where = ((block + self.m.first_block, int(threads[0])),)
        if state.expected != expected:
            raise BarrierError(
                f"threads at barrier {name} of block {where[0][0]} disagree: {state.expected} or {expected} of them",
                threads=where,
            )
        if state.arrived + len(threads) > expected:
            raise BarrierError(
                f"{state.arrived + len(threads)} threads arrive at barrier {name}, which is for {expected}",
                threads=where,
            )

    def _votes(self, barrier: Barrier, threads: Array) -> int:
        if barrier.predicate is None:
            return 0
        slot, negated = barrier.predicate
        self.m.require(slot, "the vote at a barrier")
        return int((self.m.wide(slot)[threads] ^ negated).sum())

    def _release(self, block: int, state: Pending) -> Iterator[Released]:
        m = self.m
        nobody = np.zeros(0, np.int64)
        waiting = np.concatenate([t for t, _, _ in state.arrivals]) if state.arrivals else nobody
        if len(waiting) == self.real:
            m.order.barrier_all(np.array([block]))
        elif len(waiting):
            m.order.barrier(block, waiting, nobody)
            for told in state.told:
                m.order.learn(block, waiting, told)
        for threads, resume, barrier in state.arrivals:
            mask = np.zeros(m.size, np.bool_)
            mask[threads + block * m.per_block] = True
            if barrier.result is not None:
                self._deliver(barrier, state, mask)
            yield resume, mask

    def _deliver(self, barrier: Barrier, state: Pending, mask: Bools) -> None:
        """The result of a bar.red."""
        m = self.m
        assert barrier.result is not None
        kept = m.mask
        m.focus(mask)
        match barrier.operation:
            case "popc":
                m.put(barrier.result, np.full(1, state.votes, np.uint32))
            case "and":
                m.put(barrier.result, np.full(1, state.votes == state.expected))
            case _:
                m.put(barrier.result, np.full(1, state.votes > 0))
        m.focus(kept)

    def waiting(self) -> list[tuple[int, Array, str]]:
        """Who waits: (instruction, cohort-wide threads, for what)."""
        result = []
        for (block, name), state in self.pending.items():
            lacking = state.expected - state.arrived
            by_instruction: dict[int, list[Array]] = {}
            for threads, _, barrier in state.arrivals:
                by_instruction.setdefault(barrier.number, []).append(threads)
            for number, parts in by_instruction.items():
                threads = np.sort(np.concatenate(parts)) + block * self.m.per_block
                result.append((number, threads, f"{lacking} more at barrier {name}"))
        return result
