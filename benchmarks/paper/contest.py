"""One kernel beside one library, both computing the same from the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.matmul.timing import Call


@dataclass(frozen=True)
class Contest:
    """`ours` and `theirs` (a function of `library`) are timed in turn, after both ran once and `error`, the distance
    of their results, was found to be at most `tolerance`.
    """

    name: str
    library: str
    ours: Call
    theirs: Call
    error: Callable[[], float]
    tolerance: float = 0.0
