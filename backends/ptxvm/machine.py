"""The scheduler: which threads execute which basic block next, and who waits for whom.

Threads that are at the same block execute it together. Of all groups the one at the lowest block goes first, so that
threads that parted meet again where their paths join; that is a schedule any GPU could choose. Where one group runs for
very long the others get a turn, so that a thread may wait in a loop for what another one does.

Threads are held back before an instruction that lanes of a warp must reach together until the others are there. When
nobody can go on, that is an error, which says who waits where.
"""

from __future__ import annotations

import numpy as np

from vmc.backends.ptxvm.arrays import Array, Bools
from vmc.backends.ptxvm.barriers import Barriers
from vmc.backends.ptxvm.code import Barrier, Branch, Code, Exit, Fall
from vmc.backends.ptxvm.errors import BarrierError, ExecutionError, TimeoutFault, TrapError
from vmc.backends.ptxvm.state import Cohort
from vmc.backends.ptxvm.syntax import Instruction

PATIENCE = 4096


class Scheduler:
    """Runs a cohort from its first block to the end of all of its threads."""

    def __init__(self, cohort: Cohort, codes: list[Code], instructions: list[Instruction], limit: int) -> None:
        self.m = cohort
        self.codes = codes
        self.instructions = instructions
        self.limit = limit
        self.groups: dict[int, Bools] = {0: cohort.exists.copy()}
        self.parked: dict[int, Bools] = {}
        self.ended = ~cohort.exists
        self.barriers = Barriers(cohort)
        self.last_turn: dict[int, int] = {}
        self.streak = 0

    def run(self, steps: int) -> bool:
        """Some more steps, and whether that was all. Raises ExecutionError for the first fault."""
        last = self.m.step + steps
        while self.m.step < last:
            if not self.groups and not self._release_parked():
                if self.parked or self.barriers.waiting():
                    raise self._deadlock()
                return True
            block = self._next()
            mask = self.groups.pop(block)
            if block in self.parked:
                mask = mask | self.parked.pop(block)
            code = self.codes[block]
            if code.collective is not None:
                ready = self._together(mask, code)
                if ready is not mask:
                    self.parked[block] = mask & ~ready
                    if not ready.any():
                        continue
                    mask = ready
            self._execute(block, code, mask)
        return False

    def _next(self) -> int:
        """The lowest block, or now and then the one that waited longest."""
        groups = self.groups
        m = self.m
        m.step += 1
        if m.step > self.limit:
            error = TimeoutFault(f"the launch takes more than {self.limit} steps")
            first = min(groups)
            raise self._placed(error, self.codes[first].first)
        if len(groups) == 1:
            return next(iter(groups))
        self.streak += 1
        if self.streak > PATIENCE or m.yields:
            self.streak, m.yields = 0, False
            chosen = min(groups, key=lambda b: self.last_turn.get(b, 0))
        else:
            chosen = min(groups)
        self.last_turn[chosen] = m.step
        return chosen

    def _execute(self, block: int, code: Code, mask: Bools) -> None:
        m = self.m
        if mask is not m.mask:
            m.focus(mask)
        if m.counters is not None and code.count:
            warps = len(mask) // 32 if m.full else int(mask.reshape(-1, 32).any(axis=1).sum())
            m.counters.issued[code.first : code.first + code.count] += warps
        number = code.first
        try:
            for step in code.steps:
                step(m)
                number += 1
            self._end(block, code, mask)
        except ExecutionError as error:
            raise self._placed(error, number) from None

    def _placed(self, error: ExecutionError, number: int) -> ExecutionError:
        """The error with the place of the instruction, and of the earlier one that it names."""
        instruction = self.instructions[min(number, len(self.instructions) - 1)]
        if error.other_instruction is not None:
            error.other = self.instructions[error.other_instruction].location
        return error.at(instruction.location, str(instruction))

    def _end(self, block: int, code: Code, mask: Bools) -> None:
        match code.ending:
            case Fall():
                self._go(block + 1, mask)
            case Branch() as branch:
                self._branch(block, branch, mask)
            case Exit(guard, _, trap):
                leaving, staying = self._split(guard, mask, "the predicate of an exit")
                if trap and leaving.any():
                    where = divmod(int(np.flatnonzero(leaving)[0]), self.m.per_block)
                    place = (where[0] + self.m.first_block, where[1])
                    raise TrapError(f"thread {place[1]} of block {place[0]} executes trap", threads=(place,))
                self.ended = self.ended | leaving
                self._go(block + 1, staying)
            case Barrier() as barrier:
                arriving, passing = self._split(barrier.guard, mask, "the predicate of a barrier")
                self._go(block + 1, passing)
                if arriving.any():
                    for resume, threads in self.barriers.arrive(barrier, arriving, block + 1):
                        self._go(resume, threads)

    def _go(self, block: int, mask: Bools) -> None:
        groups = self.groups
        if block in groups:
            groups[block] = groups[block] | mask
        elif mask is self.m.mask or mask.any():
            groups[block] = mask

    def _split(self, guard: tuple[int, bool] | None, mask: Bools, what: str) -> tuple[Bools, Bools]:
        """The threads of `mask` that a guard holds for, and the others."""
        m = self.m
        if guard is None:
            return mask, np.zeros(m.size, np.bool_)
        slot, negated = guard
        if m.taint:
            m.require(slot, what)
        holds = m.values[slot]
        if len(holds) == 1:
            none = np.zeros(m.size, np.bool_)
            return (mask, none) if bool(holds[0]) != negated else (none, mask)
        chosen = mask & (~holds if negated else holds)
        rest = mask & ~chosen
        if not rest.any():
            return mask, rest
        return (chosen, mask) if not chosen.any() else (chosen, rest)

    def _branch(self, block: int, branch: Branch, mask: Bools) -> None:
        m = self.m
        taken, rest = self._split(branch.guard, mask, "a branch")
        if m.counters is not None and branch.guard is not None and taken is not mask and rest is not mask:
            split = taken.reshape(-1, 32).any(axis=1) & rest.reshape(-1, 32).any(axis=1)
            m.counters.divergent += int(split.sum())
        self._go(block + 1, rest) if branch.guard is not None else None
        if branch.index is None:
            self._go(branch.targets[0], taken)
            return
        m.require(branch.index, "a branch")
        index = m.wide(branch.index)
        for choice in np.unique(index[taken]).tolist():
            if choice >= len(branch.targets):
                raise ExecutionError(f"index {choice} is beyond the {len(branch.targets)} targets of the branch")
            self._go(branch.targets[choice], taken & (index == choice))

    def _together(self, mask: Bools, code: Code) -> Bools:
        """The threads whose warps have everybody there that the instruction wants; `mask` itself if all have."""
        collective = code.collective
        assert collective is not None
        lanes = 32 * collective.warps
        here = mask.reshape(-1, lanes)
        awaited = ~self.ended.reshape(-1, lanes)
        touched: Array = np.asarray(here.any(axis=1))
        missing: Array = awaited & ~here
        if collective.whole and (~awaited)[touched].any():
            raise self._placed(self._incomplete(np.repeat(touched, collective.warps)), code.first)
        if collective.slot is None:
            lacking: Array = np.asarray(missing.any(axis=1)) & touched
            if not lacking.any():
                return mask
            ready: Array = (here & ~lacking[:, None]).reshape(-1)
            return ready
        if not missing[touched].any():
            return mask
        self.m.focus(mask)
        self.m.require(collective.slot, "a member mask")
        masks = np.ascontiguousarray(self.m.wide(collective.slot)).reshape(-1, 32)
        absent = np.packbits(missing, axis=1, bitorder="little").view(np.uint32)
        ready = (here & ((masks & absent) == 0)).reshape(-1)
        return mask if (ready == mask).all() else ready

    def _incomplete(self, touched: Array) -> BarrierError:
        """The error for a matrix instruction of a warp that lacks lanes."""
        lost = self.ended.reshape(-1, 32) & touched[:, None]
        block, thread = divmod(int(np.flatnonzero(lost)[0]), self.m.per_block)
        why = "has ended" if thread < self.barriers.real else "does not exist"
        return BarrierError(
            f"an instruction for whole warps, but thread {thread} of block {block + self.m.first_block} {why}",
            threads=((block + self.m.first_block, thread),),
        )

    def _release_parked(self) -> bool:
        """Let parked threads go whose missing lanes have ended meanwhile."""
        for block, mask in list(self.parked.items()):
            ready = self._together(mask, self.codes[block])
            if ready.any():
                del self.parked[block]
                self.groups[block] = mask
                return True
        return False

    def _deadlock(self) -> ExecutionError:
        m = self.m
        places: list[tuple[int, Array, str]] = []
        for block, mask in self.parked.items():
            number = self.codes[block].first
            places.append((number, np.flatnonzero(mask), "the other lanes of their warps"))
        places += self.barriers.waiting()
        number, threads, _ = places[0]
        block = int(threads[0]) // m.per_block
        mine = [(n, t[t // m.per_block == block], w) for n, t, w in places]
        parts = [
            f"{len(t)} threads of block {block + m.first_block} ({_ranges(t % m.per_block)}) wait at "
            f"{self.instructions[n].location} for {w}"
            for n, t, w in mine
            if len(t)
        ]
        ended = np.flatnonzero(self.ended[block * m.per_block : (block + 1) * m.per_block] & m.exists[: m.per_block])
        if len(ended):
            parts.append(f"{len(ended)} ({_ranges(ended)}) have ended")
        where = (block + m.first_block, int(threads[0]) % m.per_block)
        error = BarrierError("divergent barrier: " + "; ".join(parts), threads=(where,))
        others = [n for n, t, _ in mine[1:] if len(t) and n != number]
        if others:
            error.since(others[0])
        return self._placed(error, number)


def _ranges(threads: Array) -> str:
    """Thread numbers as ranges: 0-15, 32-47."""
    breaks = np.flatnonzero(np.diff(threads) != 1) + 1
    runs = np.split(threads, breaks)
    shown = [str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs[:4]]
    return ", ".join(shown) + (", ..." if len(runs) > 4 else "")
