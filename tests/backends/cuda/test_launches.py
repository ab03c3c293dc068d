"""Kernels of several launches in the PTX machine: the reference VM's bits at odd sizes, and faults between launches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from vmc.backends.cuda.disassembly import tool
from vmc.ir.dims import binary
from vmc.runtime import ptx_machine

SOURCE = Path(__file__).parents[3] / "examples" / "matmul_wa8.vmc"
SIZES = [(5, 300, 71), (17, 256, 64), (1, 128, 130)]


def problem(type: str, m: int, k: int, n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(m, k)).astype(np.float16)
    codes = rng.integers(0, 1 << vmc.dtype(type).width, (k, n)).astype(np.uint8)
    return x, codes, (0.5 + rng.random((-(-k // 128), n))).astype(np.float16)


def product(kernel: vmc.Kernel, x: Any, codes: Any, scale: Any) -> Any:
    y = np.full((x.shape[0], codes.shape[1]), np.nan, np.float16)
    kernel(x, kernel.pack("w", codes), scale, y)
    return y


@pytest.mark.parametrize(("arch", "type"), [("sm_80", "u4"), ("sm_80", "i8"), ("sm_90a", "u3")])
def test_a_product_of_two_launches_has_the_bits_of_the_reference_machine(arch: str, type: str) -> None:
    kernel = vmc.compile(SOURCE, target=f"ptx-vm:{arch}", T=type)
    reference = vmc.compile(SOURCE, target="interp", T=type)
    for m, k, n in SIZES:
        given = problem(type, m, k, n)
        found = [product(kernel, *given).tobytes() for _ in range(2)]
        assert found == [product(reference, *given).tobytes()] * 2
        reports = kernel._launcher.reports  # type: ignore[attr-defined]
        assert list(reports) == ["matmul_wa8_once", "matmul_wa8"]
        assert [reports[name].blocks for name in reports] == [-(-m // 16) * -(-k // 128), -(-m // 16) * -(-n // 64)]
        assert reports["matmul_wa8_once"].warnings == [], "all of the workspace is written"


def test_the_main_loop_copies_what_the_first_launch_left_and_converts_nothing_of_it() -> None:
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T="u4")
    product(kernel, *problem("u4", 16, 256, 64))
    first, second = kernel._launcher.reports.values()  # type: ignore[attr-defined]
    assert any(opcode.startswith("cvt.rni") for opcode in first.instructions)
    assert not any(opcode.startswith("cvt.rni") for opcode in second.instructions)
    assert any(opcode.startswith("ldmatrix") for opcode in second.instructions)
    assert not any(access.space == "shared" and access.excess for access in second.traffic)


@pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")
def test_a_launch_is_explained_grid_by_grid() -> None:
    found = vmc.compile(SOURCE, target="cuda:sm_80", T="u4", BN=128).explain(M=16, K=4096, N=4096)
    first, second = found.grids  # type: ignore[attr-defined]
    assert (first.blocks, second.blocks) == (32, 32)
    assert second.instructions_per_weight < 1.2 and second.code.spills == 0
    assert [row[3] for row in found.workspace] == [16 * 4096, 4 * 16 * 32, 4 * 16 * 32]  # type: ignore[attr-defined]
    assert "machine code of `matmul_wa8_once`, launch 1 of 2" in str(found)


# ---- split-K ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
def test_a_product_is_the_same_up_to_the_order_of_sums_for_every_number_of_multiprocessors(arch: str) -> None:
    kernel = vmc.compile(SOURCE.with_name("matmul_wa16.vmc"), target=f"ptx-vm:{arch}", T="u4", BM=16)
    launcher = kernel._launcher
    m, k, n = 5, 1003, 71
    x, codes, scale = problem("u4", m, k, n)
    weights = (codes.astype(np.float64) - 8) * np.repeat(scale.astype(np.float64), 128, axis=0)[:k]
    exact, magnitude = x.astype(np.float64) @ weights, np.abs(x.astype(np.float64)) @ np.abs(weights)
    for multiprocessors, parts in ((1, 1), (3, 3), (108, 4)):
        launcher.multiprocessors = multiprocessors  # type: ignore[attr-defined]
        found = [product(kernel, x, codes, scale) for _ in range(2)]
        assert found[0].tobytes() == found[1].tobytes()
        assert (np.abs(found[0] - exact) <= (k + 4) * 2.0**-24 * magnitude + 2.0**-11 * 1.01 * np.abs(exact)).all()
        blocks = [report.blocks for report in launcher.reports.values()]  # type: ignore[attr-defined]
        assert blocks == ([2 * parts, 2] if parts > 1 else [2])


# ---- planted faults --------------------------------------------------------------------------------------------------


@pytest.fixture
def launcher() -> Any:
    return vmc.compile(SOURCE, target="ptx-vm:sm_80", T="u4")._launcher


def launched(launcher: Any) -> None:
    """A launch of the kernel's own launcher, whose parts a test has changed."""
    x, codes, scale = problem("u4", 16, 256, 64)
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T="u4")
    arrays = [x, np.asarray(kernel.pack("w", codes)), scale, np.zeros((16, 64), np.float16)]
    addresses = [array.__array_interface__["data"][0] for array in arrays]
    launcher.launch(addresses, [array.nbytes for array in arrays], [], (16, 256, 64))


def test_the_launcher_of_the_faults_is_sound(launcher: Any) -> None:
    launched(launcher)
    assert len(launcher.reports) == 2


def test_a_launch_that_is_left_out_is_seen(launcher: Any) -> None:
    launcher.compiled = replace(launcher.compiled, grids=launcher.compiled.grids[1:])
    with pytest.raises(vmc.ExecutionError, match="never written"):
        launched(launcher)


def test_a_workspace_that_is_too_small_is_seen(launcher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = launcher.compiled
    sizes = (binary("-", made.workspace_sizes[0], 16), *made.workspace_sizes[1:])
    monkeypatch.setattr(type(made), "workspace_sizes", sizes)
    with pytest.raises(vmc.ExecutionError, match="of `workspace0`, which has 4080 bytes"):
        launched(launcher)


def test_a_grid_that_is_too_small_leaves_what_the_next_one_reads_unwritten(
    launcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ptx_machine.OnPtxMachine._run

    def short(self: Any, grid: Any, blocks: int, values: Any) -> Any:
        return whole(self, grid, blocks - (grid is launcher.compiled.grids[0]), values)

    monkeypatch.setattr(ptx_machine.OnPtxMachine, "_run", short)
    with pytest.raises(vmc.ExecutionError, match="never written"):
        launched(launcher)
