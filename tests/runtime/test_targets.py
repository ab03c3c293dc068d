"""Names of targets: which there are, which the host can execute, and the level that the environment forces."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vmc
from tests.runtime import programs
from vmc.backends.cpu.levels import LEVELS, PORTABLE, TABLE
from vmc.backends.cpu.target import missing
from vmc.runtime import targets
from vmc.runtime.cache import key_of
from vmc.runtime.compiling import elaborate
from vmc.runtime.targets import FORCED, Native

X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86-64 host")
FOREIGN = [level.name for level in TABLE if level.architecture not in (platform.machine(), "x86_64")]


def level_of(kernel: vmc.Kernel) -> str:
    launcher = kernel._launcher
    assert isinstance(launcher, Native) and launcher.executable.choice is not None
    return launcher.executable.choice.level


def check_copy(kernel: vmc.Kernel) -> None:
    x, y = np.arange(21, dtype=np.float32), np.zeros(21, np.float32)
    kernel(x, y)
    np.testing.assert_array_equal(x, y)


@X86
@pytest.mark.parametrize("name", FOREIGN)
def test_code_for_another_architecture_can_be_read_and_not_launched(name: str) -> None:
    kernel = elaborate(programs.AXPY, "axpy.vmc", None, f"cpu:{name}", {"B": 64})
    assert 'triple = "aarch64' in kernel.ir("llvm")
    assert "fmul\tv" in kernel.ir("asm")
    with pytest.raises(vmc.TargetError, match=rf"cannot execute cpu:{name}: it lacks the architecture aarch64"):
        kernel.prepare()


@X86
def test_code_that_the_host_lacks_features_for_can_be_read_and_not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmc.backends.cpu.target.missing", lambda level: ("avx512f", "avx512bw"))
    kernel = elaborate(programs.AXPY, "axpy.vmc", None, "cpu:x86-64-v4", {"B": 64})
    assert "%zmm" in kernel.ir("asm")
    with pytest.raises(vmc.TargetError, match="cannot execute cpu:x86-64-v4: it lacks avx512f, avx512bw"):
        kernel.prepare()


def test_an_unknown_level_is_answered_with_all_there_are() -> None:
    with pytest.raises(vmc.TargetError, match="besides `cpu` there are") as caught:
        vmc.compile(programs.COPY, target="cpu:avx", T="f32")
    assert all(f"cpu:{name}" in str(caught.value) for name in (*LEVELS, "portable"))


@X86
@pytest.mark.parametrize("name", PORTABLE)
def test_the_environment_forces_the_level_of_portable_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing(LEVELS[name]):
        pytest.skip("not this host")
    monkeypatch.setenv(FORCED, name)
    kernel = vmc.compile(programs.COPY, target="cpu:portable", T="f32")
    assert level_of(kernel) == name
    check_copy(kernel)


@X86
def test_a_level_that_cannot_be_forced_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORCED, "amx")
    with pytest.raises(vmc.TargetError, match="VMC_CPU_LEVEL is amx, and cpu:portable has x86-64, x86-64-v3"):
        vmc.compile(programs.COPY, target="cpu:portable", T="f32")
    monkeypatch.setenv(FORCED, PORTABLE[-1])
    original = missing
    monkeypatch.setattr("vmc.backends.cpu.target.missing", lambda level: ("gfni",) if level.needs else original(level))
    with pytest.raises(vmc.TargetError, match=r"the level avx512vbmi, which VMC_CPU_LEVEL names: it lacks gfni"):
        vmc.compile(programs.COPY, target="cpu:portable", T="f32")


@X86
def test_portable_code_comes_from_the_disk_cache_and_still_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(targets, "_loaded", {})
    best = level_of(vmc.compile(programs.COPY, target="cpu:portable", T="f32"))
    script = f"""
import sys
import numpy as np, vmc
from vmc.runtime import targets
targets.native = lambda *words: sys.exit("compiled")
kernel = vmc.compile({programs.COPY!r}, target="cpu:portable", T="f32")
x, y = np.arange(21, dtype=np.float32), np.zeros(21, np.float32)
kernel(x, y)
assert (x == y).all()
print(kernel._launcher.executable.choice.level)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == best


@X86
def test_the_cache_keeps_levels_apart_and_portable_code_does_not_depend_on_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tile = elaborate(programs.COPY, "copy.vmc", None, "cpu", {"T": "f32"})._tile

    def key(name: str) -> str:
        return key_of(targets.dependencies(tile, targets.options_of(name)))

    names = ["cpu", "cpu:portable", *(f"cpu:{level}" for level in LEVELS)]
    assert len({key(name) for name in names}) == len(names)
    before = key("cpu:portable")
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "other")
    assert key("cpu:portable") == before
