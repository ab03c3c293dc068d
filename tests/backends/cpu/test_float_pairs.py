"""Products of small floats with bytes, by pairs of bf16: vectors of AVX512-BF16, and tiles of few and of many rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc
from vmc.backends import cpu
from vmc.backends.cpu.levels import LEVELS, TABLE
from vmc.backends.cpu.target import machine, missing
from vmc.cli import main

SOURCE = """
kernel product[T: type, BM = 16, BK = 64, BN = 32](q: i8[M, K], w: T[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, BK):
            acc += f32(q[mi*BM : +BM, k : +BK]) @ f32(w[k : +BK, ni*BN : +BN])
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""
FEATURES = machine(cpu.Options()).features
WITH_PAIRS = [level.name for level in TABLE if not missing(level) and "avx512bf16" in LEVELS[level.name].needs]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "product.vmc"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def check(kernel: vmc.Kernel, type: str, m: int, k: int, n: int) -> None:
    """Against f64, within what sums of k products in f32 may differ by."""
    rng = np.random.default_rng(m * k * n)
    codes = rng.integers(0, 256, (k, n)).astype(np.uint8)
    values = vmc.dtype(type).decode(codes)
    codes[~np.isfinite(values)] = 0
    values = vmc.dtype(type).decode(codes)
    q = rng.integers(-128, 128, (m, k)).astype(np.int8)
    y = np.full((m, n), np.nan, np.float32)
    kernel(q, kernel.pack("w", codes), y)
    x = q.astype(np.float64)
    assert (np.abs(y - x @ values) <= k * 2.0**-24 * (np.abs(x) @ np.abs(values))).all()


@pytest.mark.parametrize("type", ["f8e4m3", "f8e5m2"])
@pytest.mark.parametrize("bm", [1, 2, 3, 7, 12, 16, 32])
def test_blocks_of_every_height_are_right(source: Path, type: str, bm: int) -> None:
    kernel = vmc.compile(source, T=type, BM=bm)
    for m, k, n in ((bm, 64, 32), (bm + 1, 192, 64), (max(1, bm - 1), 67, 33)):
        check(kernel, type, m, k, n)


@pytest.mark.parametrize("level", WITH_PAIRS)
def test_levels_with_pairs_agree_with_exact_sums(source: Path, level: str) -> None:
    kernel = vmc.compile(source, T="f8e4m3", BM=16, target=f"cpu:{level}")
    for m in (1, 15, 17):
        check(kernel, "f8e4m3", m, 130, 50)


@pytest.mark.parametrize("code", [0x7F, 0xFF])
@pytest.mark.parametrize("bm", [1, 16])
def test_a_weight_that_is_no_number_makes_sums_that_are_none(source: Path, bm: int, code: int) -> None:
    kernel = vmc.compile(source, T="f8e4m3", BM=bm)
    codes = np.full((64, 32), 0x38, np.uint8)
    codes[5, 7] = code
    y = np.zeros((bm, 32), np.float32)
    kernel(np.ones((bm, 64), np.int8), kernel.pack("w", codes), y)
    assert np.isnan(y[:, 7]).all()
    assert (np.delete(y, 7, axis=1) == 64).all()


@pytest.mark.skipif(not {"amx-bf16", "amx-tile"} <= FEATURES, reason="the host has no AMX")
@pytest.mark.parametrize("bm", [1, 16])
def test_the_host_multiplies_pairs_by_tiles(source: Path, bm: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(source), "--stage", "asm", "--set", "T=f8e4m3", "--set", f"BM={bm}"]) == 0
    assert "tdpbf16ps" in capsys.readouterr().out
