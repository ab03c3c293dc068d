"""The search among candidates that compile: successive halving. All are timed briefly, in turn; the clearly slower ones
leave, half of them at least; those that stay are timed for longer, and so on.

The first candidate is the one that the others have to beat: it stays to the end.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vmc.tuning.timing import Timing

GAIN = 0.98
"""The winner takes at most this part of the first candidate's time; a smaller gain is noise."""


class Timed(Protocol):
    """A candidate that can be timed, as `timing.Lane`."""

    def block(self, seconds: float) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` at most, and blocks of `block` seconds in the first; later ones are twice as long each time."""

    rounds: int = 6
    block: float = 0.02
    longest: float = 0.5


@dataclass
class Runner:
    """A candidate in the race. `left` is the round after which it left; None for those that stayed."""

    samples: list[float] = field(default_factory=list)
    left: int | None = None

    @property
    def timing(self) -> Timing | None:
        return Timing(tuple(self.samples)) if self.samples else None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


def race(lanes: Sequence[Timed], plan: Plan, late: Callable[[], bool], seed: int = 0) -> list[Runner]:
    """Times the lanes; what became of each. Once `late` says so, nothing more is timed but the first lane once."""
    order = random.Random(seed)
    runners = [Runner() for _ in lanes]
    alive = list(range(len(lanes)))
    for number in range(plan.rounds):
        block = min(plan.block * 2**number, plan.longest)
        for place in [alive[0], *order.sample(alive[1:], len(alive) - 1)]:
            if runners[0].samples and late():
                break
            runners[place].samples += lanes[place].block(block)
        staying = survivors(runners, alive, number)
        for place in set(alive) - set(staying):
            runners[place].left = number
        alive = staying
        if len(alive) < 2 or late():
            break
    return runners


def survivors(runners: Sequence[Runner], alive: Sequence[int], number: int) -> list[int]:
    """Who goes on after a round: the first, and the faster half of the others that are near the fastest of all.

    How near shrinks with the rounds, as medians become certain.
    """
    timed = [place for place in alive if runners[place].samples]
    ranked = sorted(timed, key=lambda place: runners[place].median)
    limit = runners[ranked[0]].median * (1 + 0.5 / 2**number)
    others = [place for place in ranked if place != alive[0] and runners[place].median <= limit]
    return [alive[0], *others[: max(1, len(alive) // 2)]]


def winner(runners: Sequence[Runner]) -> int:
    """The fastest of those that stayed, or the first where none is clearly faster."""
    stayed = [place for place, runner in enumerate(runners) if runner.left is None and runner.samples]
    best = min(stayed, key=lambda place: runners[place].median)
    return best if runners[best].median < GAIN * runners[0].median else 0
