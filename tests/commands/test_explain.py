"""`vmc explain`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.conftest import Run


def test_a_kernel_is_explained_in_text(vmc: Run, folder: Path) -> None:
    outcome = vmc("explain", "copy.vmc", "--set", "T=u3", "--set", "N=80")
    assert outcome.code == 0, outcome.err
    titles = [line for line in outcome.out.splitlines() if line and not line.startswith(" ")]
    assert titles[0].startswith("copy[T=u3, B=16] for cpu")
    assert titles[1:] == [
        "tensors",
        "operations of a launch, tiles counted whole",
        "decisions of the passes",
        "hot loops",
        "predicted time of a launch, at least, with all tiles full",
    ]
    assert "all together 60 bytes" in outcome.out


def test_a_kernel_is_explained_in_json(vmc: Run, folder: Path) -> None:
    outcome = vmc("explain", "both.vmc:axpy", "--set", "M=3", "--set", "N=80", "--json")
    assert outcome.code == 0, outcome.err
    data = json.loads(outcome.out)
    assert (data["kernel"], data["symbols"], data["warnings"]) == ("axpy", {"M": 3, "N": 80}, [])
    assert [tensor["bytes"] for tensor in data["tensors"]] == [960, 960]
    assert data["work"]["blocks"] == 30


def test_sizes_may_be_missing(vmc: Run, folder: Path) -> None:
    outcome = vmc("explain", "copy.vmc", "--set", "T=f32")
    assert outcome.code == 0
    assert "N * 32 / 8" in outcome.out and "not derived: N not set" in outcome.out


def test_other_targets_are_refused(vmc: Run, folder: Path) -> None:
    outcome = vmc("explain", "copy.vmc", "--set", "T=f32", "--target", "interp")
    assert outcome.code == 1
    assert "error[E0904]: `explain` reads machine code" in outcome.err
