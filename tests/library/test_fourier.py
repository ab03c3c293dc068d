"""The transforms of the library against scipy, for powers of two of both kinds, on both machines."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft  # type: ignore[import-untyped]
import scipy.linalg  # type: ignore[import-untyped]

import vmc

SOURCE = """
import fourier

kernel transform[N: const, B: const](x: f64[2, N, B], y: out f64[2, N, B]):
    c, s = fourier.roots(N)
    re, im = fourier.fft(x[0, :, :], x[1, :, :], c, s)
    y[0, :, :] = re
    y[1, :, :] = im

kernel walsh[N: const, B: const](x: f64[N, B], y: out f64[N, B]):
    y[:, :] = fourier.hadamard(x[:, :])
"""


@pytest.mark.parametrize(
    ("target", "n", "b"),
    [("cpu", 2, 3), ("cpu", 4, 1), ("cpu", 32, 3), ("cpu", 128, 2), ("interp", 64, 5), ("interp", 512, 1)],
)
def test_fft_is_the_discrete_fourier_transform(target: str, n: int, b: int) -> None:
    x = np.random.default_rng(n).standard_normal((2, n, b))
    y = np.empty_like(x)
    vmc.compile(SOURCE, "transform", target, N=n, B=b)(x, y)
    expected = scipy.fft.fft(x[0] + 1j * x[1], axis=0)
    assert abs(y[0] + 1j * y[1] - expected).max() <= 4e-16 * np.log2(n) * abs(expected).max()


@pytest.mark.parametrize(("target", "n", "b"), [("cpu", 2, 3), ("cpu", 64, 3), ("interp", 128, 1)])
def test_hadamard_is_the_matrix_of_that_name(target: str, n: int, b: int) -> None:
    x = np.random.default_rng(n).standard_normal((n, b))
    y = np.empty_like(x)
    vmc.compile(SOURCE, "walsh", target, N=n, B=b)(x, y)
    assert abs(y - scipy.linalg.hadamard(n) @ x / np.sqrt(n)).max() <= 1e-14
