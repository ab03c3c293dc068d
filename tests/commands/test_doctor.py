"""`vmc doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from vmc.backends.cpu.levels import LEVELS
from vmc.commands import doctor


def findings(outcome: str) -> dict[str, dict[str, str]]:
    return {finding["name"]: finding for finding in json.loads(outcome)}


def test_what_is_installed_is_listed_with_versions(vmc: Run) -> None:
    outcome = vmc("doctor", "--json")
    found = findings(outcome.out)
    assert outcome.code == 0
    assert found["numpy"]["status"] == found["llvmlite"]["status"] == found["cpu"]["status"] == "ok"
    assert {"torch", "apache-tvm", "level", "threads", "nvrtc", "gpu", "cache"} <= set(found)


def test_the_highest_level_of_the_host_is_named(vmc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmc.backends.cpu.target.best", lambda: LEVELS["x86-64-v3"])
    level = findings(vmc("doctor", "--json").out)["level"]
    assert level["detail"] == "cpu:x86-64-v3 (Haswell, Zen) is the highest that the processor can execute"
    monkeypatch.setattr("vmc.backends.cpu.target.best", lambda: None)
    assert "none that vmc names" in findings(vmc("doctor", "--json").out)["level"]["detail"]


def test_what_is_missing_comes_with_what_it_enables_and_how_to_get_it(
    vmc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name == "torch" else original(name))
    outcome = vmc("doctor")
    assert outcome.code == 0
    assert "enables torch tensors as arguments" in outcome.out and "get it: pip install 'vmc[torch]'" in outcome.out


def test_something_needed_that_is_missing_fails(vmc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name == "lark" else original(name))
    assert vmc("doctor").code == 1


def test_a_cache_that_is_off_or_cannot_be_written_is_told(
    vmc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMC_CACHE", "0")
    assert "turned off" in findings(vmc("doctor", "--json").out)["cache"]["detail"]
    monkeypatch.delenv("VMC_CACHE")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "file"))
    assert "cannot be written" in findings(vmc("doctor", "--json").out)["cache"]["detail"]
