"""What a timed call is: a block of calls in a row, after one that is not timed.

Cold, each call takes the next of several copies of the arguments, so many that all together exceed the caches; hot, all
take the same one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

Call = Callable[[], object]
FEWEST, MOST = 3, 200
"""Timed calls of a block."""

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN_CACHE, MOST_COLD, MOST_COPIES = 32 << 20, 512 << 20, 512


class Lane:
    """Calls that take turns. `block` times some of them."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = cycle(calls)

    def block(self, seconds: float) -> list[float]:
        """The seconds of each of the calls that fit, at least `FEWEST`, after one that is not timed."""
        next(self.calls)()
        times: list[float] = []
        while len(times) < FEWEST or (sum(times) < seconds and len(times) < MOST):
            times.append(timed(next(self.calls)))
        return times


def timed(call: Call) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Timing:
    """The seconds of some calls."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """The distance between the quartiles, as a part of the median."""
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return (high - low) / self.median

    @property
    def least(self) -> float:
        return min(self.samples)


def interleaved(lanes: Sequence[Lane], seconds: float, rounds: int = 5) -> list[Timing]:
    """Times lanes in turn, round after round, each for `seconds` altogether."""
    found: list[list[float]] = [[] for _ in lanes]
    for _ in range(rounds):
        for samples, lane in zip(found, lanes, strict=True):
            samples += lane.block(seconds / rounds)
    return [Timing(tuple(samples)) for samples in found]


def copies_for(size: int, cold: bool) -> int:
    """Copies of arguments of `size` bytes together: one, or as many as twice the last-level cache holds, in bounds."""
    if not cold:
        return 1
    wanted = min(2 * last_level_cache(), MOST_COLD)
    return max(1, min(MOST_COPIES, -(-wanted // max(1, size))))


def last_level_cache() -> int:
    """Bytes of the largest cache that the first core reports (Linux), 32 MiB where nothing is told."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    sizes = []
    for path in CACHES.glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text))
    return max(sizes, default=UNKNOWN_CACHE)
