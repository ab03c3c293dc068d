"""The plan of a measurement: what is called how often and in which order, and the statistics over it."""

from __future__ import annotations

import gc
import time
from functools import partial

import pytest

from benchmarks.matmul.timing import Lane, Plan, Timing, copies_for, measure, nothing, ratio
from tests.benchmarks.small import QUICK


def test_each_timed_call_of_a_lane_takes_the_next_copy_and_the_others_the_first() -> None:
    seen: list[int] = []
    measure({"a": Lane([partial(seen.append, place) for place in range(4)])}, QUICK)
    timed = [place for place in seen if place]
    assert timed == [1 + place % 3 for place in range(len(timed))]
    assert seen.count(0) == 1 + QUICK.rounds


def test_calls_are_made_until_processors_are_awake_before_any_is_timed() -> None:
    seen: list[int] = []
    calls = [partial(sleeping, seen, place) for place in range(2)]
    measure({"a": Lane(calls)}, Plan(rounds=1, calls=1, settle=0.0, warm=0.02))
    assert seen[:2] == [0, 1]
    assert seen[2:].index(1) >= 2


def sleeping(seen: list[int], place: int) -> None:
    seen.append(place)
    time.sleep(0.01 - 0.002 * place)


def test_every_round_runs_every_lane_before_any_runs_again() -> None:
    seen: list[str] = []
    measure({name: Lane([partial(seen.append, name)]) for name in "abc"}, QUICK)
    rounds = seen[6:]
    turn = QUICK.calls + 1
    for start in range(0, len(rounds), 3 * turn):
        turns = [rounds[place : place + turn] for place in range(start, start + 3 * turn, turn)]
        assert all(len(set(names)) == 1 for names in turns)
        assert {names[0] for names in turns} == set("abc")


def test_a_lane_that_has_spent_its_budget_stops_after_three_rounds() -> None:
    plan = Plan(rounds=10, calls=1, budget=0.0, settle=0.0)
    assert len(measure({"a": Lane([nothing])}, plan)["a"].rounds) == 3


def test_the_garbage_collector_runs_again_afterwards() -> None:
    measure({"a": Lane([nothing])}, QUICK)
    assert gc.isenabled()


@pytest.mark.parametrize(("sizes", "cold"), [([8, 8], 1000), ([1], 1 << 20), ([1 << 20], 1)])
def test_a_copy_comes_back_only_after_the_cold_bytes(sizes: list[int], cold: int) -> None:
    plan = Plan(calls=5)
    copies = copies_for(sizes, cold, plan)
    assert (copies - 1) * sum(sizes) >= cold
    assert copies > plan.calls


def test_median_and_spread_are_those_of_all_calls() -> None:
    timing = Timing(((1.0, 2.0), (3.0, 4.0, 5.0)))
    assert timing.median == 3.0
    assert timing.spread == pytest.approx(2 / 3)


def test_a_ratio_compares_rounds_so_that_drift_cancels() -> None:
    fast = Timing(((1.0,), (10.0,), (100.0,)))
    slow = Timing(((2.0,), (20.0,), (200.0,)))
    assert ratio(fast, slow) == 2.0
