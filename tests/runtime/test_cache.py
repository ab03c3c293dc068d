"""The compile cache: what hits, what misses, and what it survives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmc
from tests.runtime import programs
from vmc.runtime import cache as cache_module
from vmc.runtime import fingerprint, targets
from vmc.runtime.cache import DiskCache, decode, encode


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache directory of the test's own; what this process has loaded is forgotten."""
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(targets, "_loaded", {})
    yield tmp_path / "cache"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the kernels for which code is generated."""
    names: list[str] = []
    original = targets.native

    def native(kernel: Any, options: Any, dense: frozenset[str]) -> Any:
        names.append(kernel.name)
        return original(kernel, options, dense)

    monkeypatch.setattr(targets, "native", native)
    return names


def check_copy(kernel: vmc.Kernel) -> None:
    x, y = np.arange(21, dtype=np.float32), np.zeros(21, np.float32)
    kernel(x, y)
    np.testing.assert_array_equal(x, y)


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.vmcobj"))


def forget() -> None:
    targets._loaded.clear()


def test_code_is_taken_from_the_process_then_from_disk(directory: Path, compilations: list[str]) -> None:
    for _ in range(2):
        check_copy(vmc.compile(programs.COPY, T="f32"))
    forget()
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert compilations == ["copy"]
    assert len(entries(directory)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"T": "f64"},
        {"T": "f32", "B": 8},
        {"T": "f32", "N": 21},
        {"T": "f32", "target": "cpu:x86-64"},
    ],
)
def test_whatever_changes_the_code_changes_the_key(
    directory: Path, compilations: list[str], change: dict[str, Any]
) -> None:
    vmc.compile(programs.COPY, T="f32")
    vmc.compile(programs.COPY, **change)
    assert len(compilations) == len(entries(directory)) == 2


def test_a_fast_kernel_and_another_line_of_an_assertion_have_their_own_entries(
    directory: Path, compilations: list[str]
) -> None:
    vmc.compile(programs.COPY, T="f32")
    vmc.compile(programs.COPY.replace("kernel copy", "fast kernel copy"), T="f32")
    vmc.compile("\n" + programs.COPY, T="f32")
    assert len(compilations) == len(entries(directory)) == 3


def test_another_version_of_vmc_does_not_meet_old_entries(
    directory: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vmc.compile(programs.COPY, T="f32")
    forget()
    monkeypatch.setattr(fingerprint, "code_fingerprint", lambda: "other")
    vmc.compile(programs.COPY, T="f32")
    assert len(compilations) == len(entries(directory)) == 2


def test_the_fingerprint_covers_sources_grammar_and_library() -> None:
    root = Path(vmc.__file__).parent
    assert len(fingerprint.code_fingerprint()) == 32
    for name in ("lang/grammar.lark", "ir/core.py", "backends/cpu/emitter.py", "library/linalg.vmc"):
        assert (root / name).suffix in fingerprint.SUFFIXES


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "garbage", "header"])
def test_a_damaged_entry_is_rebuilt(directory: Path, compilations: list[str], damage: str) -> None:
    vmc.compile(programs.COPY, T="f32")
    (path,) = entries(directory)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "empty": b"",
            "truncated": data[:middle],
            "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "garbage": b"\x00" * 1000,
            "header": encode({"entry": 3}, b"not an object"),
        }[damage]
    )
    forget()
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert compilations == ["copy", "copy"]
    assert entries(directory)[0].read_bytes() == data


def test_a_killed_writer_leaves_nothing_that_is_read(directory: Path, compilations: list[str]) -> None:
    directory.mkdir()
    (directory / ".writing-abc").write_bytes(b"half an ent")
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert compilations == ["copy"] and len(entries(directory)) == 1


def test_a_directory_that_cannot_be_made_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compilations: list[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("VMC_CACHE_DIR", str(blocked / "cache"))
    monkeypatch.setattr(targets, "_loaded", {})
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert compilations == ["copy"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_done_without(directory: Path, compilations: list[str]) -> None:
    directory.mkdir(mode=0o500)
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert entries(directory) == []


def test_a_full_disk_is_done_without(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **named: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.os, "fdopen", full)
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert entries(directory) == [] and list(directory.iterdir()) == []


def test_the_cache_can_be_turned_off(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMC_CACHE", "0")
    check_copy(vmc.compile(programs.COPY, T="f32"))
    assert not directory.exists()


def test_the_least_recently_used_entries_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=3000)
    for number in range(3):
        cache.store(f"k{number}", {}, bytes(900))
        os.utime(cache.path(f"k{number}"), (number, number))
    assert cache.load("k0") is not None
    cache.store("k3", {}, bytes(900))
    assert {path.stem for path in entries(tmp_path)} == {"k0", "k2", "k3"}


def test_abandoned_temporary_files_are_swept(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    old, young = tmp_path / ".writing-old", tmp_path / ".writing-young"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    cache.store("k", {}, b"code")
    assert not old.exists() and young.exists()


def test_an_entry_reads_back_what_was_written() -> None:
    assert decode(encode({"a": [1, "b"]}, b"\x00\xff")) == ({"a": [1, "b"]}, b"\x00\xff")


def test_processes_that_compile_the_same_at_once_all_get_it_right(directory: Path) -> None:
    script = f"""
import numpy as np, vmc
for _ in range(2):
    kernel = vmc.compile({programs.COPY!r}, T="f32")
    x, y = np.arange(21, dtype=np.float32), np.zeros(21, np.float32)
    kernel(x, y)
    assert (x == y).all()
"""
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", script]) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    assert len(entries(directory)) == 1 and len(list(directory.iterdir())) == 1
