"""Interleaved timing: every contender in turn, round after round, so that drift of the machine meets all alike.

A *block* is one contender's turn: a pause in which the threads of the one before stop spinning, calls that are not
timed, until the processors are awake again, and a few that are. Cold, each timed call takes the next copy of the
weights, and those before take one that is never timed; hot, all take the same one.

Cold means: between two calls with one copy, all contenders together have read at least the wanted number of bytes.
`copies_for` gives the number of copies for that.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

Call = Callable[[], object]
FEWEST_ROUNDS = 3


def nothing() -> None: ...


@dataclass(frozen=True)
class Plan:
    """`rounds` at most, and no more once a contender was timed for `budget` seconds; a block's timed calls are at most
    `calls` and take about `block` seconds; `settle` seconds of pause and `warm` of untimed calls come before each. A
    processor of a virtual machine that was idle takes milliseconds to get to work.
    """

    rounds: int = 20
    calls: int = 5
    budget: float = 4.0
    block: float = 0.05
    settle: float = 0.03
    warm: float = 0.01


def timed(call: Call) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Lane:
    """One contender's calls, a call for each copy of its weights; `before` is called untimed when its turn comes.

    `clock` makes a call and tells the seconds of one product.
    """

    calls: Sequence[Call]
    before: Call = nothing
    clock: Callable[[Call], float] = timed


@dataclass(frozen=True)
class Timing:
    """The seconds of each timed call, a list for each round."""

    rounds: tuple[tuple[float, ...], ...]

    @property
    def samples(self) -> list[float]:
        return [seconds for block in self.rounds for seconds in block]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """The distance between the quartiles, as a part of the median."""
        samples = self.samples
        if len(samples) < 2:
            return 0.0
        low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
        return (high - low) / self.median


def ratio(timing: Timing, other: Timing) -> float:
    """How many times as long `other` takes: the median over the rounds that both ran of the ratio of their medians."""
    both = zip(timing.rounds, other.rounds, strict=False)
    return statistics.median(statistics.median(b) / statistics.median(a) for a, b in both)


def copies_for(bytes_each: Sequence[int], cold_bytes: int, plan: Plan) -> int:
    """Copies of every contender's weights: a block's calls see different ones, and a copy comes back cold.

    With n copies that are timed of everything, what is read between two uses of one of them is all n times all weights.
    One more is for the calls that are not timed.
    """
    return 1 + max(plan.calls, -(-cold_bytes // max(1, sum(bytes_each))))


def measure(lanes: Mapping[str, Lane], plan: Plan, seed: int = 0) -> dict[str, Timing]:
    """Times the calls of each lane, which are taken in rotation; the order within a round is random."""
    order = random.Random(seed)
    turns = {name: Turn(lane) for name, lane in lanes.items()}
    with undisturbed():
        counts = {name: calls_of_block(turns[name].block(1, 0.0, 0.0)[0], plan) for name in lanes}
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in lanes}
        for number in range(plan.rounds):
            names = [name for name in lanes if number < FEWEST_ROUNDS or spent(found[name]) < plan.budget]
            for name in order.sample(names, len(names)):
                found[name].append(turns[name].block(counts[name], plan.settle, plan.warm))
    return {name: Timing(tuple(rounds)) for name, rounds in found.items()}


def spent(rounds: Sequence[Sequence[float]]) -> float:
    return sum(map(sum, rounds))


def calls_of_block(seconds: float, plan: Plan) -> int:
    """How many timed calls fit in a block, given what one takes."""
    return max(1, min(plan.calls, int(plan.block / max(seconds, 1e-9))))


class Turn:
    """A lane, and which of its copies is next."""

    def __init__(self, lane: Lane) -> None:
        self.before, self.clock = lane.before, lane.clock
        self.warming, *others = lane.calls
        self.calls = cycle(others or lane.calls)

    def block(self, calls: int, settle: float, warm: float) -> tuple[float, ...]:
        """The seconds of each timed call."""
        time.sleep(settle)
        self.before()
        spent = timed(self.warming)
        while spent < warm:
            spent += timed(self.warming)
        return tuple(self.clock(next(self.calls)) for _ in range(calls))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the garbage collector."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
