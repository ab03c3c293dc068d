"""The two compilers of CUDA C, and what they do with code that takes too long."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

import vmc
from vmc.backends.cuda import ToolchainError, compilers, nvcc, nvrtc
from vmc.backends.cuda.binary import FAST

SUM = 'extern "C" __global__ void k(float* y, const float* x) { y[threadIdx.x] = x[threadIdx.x] * x[0] + x[1]; }'
SOURCE = """
kernel scaled[T: type = u3](w: T[N], s: f16[1], y: out f16[N]):
    for i in grid(cdiv(N, 64)):
        y[i*64 : +64] = f16(w[i*64 : +64]) * s[0]
"""
HUGE = 'extern "C" __global__ void k(float* y) {{\n{}}}\n'.format(
    "".join(f"    y[{n}] = y[{n + 1}] * y[{n + 7}] + {n}.5f;\n" for n in range(20000))
)
with_nvcc = pytest.mark.skipif(nvcc.version() is None, reason="nvcc is not installed")


@pytest.fixture
def only_nvcc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without NVRTC."""

    def missing() -> tuple[int, int]:
        raise ToolchainError("compiling for NVIDIA GPUs needs cuda-bindings and nvidia-cuda-nvrtc")

    monkeypatch.setattr(compilers, "is_installed", lambda: False)
    monkeypatch.setattr(nvrtc, "version", missing)


def test_nvrtc_is_taken_where_it_is_installed() -> None:
    pytest.importorskip("cuda.bindings")
    assert compilers.compiler() == "nvrtc" and compilers.identity()[0] == "nvrtc"


@with_nvcc
def test_nvcc_stands_in_for_nvrtc(only_nvcc: None) -> None:
    assert compilers.identity() == ["nvcc", nvcc.version()]
    made = compilers.compile_cuda(SUM, "sm_80")
    assert made.cubin[:4] == b"\x7fELF" and ".target sm_80" in made.ptx
    assert not re.search(r"\bfma", made.ptx) and re.search(r"\bfma", compilers.compile_cuda(SUM, "sm_80", FAST).ptx)
    refusal = r'nvcc refuses generated code for sm_80:\s.*kernel.cu\(1\): error: .*"nonsense"'
    with pytest.raises(ToolchainError, match=refusal):
        compilers.compile_cuda('extern "C" __global__ void k() { nonsense(); }', "sm_80")


@with_nvcc
def test_a_kernel_that_nvcc_compiled_gives_the_same_bits(
    only_nvcc: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path))
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80")
    codes, scale = np.arange(100, dtype=np.uint8) % 8, np.array([0.3], np.float16)
    y = np.zeros(100, np.float16)
    kernel(kernel.pack("w", codes), scale, y)
    np.testing.assert_array_equal(y, codes.astype(np.float16) * scale)


def test_without_a_compiler_both_are_named(only_nvcc: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvcc, "version", lambda: None)
    with pytest.raises(vmc.TargetError, match="cuda-bindings and nvidia-cuda-nvrtc; there is no nvcc on the path"):
        vmc.compile(SOURCE, target="cuda:sm_80")


@pytest.mark.parametrize("name", ["nvrtc", pytest.param("nvcc", marks=with_nvcc)])
def test_compiling_stops_when_its_time_is_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMC_CUDA_COMPILER", name)
    monkeypatch.setenv("VMC_CUDA_TIMEOUT", "0.05")
    message = "compiling 20,002 lines of CUDA C for sm_80 was stopped after 0.05 s; smaller tiles make them fewer"
    with pytest.raises(ToolchainError, match=message):
        compilers.compile_cuda(HUGE, "sm_80")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("VMC_CUDA_TIMEOUT", "soon", "VMC_CUDA_TIMEOUT is soon, and is a number of seconds above 0"),
        ("VMC_CUDA_COMPILER", "gcc", "VMC_CUDA_COMPILER is gcc; there are nvrtc and nvcc"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ToolchainError, match=message):
        compilers.compile_cuda(SUM, "sm_80")


CHECKED = """
kernel checked(x: i32[N], y: out i32[N]):
    for i in grid(cdiv(N, 64)):
        t = x[i*64 : +64]
        assert all(t >= 0), "a \\"number\\" is negative"
        print("block", i)
        y[i*64 : +64] = t
"""


@pytest.mark.parametrize("name", ["nvrtc", pytest.param("nvcc", marks=with_nvcc)])
def test_asserts_and_prints_are_calls_of_the_driver_s_functions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMC_CUDA_COMPILER", name)
    kernel = vmc.compile(CHECKED, target="ptx-vm:sm_80")
    ptx = kernel._launcher.compiled.ptx  # type: ignore[attr-defined]
    assert ".extern .func __assertfail" in ptx.replace("  (", "(") and "vprintf" in ptx and "trap" not in ptx
    x, y = np.arange(100, dtype=np.int32), np.zeros(100, np.int32)
    kernel(x, y)
    np.testing.assert_array_equal(x, y)
    x[70] = -1
    with pytest.raises(vmc.ExecutionError, match='a "number" is negative: an assertion fails in thread') as failure:
        kernel(x, y)
    assert failure.value.span is not None and failure.value.span.line == 5
