"""`vmc(...)` runs a command in this process; programs to run it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runtime import programs
from vmc.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def vmc(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with programs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy.vmc").write_text(programs.COPY)
    (tmp_path / "axpy.vmc").write_text(programs.AXPY)
    (tmp_path / "both.vmc").write_text(programs.COPY + programs.AXPY)
    (tmp_path / "scale.vmc").write_text(programs.SCALE)
    (tmp_path / "blocks.vmc").write_text(programs.BLOCKS)
    (tmp_path / "checked.vmc").write_text(programs.CHECKED)
    (tmp_path / "wrong.vmc").write_text("kernel k(x: f32[N], y: out f32[N]):\n    y[0 : +4] = z\n    x[0 : +4] = 1.0\n")
    return tmp_path
