"""The library's random numbers: distributions by Kolmogorov's and Smirnov's test, the same bits on both machines.

Seeds are fixed; for a random one each test of a distribution would fail once in 10,000 runs.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped]

import vmc

SOURCE = """
import noise

kernel draw[KIND = 0, B = 64](seed: u64, y: out f64[N]):
    for i in grid(cdiv(N, B)):
        counter = i*B + arange(B)
        if KIND == 0:
            y[i*B : +B] = noise.uniform53(seed, counter)
        elif KIND == 1:
            y[i*B : +B] = noise.exponential(seed, counter)
        elif KIND == 2:
            y[i*B : +B] = noise.laplace(seed, counter)
        else:
            y[i*B : +B] = noise.normal53(seed, counter)
"""
FALSE_ALARM = 1e-4
DISTRIBUTIONS = ("uniform", "expon", "laplace", "norm")


@pytest.mark.parametrize("kind", range(4))
def test_numbers_have_the_distribution_of_their_name(kind: int) -> None:
    y = np.empty(100_000)
    vmc.compile(SOURCE, KIND=kind)(7, y)
    assert scipy.stats.kstest(y, DISTRIBUTIONS[kind]).pvalue > FALSE_ALARM
    assert abs(np.corrcoef(y[1:], y[:-1])[0, 1]) < 4 / len(y) ** 0.5
    small = np.empty(100)
    vmc.compile(SOURCE, target="interp", KIND=kind)(7, small)
    assert (small == y[:100]).all()
