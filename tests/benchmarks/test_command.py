"""The command from end to end, with contenders that are quick."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import cpu_matmul
from benchmarks.matmul.contender import Contender, Missing
from tests.benchmarks.small import numpy_contender

SMALL = ["--weights", "64x32", "--group", "32", "--m", "2", "--rounds", "1", "--budget", "0", "--cold-bytes", "64K"]


def missing(threads: int) -> list[Contender]:
    raise Missing("nothing is not installed: pip install nothing")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The command's arguments for a short run of two libraries, one of which is missing."""
    libraries = (lambda threads: [numpy_contender("right")], missing)
    monkeypatch.setattr(cpu_matmul, "LIBRARIES", libraries)
    monkeypatch.setattr(cpu_matmul, "READ_STRETCH", 1 << 16)
    return [*SMALL, "--output", str(tmp_path)]


def test_a_run_writes_its_results_and_names_missing_libraries(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cpu_matmul.main(small) == 0
    assert "skipped: nothing is not installed" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    cases = json.loads(path.read_text())["cases"]
    assert [case["memory"] for case in cases] == ["cold", "hot"]


def test_a_wrong_contender_is_left_out_and_fails_the_run(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [numpy_contender("right"), numpy_contender("off", factor=1.01)]
    monkeypatch.setattr(cpu_matmul, "LIBRARIES", (lambda threads: both,))
    assert cpu_matmul.main(small) == 1
    assert "off left out, wrong for M=2" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    assert {row["name"] for case in json.loads(path.read_text())["cases"] for row in case["rows"]} == {"right"}


def test_contenders_can_be_chosen_by_pattern(
    small: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [numpy_contender("right one"), numpy_contender("other")]
    monkeypatch.setattr(cpu_matmul, "LIBRARIES", (lambda threads: both,))
    assert cpu_matmul.main([*small, "--only", "right*", "--list"]) == 0
    assert capsys.readouterr().out.split("\n")[0].strip() == "right one"
