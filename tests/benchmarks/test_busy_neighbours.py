"""The command that times contenders beside busy processes, from end to end."""

from __future__ import annotations

import pytest

from benchmarks import busy_neighbours, cpu_matmul
from tests.benchmarks.small import numpy_contender


def test_every_contender_is_timed_beside_every_number_of_neighbours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cpu_matmul, "LIBRARIES", (lambda threads: [numpy_contender("one"), numpy_contender("other")],))
    small = ["--weights", "64x32", "--rounds", "1", "--budget", "0", "--only", "*", "--neighbours", "0", "1"]
    assert busy_neighbours.main(small) == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("one", "other", "beside 0", "beside 1", "times", "slowest"))


def test_neighbours_end_with_the_measurement() -> None:
    with busy_neighbours.neighbours(2) as running:
        assert [process.poll() for process in running] == [None, None]
    assert all(process.poll() is not None for process in running)
