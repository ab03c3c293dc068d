"""The command from end to end."""

from __future__ import annotations

import pytest

from benchmarks import overheads


def test_the_command_times_compiling_and_calls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overheads, "KERNELS", {"wa8": "matmul_wa8.vmc"})
    monkeypatch.setattr(overheads, "CALLS", 3)
    assert overheads.main(["--quick", "--types", "u2"]) == 0
    shown = capsys.readouterr().out
    assert "wa8 u2" in shown and "NumPy arrays" in shown
