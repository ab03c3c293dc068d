"""The results of a run: a row for each contender in each case, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.matmul.checking import Accuracy
from benchmarks.matmul.contender import Contender
from benchmarks.matmul.problem import Shape
from benchmarks.matmul.timing import Timing, ratio


@dataclass(frozen=True)
class Row:
    """`median` and `least` in seconds, `bandwidth` in bytes a second over `nbytes`.

    `ratio` is the best peer's time over this one's. `against` names that peer: of those with the same
    number of bits, or, where there is none, the next wider.
    """

    name: str
    library: str
    type: str
    bits: int
    compute: str
    nbytes: int
    product_error: float
    weight_error: float
    calls: int
    median: float
    least: float
    spread: float
    operations: float
    bandwidth: float
    ratio: float | None
    against: str | None


@dataclass(frozen=True)
class Case:
    """The rows of one shape, one M, cold or hot; `read` is the bandwidth of memory in the same run, bytes a second.

    `access` says how that was measured, "read" or "copy". `dense` names the row that all are compared with, if any.
    """

    shape: Shape
    m: int
    memory: str
    read: float
    rows: tuple[Row, ...]
    access: str = "read"
    dense: str | None = None

    def title(self) -> str:
        bandwidth = f"{self.access} bandwidth of memory {self.read / 1e9:,.1f} GB/s"
        return f"{self.shape}, M={self.m}, {self.memory} weights, {bandwidth}"

    def of_dense(self, row: Row) -> float | None:
        """How many times as long the dense product takes; None where there is none."""
        found = next((other for other in self.rows if other.name == self.dense), None)
        return found.median / row.median if found else None


@dataclass(frozen=True)
class Entry:
    """What a row is made from."""

    contender: Contender
    nbytes: int
    accuracy: Accuracy
    timing: Timing


def rows_of(entries: Sequence[Entry], shape: Shape, m: int) -> tuple[Row, ...]:
    """In the order of the entries."""
    return tuple(row_of(entry, entries, shape, m) for entry in entries)


def row_of(entry: Entry, entries: Sequence[Entry], shape: Shape, m: int) -> Row:
    contender, timing = entry.contender, entry.timing
    best = best_peer(entry, entries)
    return Row(
        name=contender.name,
        library=contender.library,
        type=contender.type,
        bits=contender.bits,
        compute=contender.compute,
        nbytes=entry.nbytes,
        product_error=entry.accuracy.product,
        weight_error=entry.accuracy.weights,
        calls=len(timing.samples),
        median=timing.median,
        least=min(timing.samples),
        spread=timing.spread,
        operations=2 * m * shape.k * shape.n / timing.median,
        bandwidth=entry.nbytes / timing.median,
        ratio=ratio(timing, best.timing) if best else None,
        against=best.contender.name if best else None,
    )


def best_peer(entry: Entry, entries: Sequence[Entry]) -> Entry | None:
    """The fastest peer, other than the entry's own contender, that has its width or else the next wider one."""
    others = [other for other in entries if other.contender.is_peer and other is not entry]
    widths = [other.contender.bits for other in others if other.contender.bits >= entry.contender.bits]
    if not widths:
        return None
    same = [other for other in others if other.contender.bits == min(widths)]
    return min(same, key=lambda other: other.timing.median)


def save(path: Path, machine: Mapping[str, Any], cases: Sequence[Case], settings: Mapping[str, Any]) -> None:
    """Writes a run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"machine": dict(machine), "settings": dict(settings), "cases": [asdict(case) for case in cases]}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
