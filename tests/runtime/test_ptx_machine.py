"""Kernels whose PTX is executed: target `ptx-vm:sm_80`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from vmc.backends import ptxvm
from vmc.ir.span import UNKNOWN, Span
from vmc.runtime.ptx_machine import OnPtxMachine, span_of

SCALE = Path(__file__).parents[2] / "examples" / "scale.vmc"


@pytest.mark.parametrize("target", ["ptx-vm:sm_80", "ptx-vm:sm_90a"])
def test_a_kernel_gives_the_bits_of_the_reference_machine(target: str) -> None:
    kernel = vmc.compile(SCALE, target=target, T="u3")
    codes = np.random.default_rng(0).integers(0, 8, 100).astype(np.uint8)
    scale, got, want = np.array([0.37], np.float16), np.zeros(100, np.float16), np.zeros(100, np.float16)
    kernel(kernel.pack("w", codes), scale, got)
    reference = vmc.compile(SCALE, target="interp", T="u3")
    reference(reference.pack("w", codes), scale, want)
    assert got.tobytes() == want.tobytes()
    assert isinstance(kernel._launcher, OnPtxMachine) and kernel._launcher.report is not None
    assert kernel._launcher.report.global_requests > 0


def test_the_stages_are_those_of_the_gpu() -> None:
    from vmc.runtime.stages import stage_names, stage_text

    kernel = vmc.compile(SCALE, target="ptx-vm:sm_80")
    assert stage_names("ptx-vm:sm_80") == stage_names("cuda:sm_80")
    assert ".target sm_80" in stage_text(kernel, "ptx")


def test_an_unknown_architecture_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(vmc.TargetError, match=r"unknown target `ptx-vm:sm_81`; there are ptx-vm:sm_80, "):
        vmc.compile(SCALE, target="ptx-vm:sm_81")


def test_a_fault_is_an_execution_error_with_the_line_of_the_ptx() -> None:
    kernel = vmc.compile(SCALE, target="ptx-vm:sm_80")
    launcher = kernel._launcher
    assert isinstance(launcher, OnPtxMachine)
    short = np.zeros(4, np.uint8), np.zeros(1, np.float16), np.zeros(100, np.float16)
    addresses = [a.__array_interface__["data"][0] for a in short]
    with pytest.raises(vmc.ExecutionError, match=r"read of 1 bytes at offset 4 of `w`, which has 4 bytes.*ptx:\d+"):
        launcher.launch(addresses, [a.nbytes for a in short], [], (100,))


def test_places_in_the_kernel_s_own_files_become_spans() -> None:
    narrow, wide = Span("k.vmc", 3, 5, 3, 9), Span("k.vmc", 3, 5, 3, 20)
    assert span_of(ptxvm.Location(7, "/x/k.vmc", 3, 1), [narrow, wide]) == wide
    assert span_of(ptxvm.Location(7, "/x/kernel.cu", 3, 1), [narrow, wide]) == UNKNOWN


RACE = """kernel race(x: f32[N], y: out f32[1]):
    for i in grid(N):
        y[0] = x[i]
"""


def test_a_race_of_blocks_is_reported_with_the_line_of_the_kernel() -> None:
    kernel = vmc.compile(RACE, target="ptx-vm:sm_80")
    with pytest.raises(vmc.ExecutionError, match="race in global memory, write after write") as e:
        kernel(np.arange(4, dtype=np.float32), np.zeros(1, np.float32))
    assert e.value.span.line == 3


BOUNDED = """kernel copy[B = 32](x: f32[N], y: out f32[N]):
    scale = x[0]
    for i in grid(cdiv(N, B)):
        assert N <= 40, "too many numbers"
        y[i*B : +B] = x[i*B : +B] * scale
"""


def test_tensors_are_read_before_the_grid_by_every_block() -> None:
    x, y = np.arange(1, 41, dtype=np.float32) / 2, np.zeros(40, np.float32)
    vmc.compile(BOUNDED, target="ptx-vm:sm_80")(x, y)
    assert (y == x / 2).all()


def test_a_failed_assertion_is_an_execution_error() -> None:
    kernel = vmc.compile(BOUNDED, target="ptx-vm:sm_80")
    with pytest.raises(
        vmc.ExecutionError, match="too many numbers: an assertion fails in thread 0 of block 0"
    ) as failure:
        kernel(np.zeros(41, np.float32), np.zeros(41, np.float32))
    assert failure.value.span.line == 4


def test_a_grid_that_depends_on_a_tensor_is_refused() -> None:
    source = "kernel k(n: i64[1], y: out i32[N]):\n    for i in grid(n[0]):\n        y[i] = 1\n"
    with pytest.raises(vmc.TargetError, match="2:19: how many blocks `k` has depends on a tensor"):
        vmc.compile(source, target="ptx-vm:sm_80")
