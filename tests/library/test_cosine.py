"""The cosine transforms of the library against scipy, for lengths of every kind, on both machines."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft  # type: ignore[import-untyped]

import vmc

SOURCE = """
import cosine

kernel transform[N: const, B: const](x: f64[N, B], there: out f64[N, B], back: out f64[N, B]):
    there[:, :] = cosine.dct2(x[:, :])
    back[:, :] = cosine.dct3(x[:, :])
"""


@pytest.mark.parametrize(("target", "n", "b"), [("cpu", 1, 2), ("cpu", 30, 3), ("cpu", 64, 1), ("interp", 31, 2)])
def test_transforms_are_scipy_s_orthonormal_ones(target: str, n: int, b: int) -> None:
    x = np.random.default_rng(n).standard_normal((n, b))
    there, back = np.empty_like(x), np.empty_like(x)
    vmc.compile(SOURCE, "transform", target, N=n, B=b)(x, there, back)
    assert abs(there - scipy.fft.dct(x, axis=0, norm="ortho")).max() < 3e-15 * n**0.5
    assert abs(back - scipy.fft.idct(x, axis=0, norm="ortho")).max() < 3e-15 * n**0.5
