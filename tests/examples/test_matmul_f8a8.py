"""examples/matmul_f8a8.vmc: products of 8-bit floats, rounded by one kernel and multiplied by another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import vmc
from vmc.backends.cuda.sass import Kind
from vmc.runtime.stages import stage_text

SOURCE = Path(__file__).parents[2] / "examples" / "matmul_f8a8.vmc"
STRICT = SOURCE.read_text("utf-8").replace("fast kernel", "kernel")
NUMBERS = {"f8e4m3": ml_dtypes.float8_e4m3fn, "f8e5m2": ml_dtypes.float8_e5m2, "f6e3m2": ml_dtypes.float6_e3m2fn,
           "f6e2m3": ml_dtypes.float6_e2m3fn, "f4e2m1": ml_dtypes.float4_e2m1fn}  # fmt: skip
LARGEST = {"f8e4m3": 448.0, "f8e5m2": 57344.0}
RUN, FEW = 128, 2.0**-13
QMMA = "mma.sync.aligned.m16n8k32.row.col.f32.{}.{}.f32"
WGMMA = "wgmma.mma_async.sync.aligned.m64n64k32.f32.{}.e4m3"
HMMA = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"


def problem(name: str, m: int, k: int, n: int, activations: str = "f8e4m3") -> tuple[Any, ...]:
    """Codes of q and w, scales, and as f64 what they stand for."""
    rng = np.random.default_rng(3)
    q = (rng.normal(size=(m, k)) * 60).astype(NUMBERS[activations])
    w = rng.normal(size=(k, n)).astype(NUMBERS[name])
    row, scale = (0.5 + rng.random(m)).astype(np.float32), (0.5 + rng.random(n)).astype(np.float16)
    wide = q.astype(np.float64) * row[:, None].astype(np.float64)
    return q.view(np.uint8), w.view(np.uint8), row, scale, wide, w.astype(np.float64) * scale.astype(np.float64)


def error(kernel: vmc.Kernel, name: str, m: int, k: int, n: int, activations: str = "f8e4m3") -> float:
    """The largest error of a product in f32, in units of the roundoff times |q| @ |w|."""
    q, w, row, scale, left, right = problem(name, m, k, n, activations)
    y = np.full((m, n), np.nan, np.float32)
    kernel(q, row, kernel.pack("w", w), scale, y)
    magnitude = np.abs(left) @ np.abs(right)
    return float((np.abs(y - left @ right) / (2.0**-24 * magnitude)).max())


def compiled(target: str, name: str, source: str | Path = SOURCE, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(source, kernel="matmul_f8a8", target=target, T=name, Y="f32", **bindings)


@pytest.mark.parametrize("activations", ["f8e4m3", "f8e5m2"])
@pytest.mark.parametrize(("target", "k"), [("interp", 70), ("cpu", 300), ("ptx-vm:sm_89", 300)])
def test_rows_are_rounded_to_the_nearest_8_bit_floats(activations: str, target: str, k: int) -> None:
    if target.startswith("ptx"):
        pytest.importorskip("tvm")
        pytest.importorskip("cuda.bindings")
    x = np.random.default_rng(0).normal(size=(3, k)).astype(np.float16)
    q, row = np.zeros((3, k), np.uint8), np.zeros(3, np.float32)
    vmc.compile(SOURCE, kernel="quantize_rows", target=target, A=activations)(x, q, row)
    wide = x.astype(np.float32)
    steps = np.abs(wide).max(axis=1) / np.float32(LARGEST[activations])
    np.testing.assert_allclose(row, steps, rtol=1e-6)
    found = q.view(NUMBERS[activations]).astype(np.float64)
    every = np.arange(256, dtype=np.uint8).view(NUMBERS[activations]).astype(np.float64)
    scaled = wide.astype(np.float64) / row[:, None]
    nearest = np.abs(scaled[:, :, None] - every[np.isfinite(every)]).min(axis=2)
    assert (np.abs(found - scaled) <= nearest + 1e-6 * np.abs(scaled)).all()


@pytest.mark.parametrize("name", ["f8e4m3", "f8e5m2", "f4e2m1"])
def test_the_same_source_is_within_the_bound_of_dot_on_the_cpu(name: str) -> None:
    assert error(compiled("cpu", name), name, 19, 203, 71) <= 203 + 6


class TestOnGpus:
    """In the PTX machine, which adds up as the tensor cores of each architecture do."""

    @pytest.fixture(autouse=True)
    def tools(self) -> None:
        pytest.importorskip("tvm")
        pytest.importorskip("cuda.bindings")

    @pytest.mark.parametrize("target", ["sm_90a", "sm_120a"])
    @pytest.mark.parametrize("name", ["f8e4m3", "f6e3m2"])
    def test_products_are_within_the_bound_of_dot_where_sums_are_long(self, target: str, name: str) -> None:
        kernel = compiled(f"ptx-vm:{target}", name, STRICT)
        assert error(kernel, name, 19, 203, 71) <= 203 + 6
        assert error(kernel, name, 3, 256, 64) <= 256 + 6

    @pytest.mark.parametrize("name", ["f8e4m3", "f8e5m2", "f4e2m1"])
    def test_on_ada_fast_products_are_within_the_bound_of_short_sums_and_strict_ones_within_that_of_dot(
        self, name: str
    ) -> None:
        fast, strict = compiled("ptx-vm:sm_89", name), compiled("ptx-vm:sm_89", name, STRICT)
        kind = "e5m2" if name == "f8e5m2" else "e4m3"
        assert QMMA.format("e4m3", kind) in stage_text(fast, "ptx") and HMMA not in stage_text(fast, "ptx")
        assert HMMA in stage_text(strict, "ptx") and "e4m3.e" not in stage_text(strict, "ptx")
        for m, k, n in ((19, 203, 71), (16, 512, 64)):
            # Of every run of 128 products, summed in two: see `dot_fp8`.
            few = (RUN + RUN / 16) * FEW * 2.0**24
            assert error(fast, name, m, k, n) <= few + k + 6
            assert error(strict, name, m, k, n) <= k + 6
        assert name != "f8e4m3" or error(fast, name, 19, 203, 71) > 203 + 6

    @pytest.mark.parametrize("name", ["f8e4m3", "f8e5m2", "f4e2m1", "f6e3m2"])
    def test_on_hopper_warpgroups_multiply_many_rows_within_the_bound_of_short_sums(self, name: str) -> None:
        kernel = compiled("ptx-vm:sm_90a", name, BM=64)
        kind = "e5m2" if name == "f8e5m2" else "e4m3"
        assert WGMMA.format(kind) in stage_text(kernel, "ptx") and "mma.sync" not in stage_text(kernel, "ptx")
        few = (RUN + RUN / 16) * FEW * 2.0**24
        assert error(kernel, name, 70, 203, 71) <= few + 203 + 6
        assert error(kernel, name, 70, 384, 72) <= few + 384 + 6
        assert kernel._launcher.report.bank_conflicts == 0
        strict = compiled("cuda:sm_90a", name, STRICT, BM=64)
        assert "wgmma" not in stage_text(strict, "ptx")

    @pytest.mark.parametrize(("target", "rows"), [("sm_89", 16), ("sm_90a", 64)])
    def test_sums_are_added_in_f32_every_128_products(self, target: str, rows: int) -> None:
        """128 products of 1, and 2**-14 in each of seven further runs, which 1 would swallow."""
        kernel = compiled(f"ptx-vm:{target}", "f8e5m2", A="f8e5m2", BM=rows)
        q, w = np.zeros((16, 1024)), np.zeros((1024, 64))
        q[:, :128], w[:128] = 1, 1
        q[:, 128::128], w[128::128] = 1, 2.0**-14
        y = np.zeros((16, 64), np.float32)
        kernel(
            q.astype(NUMBERS["f8e5m2"]).view(np.uint8),
            np.ones(16, np.float32),
            kernel.pack("w", w.astype(NUMBERS["f8e5m2"]).view(np.uint8)),
            np.ones(64, np.float16),
            y,
        )
        np.testing.assert_array_equal(y, np.float32(128 + 7 * 2.0**-14))

    @pytest.mark.parametrize(
        ("target", "activations", "native"),
        [("sm_120a", "f8e4m3", True), ("sm_120a", "f8e5m2", False), ("sm_90a", "f8e5m2", False), ("sm_80", "", False)],
    )
    def test_strict_kernels_use_the_instruction_where_its_sums_are_good_enough(
        self, target: str, activations: str, native: bool
    ) -> None:
        """Of f8e5m2 a factor below the normal range would cut off more than the bound allows."""
        kernel = compiled(f"cuda:{target}", "f8e4m3", STRICT, A=activations or "f8e4m3")
        found = kernel.explain()
        notes = [note.text for note in found.decisions if note.step == "fp8"]
        assert len(notes) == 1 and ("within the bound of dot" in notes[0]) == native
        assert (QMMA.format("e4m3", "e4m3") in stage_text(kernel, "ptx")) == native

    def test_the_explanation_states_the_bound(self) -> None:
        found = str(compiled("cuda:sm_89", "f8e4m3").explain())
        assert "sums of 128 products keep 13 bits behind the point (`fast`)" in found
        assert "136 * 2^-13 of a run's |a| @ |b|" in found

    def test_the_main_loop_of_warpgroups_converts_nothing(self) -> None:
        """Of 91 instructions, 32 add sums; 160 would convert, and 64 multiply, by warps."""
        found = vmc.compile(SOURCE, kernel="matmul_f8a8", target="cuda:sm_90a", T="f8e4m3", BM=64).explain().main
        assert (found.weights, found.code.spills, found.code.stack) == (64, 0, 0)
        assert found.main_loop.kinds.get(Kind.PACK, 0) == 0 and found.main_loop.kinds[Kind.MATRIX] == 4
        assert found.instructions_per_weight <= 1.5

    @pytest.mark.parametrize(
        ("target", "name", "most"),
        [("sm_89", "f8e4m3", 0.6), ("sm_90a", "f8e4m3", 0.9), ("sm_120a", "f8e4m3", 0.15), ("sm_120a", "f6e3m2", 0.8)],
    )
    def test_the_main_loop_has_few_instructions_for_a_weight(self, target: str, name: str, most: float) -> None:
        sizes = {"BM": 16, "BN": 128, "BK": 128}
        kernel = vmc.compile(SOURCE, kernel="matmul_f8a8", target=f"cuda:{target}", T=name, **sizes)
        found = kernel.explain().main
        assert (found.weights, found.code.spills) == (128, 0)
        assert found.instructions_per_weight <= most

    def test_factors_are_read_from_shared_memory_without_conflicts(self) -> None:
        kernel = compiled("ptx-vm:sm_120a", "f8e4m3")
        error(kernel, "f8e4m3", 16, 512, 64)
        report = kernel._launcher.report
        assert report.bank_conflicts == 0
        assert report.instructions["ldmatrix.sync.aligned.m8n8.x4.shared.b16"] == 4 * 4 * 4
