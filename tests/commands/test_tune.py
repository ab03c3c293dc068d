"""`vmc tune`, with a race whose result is invented where the result matters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import vmc as package
from tests.commands.conftest import Run
from vmc.commands import tune
from vmc.tuning import files
from vmc.tuning.race import Runner

CHANGING = """
kernel twice[B = 8, STEPS = 1](x: f32[N], y: out f32[N]):
    static_assert B != 16, "not sixteen"
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = x[i*B : +B] * STEPS
"""


@pytest.fixture
def last_wins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every candidate is a little faster than the one before. How many took part, race by race."""
    sizes: list[int] = []

    def race(lanes: Sequence[Any], plan: Any, late: Any) -> list[Runner]:
        sizes.append(len(lanes))
        return [Runner([1.0 / (1 + place)] * 3) for place in range(len(lanes))]

    monkeypatch.setattr(tune, "race", race)
    return sizes


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without tables."""
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("VMC_TUNING", raising=False)


def test_the_fastest_parameters_of_every_case_are_kept_and_used(
    vmc: Run, folder: Path, alone: None, last_wins: list[int]
) -> None:
    outcome = vmc("tune", "copy.vmc", "--set", "T=u4,u8", "--set", "N=64,1000", "--param", "B=8,32")
    assert outcome.code == 0, outcome.err
    assert last_wins == [3] * 4
    assert outcome.out.count("copy T=u4") == 2 and outcome.out.count("copy T=u8") == 2
    path = files.user_path()
    assert path is not None and str(path) in outcome.out
    entries = files.read(path).values()
    assert {(e.bindings["T"], e.symbols["N"]) for e in entries} == {("u4", 64), ("u4", 1000), ("u8", 64), ("u8", 1000)}
    assert all(e.parameters == {"B": 32} and (e.seconds, e.default_seconds) == (1 / 3, 1.0) for e in entries)
    kernel = package.compile(folder / "copy.vmc", T="u8", tuned={"N": 900})
    assert kernel.bindings["B"] == "32"


def test_candidates_that_do_not_compile_or_compute_something_else_are_left_out(
    vmc: Run, folder: Path, alone: None, last_wins: list[int]
) -> None:
    (folder / "twice.vmc").write_text(CHANGING)
    words = ["--set", "N=100", "--param", "B=4,8,16", "--param", "STEPS=1,2", "-o", "table.json", "--json"]
    outcome = vmc("tune", "twice.vmc", *words)
    assert outcome.code == 0, outcome.err
    (case,) = json.loads(outcome.out)["cases"]
    assert [c["parameters"] for c in case["candidates"]] == [{"B": 8, "STEPS": 1}, {"B": 4, "STEPS": 1}]
    reasons = case["left_out"]
    assert sum(reasons.values()) == 4 and reasons["other results than with the defaults"] == 2
    assert sum(count for reason, count in reasons.items() if "not sixteen" in reason) == 2
    assert case["entry"]["parameters"] == {"B": 4, "STEPS": 1}


def test_defaults_that_do_not_compile_are_no_obstacle(
    vmc: Run, folder: Path, alone: None, last_wins: list[int]
) -> None:
    (folder / "twice.vmc").write_text(CHANGING.replace("B = 8", "B = 16"))
    outcome = vmc("tune", "twice.vmc", "--set", "N=100", "--set", "STEPS=1", "-o", "table.json")
    assert outcome.code == 0 and "defaults" not in outcome.out.splitlines()[0]
    (entry,) = files.read(folder / "table.json").values()
    assert entry.default_seconds is None and entry.bindings == {"STEPS": "1"}


def test_a_real_race_ends_in_its_budget_and_says_what_it_did(vmc: Run, folder: Path, alone: None) -> None:
    words = ["--set", "M=3", "--set", "N=100", "--param", "B=4,8", "--budget", "0.5", "--hot", "-o", "table.json"]
    outcome = vmc("tune", "axpy.vmc", *words)
    assert outcome.code == 0, outcome.err
    assert "axpy M=3 N=100: B=" in outcome.out and "candidates timed" in outcome.out
    (entry,) = files.read(folder / "table.json").values()
    assert entry.parameters["B"] in (4, 8) and entry.seconds > 0 and not entry.cold


def test_without_time_the_defaults_are_timed_alone(vmc: Run, folder: Path, alone: None) -> None:
    outcome = vmc("tune", "copy.vmc", "--set", "T=u4", "--set", "N=64", "--budget", "0", "-o", "table.json")
    assert outcome.code == 0 and "left out: no time" in outcome.out
    (entry,) = files.read(folder / "table.json").values()
    assert entry.parameters == {"B": 16} and entry.seconds == entry.default_seconds


def test_a_table_grows_and_is_not_written_over(vmc: Run, folder: Path, alone: None, last_wins: list[int]) -> None:
    for size in (64, 128, 64):
        assert vmc("tune", "copy.vmc", "--set", "T=u4", "--set", f"N={size}", "-o", "table.json").code == 0
    assert len(files.read(folder / "table.json")) == 2
    (folder / "foreign.json").write_text("[]")
    outcome = vmc("tune", "copy.vmc", "--set", "T=u4", "--set", "N=64", "-o", "foreign.json")
    assert outcome.code == 1 and "error[E0920]: foreign.json is no table" in outcome.err
    assert (folder / "foreign.json").read_text() == "[]" and len(last_wins) == 3


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["copy.vmc", "--set", "T=u4", "--set", "B=8", "--set", "N=64"], "E0919", "no parameter that can be tuned"),
        (["copy.vmc", "--set", "T=u4", "--set", "N=64", "--param", "T=u3"], "E0919", "`T` of `copy` cannot be tuned"),
        (["copy.vmc", "--set", "T=u4", "--set", "N=64", "--param", "B=0"], "E0907", "positive integers"),
        (["copy.vmc", "--set", "T=u4", "--set", "N=64", "--param", "B=1.5"], "E0907", "positive integers"),
        (["copy.vmc", "--set", "T=u4"], "E0912", "symbol `N`"),
        (["copy.vmc", "--set", "N=64"], "E0706", "--set T="),
        (["copy.vmc", "--set", "T=u4", "--set", "NN=64"], "E0906", "no compile-time parameter or symbol `NN`"),
        (["copy.vmc", "--set", "T=u4", "--set", "T=u3"], "E0908", "given twice"),
        (["copy.vmc", "--set", "T=u4", "--set", "N=64", "--target", "interp"], "E0904", "target cpu"),
        (["both.vmc"], "E0903", "which kernel"),
        (["both.vmc:cop"], "E0903", "there is no kernel `cop`"),
        (["wrong.vmc"], "E0919", "no parameter that can be tuned"),
        (["none.vmc"], "E0901", "there is no file"),
    ],
)
def test_mistakes_are_diagnosed(
    vmc: Run, folder: Path, alone: None, last_wins: list[int], words: list[str], code: str, text: str
) -> None:
    outcome = vmc("tune", *words)
    assert outcome.code == 1 and f"error[{code}]" in outcome.err and text in outcome.err, outcome.err


def test_values_that_are_none_are_wrong_usage(vmc: Run, folder: Path) -> None:
    assert vmc("tune", "copy.vmc", "--set", "T=u4,,u8").code == 2
    assert vmc("tune", "copy.vmc", "--param", "B").code == 2
