"""What a launch did, in numbers: instructions, sectors of global memory, bank conflicts, divergence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.errors import Location
from vmc.backends.ptxvm.spaces import GlobalSpace, SharedSpace, Space
from vmc.backends.ptxvm.syntax import Instruction

if TYPE_CHECKING:
    from vmc.backends.ptxvm.program import Program

SECTOR = 32
BANKS = 32


@dataclass
class Traffic:
    """What one instruction asked of a memory, over a whole launch.

    Global: `requests` of a warp and the 32-byte `units` (sectors) they touch; `least` is how few would do.
    Shared: `units` are passes through the 32 banks of 4 bytes, `least` the passes that accesses of the width need.
    """

    location: Location
    text: str
    space: str
    requests: int = 0
    units: int = 0
    least: int = 0

    @property
    def excess(self) -> int:
        """Sectors beyond the least, or bank conflicts."""
        return self.units - self.least


@dataclass
class Report:
    """A launch in numbers. `instructions`: by opcode, counted once for each warp that executes it, as `issued` in all;
    `divergent`: branches that split a warp; `warnings`: what is no error but deserves a look."""

    entry: str
    blocks: int
    threads: int
    shared_bytes: int = 0
    instructions: Counter[str] = field(default_factory=Counter)
    issued: int = 0
    divergent: int = 0
    barriers: int = 0
    traffic: list[Traffic] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def of(self, space: str) -> list[Traffic]:
        """The instructions that access a space."""
        return [t for t in self.traffic if t.space == space]

    @property
    def global_requests(self) -> int:
        return sum(t.requests for t in self.of("global"))

    @property
    def global_sectors(self) -> int:
        return sum(t.units for t in self.of("global"))

    @property
    def excess_sectors(self) -> int:
        return sum(t.excess for t in self.of("global"))

    @property
    def bank_conflicts(self) -> int:
        return sum(t.excess for t in self.of("shared"))

    def __str__(self) -> str:
        lines = [
            f"{self.entry}: {self.blocks} blocks of {self.threads} threads, {self.shared_bytes} bytes of shared memory",
            f"  {self.issued} instructions of warps, {self.divergent} divergent branches, {self.barriers} barriers",
            f"  global: {self.global_requests} requests, {self.global_sectors} sectors "
            f"({self.excess_sectors} more than the bytes need)",
            f"  shared: {sum(t.requests for t in self.of('shared'))} requests, {self.bank_conflicts} bank conflicts",
        ]
        lines += [f"  {count:8d} {name}" for name, count in self.instructions.most_common()]
        worst = sorted((t for t in self.traffic if t.excess), key=lambda t: -t.excess)
        for t in worst[:10]:
            what = "sectors too many" if t.space == "global" else "bank conflicts"
            lines.append(f"  {t.location}: {t.excess} {what} in {t.requests} requests: {t.text}")
        lines += [f"  warning: {w}" for w in self.warnings]
        return "\n".join(lines)


class Counters:
    """Collects what becomes a `Report`."""

    def __init__(self, instructions: list[Instruction]) -> None:
        self.instructions = instructions
        self.issued = np.zeros(len(instructions), np.int64)
        self.divergent = 0
        self.barriers = 0
        self.traffic: dict[tuple[int, str], Traffic] = {}

    def access(self, space: Space, number: int, index: Array, nbytes: int, threads: Array, rows: bool = False) -> None:
        """An access of `nbytes` by each of these threads; `rows`: of a matrix, 8 threads at a time."""
        if isinstance(space, GlobalSpace):
            self._global(number, index, nbytes, threads)
        elif isinstance(space, SharedSpace):
            self._shared(number, index % space.stride, nbytes, threads, rows)

    def _entry(self, number: int, space: str) -> Traffic:
        key = (number, space)
        if key not in self.traffic:
            instruction = self.instructions[number]
            self.traffic[key] = Traffic(instruction.location, str(instruction), space)
        return self.traffic[key]

    def _global(self, number: int, index: Array, nbytes: int, threads: Array) -> None:
        entry = self._entry(number, "global")
        warps = threads // 32
        sectors = index // SECTOR
        if nbytes > SECTOR:
            sectors = np.concatenate([sectors + i for i in range(nbytes // SECTOR)])
            warps = np.tile(warps, nbytes // SECTOR)
        touched = len(np.unique(warps * (1 << 40) + sectors))
        counts = np.bincount(threads // 32)
        entry.requests += int((counts > 0).sum())
        entry.units += touched
        # Threads that read the same bytes need them once: the least is counted over distinct bytes.
        distinct = np.unique(threads // 32 * (1 << 40) + index)
        per_warp = np.bincount(distinct >> 40)
        entry.least += int((-(-per_warp * nbytes // SECTOR)).sum())

    def _shared(self, number: int, offsets: Array, nbytes: int, threads: Array, rows: bool) -> None:
        entry = self._entry(number, "shared")
        lanes = 8 if rows or nbytes == 16 else 16 if nbytes == 8 else 32
        words = max(1, nbytes // 4)
        phases = threads // lanes
        word = (offsets // 4)[:, None] + np.arange(words)
        key = np.unique((phases[:, None] * (1 << 32) + word).reshape(-1))
        bank = (key >> 32) * BANKS + key % BANKS
        numbers, counts = np.unique(bank, return_counts=True)
        phase = numbers // BANKS
        starts = np.flatnonzero(np.r_[True, phase[1:] != phase[:-1]])
        entry.units += int(np.maximum.reduceat(counts, starts).sum())
        entry.least += len(starts)
        entry.requests += len(np.unique(threads // 32))

    def report(self, program: Program, blocks: int, threads: int, shared_bytes: int) -> Report:
        """The numbers of a launch."""
        report = Report(program.name, blocks, threads, shared_bytes)
        for instruction, count in zip(self.instructions, self.issued.tolist(), strict=True):
            if count:
                report.instructions[".".join(instruction.opcode)] += count
        report.issued = int(self.issued.sum())
        report.divergent, report.barriers = self.divergent, self.barriers
        report.traffic = list(self.traffic.values())
        return report
