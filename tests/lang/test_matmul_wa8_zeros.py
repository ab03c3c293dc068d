"""The product with a zero point for every group of a column, against NumPy and the reference machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc

SOURCE = Path(__file__).parents[2] / "examples" / "matmul_wa8_zeros.vmc"
M, K, N, G = 5, 77, 45, 32


@pytest.mark.parametrize("type", ["u1", "u3", "u4", "i5", "u8"])
def test_each_column_has_its_zero_points(type: str) -> None:
    rng = np.random.default_rng(3)
    t, groups = vmc.dtype(type), -(-K // G)
    w, zero = (rng.integers(0, 1 << t.width, shape, dtype=np.uint8) for shape in ((K, N), (groups, N)))
    x = rng.standard_normal((M, K)).astype(np.float16)
    scale = rng.uniform(0.5, 1.0, (groups, N)).astype(np.float16)
    found = []
    for target in ("cpu", "interp"):
        kernel = vmc.compile(SOURCE, target=target, T=type, BM=4, BN=32, G=G)
        y = np.zeros((M, N), np.float16)
        kernel(x, kernel.pack("w", w), vmc.pack(zero, type), scale, y)
        found.append(y)
    np.testing.assert_array_equal(found[0], found[1])
    rows = np.arange(K) // G
    b = (t.decode(w) - t.decode(zero)[rows]) * scale.astype(np.float64)[rows]
    expected = x.astype(np.float64) @ b
    assert np.abs(found[0] - expected).max() < 2e-2 * np.abs(expected).max()
