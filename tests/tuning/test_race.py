"""The search, with lanes whose times are invented: no clock, no luck."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from vmc.tuning import timing
from vmc.tuning.race import Plan, race, winner

NEVER = lambda: False  # noqa: E731 - a clock that never ends


@dataclass
class Fake:
    """A lane that takes `seconds`, with noise of its own; `blocks` are those it was asked for."""

    seconds: float
    noise: tuple[float, ...] = (1.0,)
    blocks: list[float] = field(default_factory=list)

    def block(self, seconds: float) -> list[float]:
        self.blocks.append(seconds)
        return [self.seconds * factor for factor in self.noise]


def test_the_fastest_wins_and_slow_ones_leave_after_one_short_block() -> None:
    lanes = [Fake(1.0), Fake(3.0), Fake(0.5), Fake(0.9), Fake(2.0)]
    runners = race(lanes, Plan(), NEVER)
    assert winner(runners) == 2
    assert [runner.left for runner in runners] == [None, 0, None, 0, 0]
    assert len(lanes[1].blocks) == len(lanes[4].blocks) == 1
    assert len(lanes[2].blocks) == Plan().rounds and lanes[2].blocks == sorted(lanes[2].blocks)


def test_half_leave_in_each_round_even_if_all_are_alike() -> None:
    lanes = [Fake(1.0 - place / 1000) for place in range(16)]
    runners = race(lanes, Plan(), NEVER)
    counts = [sum(runner.left is None or runner.left >= number for runner in runners) for number in range(5)]
    assert counts == [16, 9, 5, 3, 2]
    assert runners[15].left is None


def test_a_gain_within_the_noise_leaves_the_first() -> None:
    assert winner(race([Fake(1.0), Fake(0.99)], Plan(), NEVER)) == 0
    assert winner(race([Fake(1.0), Fake(0.95)], Plan(), NEVER)) == 1


def test_outliers_do_not_decide() -> None:
    lanes = [Fake(1.0), Fake(0.8, (1.0, 1.0, 50.0)), Fake(0.9, (0.1, 1.0, 1.0))]
    assert winner(race(lanes, Plan(), NEVER)) == 1


def test_the_first_lane_stays_to_the_end_however_slow() -> None:
    lanes = [Fake(100.0), Fake(1.0), Fake(1.01)]
    runners = race(lanes, Plan(rounds=4), NEVER)
    assert runners[0].left is None and len(lanes[0].blocks) == 4 and winner(runners) == 1


def test_a_lane_alone_is_timed_once() -> None:
    lane = Fake(1.0)
    assert winner(race([lane], Plan(), NEVER)) == 0 and len(lane.blocks) == 1


@pytest.mark.parametrize("seconds", [0.0, 2.5, 10.0])
def test_nothing_is_timed_after_the_end(seconds: float) -> None:
    lanes = [Fake(1.0), Fake(0.5), Fake(0.5), Fake(0.5)]
    runners = race(lanes, Plan(), lambda: sum(lane.seconds * len(lane.blocks) for lane in lanes) >= seconds)
    spent = sum(lane.seconds * len(lane.blocks) for lane in lanes)
    assert runners[0].samples and spent <= seconds + 1.0
    assert winner(runners) == 0 or runners[winner(runners)].samples
    assert all(runner.left is not None for runner in runners if not runner.samples)


def test_a_block_times_a_few_calls_at_least_and_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(timing, "timed", lambda call: (call(), 0.01)[1])
    lane = timing.Lane([lambda: calls.append("a"), lambda: calls.append("b")])
    assert lane.block(0.0) == [0.01] * timing.FEWEST
    assert lane.block(0.045) == [0.01] * 5
    assert calls[:4] == ["a", "b", "a", "b"]
    assert len(timing.Lane([lambda: None]).block(1e9)) == timing.MOST


def test_a_timing_tells_median_spread_and_least() -> None:
    found = timing.Timing((1.0, 2.0, 3.0, 4.0, 5.0))
    assert (found.median, found.spread, found.least) == (3.0, 2.0 / 3.0, 1.0)


def test_cold_arguments_have_copies_beyond_the_cache_hot_ones_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "last_level_cache", lambda: 32 << 20)
    assert timing.copies_for(1 << 20, cold=True) == 64 and timing.copies_for(1 << 20, cold=False) == 1
    assert timing.copies_for(1 << 30, cold=True) == 1 and timing.copies_for(0, cold=True) == timing.MOST_COPIES
