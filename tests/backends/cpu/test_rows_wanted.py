"""Kernels whose blocks have more rows than there are: few rows take another way than many, and all are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc
from vmc.backends.cpu.levels import TABLE
from vmc.backends.cpu.target import missing

SOURCE = """
kernel product[T: type, BM = 64, BK = 32, BN = 32](x: f16[M, K], w: T[K, N], bias: f32[N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, BK):
            a = f32(x[mi*BM : +BM, k : +BK])
            acc += (abs(a) * 0.5) @ f32(w[k : +BK, ni*BN : +BN] - zero_point(T))
        y[mi*BM : +BM, ni*BN : +BN] = acc + bias[ni*BN : +BN]
"""
EXECUTABLE = [level.name for level in TABLE if not missing(level)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "product.vmc"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.mark.parametrize("level", EXECUTABLE)
@pytest.mark.parametrize("type", ["u3", "i5", "f6e2m3", "f8e4m3"])
def test_few_rows_of_high_blocks_are_right(source: Path, level: str, type: str) -> None:
    kernel = vmc.compile(source, T=type, target=f"cpu:{level}")
    element = vmc.dtype(type)
    for m, k, n in ((1, 64, 64), (2, 64, 32), (3, 96, 64), (5, 70, 45), (63, 64, 32), (64, 33, 32), (67, 64, 64)):
        rng = np.random.default_rng(m)
        codes = rng.integers(0, 1 << element.width, (k, n)).astype(np.uint8)
        codes[~np.isfinite(element.decode(codes))] = 0
        values = element.decode(codes) - (1 << element.width - 1 if element.is_uint else 0)
        x, bias = rng.standard_normal((m, k)).astype(np.float16), rng.standard_normal(n).astype(np.float32)
        y = np.full((m + 1, n), 7, np.float32)
        kernel(x, kernel.pack("w", codes), bias, y[:m])
        left = np.abs(x.astype(np.float64)) * 0.5
        exact, size = left @ values + bias, left @ np.abs(values) + np.abs(bias)
        assert (np.abs(y[:m] - exact) <= (k + 3) * 2.0**-24 * size).all(), m
        assert (y[m] == 7).all()


WRITTEN = """
fast kernel remainder[P = 32, BN = 64](first: i64, x: f32[M, D], w: f32[P, M], y: inout f32[M, D]):
    for i in grid(cdiv(D, BN)):
        acc = zeros(f32[P, BN])
        for j in range(0, first, P):
            acc += w[:, j : +P] @ y[j : +P, i*BN : +BN]
        y[first : +P, i*BN : +BN] = x[first : +P, i*BN : +BN] - acc
"""


@pytest.mark.parametrize("level", EXECUTABLE)
def test_a_product_reads_before_what_it_read_is_written(tmp_path: Path, level: str) -> None:
    path = tmp_path / "remainder.vmc"
    path.write_text(WRITTEN, encoding="utf-8")
    kernel = vmc.compile(path, target=f"cpu:{level}")
    for m, d, first in ((64, 64, 32), (80, 100, 64), (70, 33, 64), (40, 70, 0)):
        rng = np.random.default_rng(m)
        x, y = (rng.standard_normal((m, d)).astype(np.float32) for _ in range(2))
        w = rng.standard_normal((32, m)).astype(np.float32)
        exact = y.astype(np.float64)
        rows = min(32, m - first)
        exact[first : first + rows] = x[first : first + rows] - (w[:, :first].astype(np.float64) @ y[:first])[:rows]
        kernel(first, x, w, y)
        assert np.abs(y - exact).max() <= 1e-4
