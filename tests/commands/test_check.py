"""`vmc check`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.conftest import Run


def test_sound_files_are_counted(vmc: Run, folder: Path) -> None:
    outcome = vmc("check", "copy.vmc", "axpy.vmc", "scale.vmc")
    assert (outcome.code, outcome.out) == (0, "3 files: no errors\n")


def test_every_mistake_of_every_file_is_shown(vmc: Run, folder: Path) -> None:
    outcome = vmc("check", "copy.vmc", "wrong.vmc", "missing.vmc")
    assert outcome.code == 1
    assert "wrong.vmc:2:17" in outcome.out and "wrong.vmc:3:5" in outcome.out
    assert "y[0 : +4] = z" in outcome.out
    assert "there is no file missing.vmc" in outcome.out


def test_json_has_all_diagnostics_and_counts(vmc: Run, folder: Path) -> None:
    outcome = vmc("check", "wrong.vmc", "--json")
    report = json.loads(outcome.out)
    assert outcome.code == 1
    assert report["files"] == ["wrong.vmc"]
    assert report["errors"] + report["warnings"] == len(report["diagnostics"])
    assert report["diagnostics"][0]["span"]["line"] == 2


def test_a_mistake_in_an_imported_file_is_shown_with_its_source(vmc: Run, folder: Path) -> None:
    (folder / "part.vmc").write_text("def f(x):\n    return y +\n")
    (folder / "whole.vmc").write_text("import part\nkernel k(x: out f32[N]):\n    x[0 : +4] = zeros(f32[4])\n")
    outcome = vmc("check", "whole.vmc")
    assert outcome.code == 1
    assert "part.vmc:2" in outcome.out and "return y +" in outcome.out


def test_colours_are_for_terminals(vmc: Run, folder: Path) -> None:
    assert "\x1b" not in vmc("check", "wrong.vmc").out
