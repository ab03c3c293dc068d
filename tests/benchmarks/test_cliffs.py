"""Predictions from neighbours, and the command from end to end."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import cliffs
from benchmarks.cliffs import Size, cases_of, compared, sizes_of
from benchmarks.matmul.timing import Timing


def law(size: Size) -> float:
    """Seconds that are a power of each extent, which lines through logarithms predict exactly."""
    return float(1e-9 * size.m**0.5 * size.k**0.9 * size.n**1.1)


def timings(sizes: list[Size], slow: Size | None = None) -> dict[Size, Timing]:
    return {size: Timing(((law(size) * (2 if size == slow else 1),),)) for size in sizes}


CASES = cases_of(256, 256, range(1, 9), [131, 1003], [1, 4])


def test_every_row_between_the_ends_and_every_odd_extent_is_a_case() -> None:
    sizes = [case.size for case in CASES]
    assert sizes[:6] == [Size(m, 256, 256) for m in range(2, 8)]
    assert {Size(4, 131, 256), Size(4, 256, 131), Size(4, 131, 131)} <= set(sizes)
    assert len(sizes) == len(set(sizes)) == 6 + 2 * 2 * 3


def test_neighbours_are_multiples_of_a_group_and_do_not_hold_the_case() -> None:
    case = next(case for case in CASES if case.size == Size(4, 1003, 1003))
    assert set(case.neighbours) == {Size(4, k, n) for k in (896, 1024) for n in (896, 1024)}
    assert all(sum(case.neighbours.values()) == pytest.approx(1) for case in CASES)
    assert all(case.size not in case.neighbours for case in CASES)


def test_powers_of_the_extents_are_predicted_exactly() -> None:
    found = list(compared(CASES, timings(sizes_of(CASES))))
    np.testing.assert_allclose([each.excess for each in found], 1.0)


def test_a_case_that_takes_twice_as_long_stands_out() -> None:
    slow = Size(4, 131, 256)
    found = list(compared(CASES, timings(sizes_of(CASES), slow)))
    assert [each.case.size for each in found if each.excess > cliffs.LIMIT] == [slow]


def test_the_command_lists_cases_of_each_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--m", "3", "--k", "128", "--n", "128", "--odd", "129", "--odd-m", "1", "--rounds", "1", "--types", "u2"]
    assert cliffs.main(small) in (0, 1)
    shown = capsys.readouterr().out
    assert "wa8 u2" in shown and "wa16 u2" in shown and "M=1 K=129 N=129" in shown
