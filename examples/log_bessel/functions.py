"""The kernels as functions of NumPy arrays."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vmc

HERE = Path(__file__).parent
BESSEL, DISTRIBUTION = HERE / "log_bessel.vmc", HERE / "von_mises_fisher.vmc"

Array = NDArray[np.float64]


@lru_cache(maxsize=16)
def compiled(file: Path, name: str, target: str) -> vmc.Kernel:
    return vmc.compile(file, name, target)


def elementwise(file: Path, name: str, target: str, *operands: Array, out: Array | None = None) -> Array:
    """One kernel over f64 arrays of one shape, into `out`, contiguous and of that shape, or into a new array."""
    given = [np.ascontiguousarray(each, np.float64) for each in operands]
    result = np.empty(given[0].shape) if out is None else out
    compiled(file, name, target)(*(each.reshape(-1) for each in given), result.reshape(-1))
    return result


def log_iv(v: Array, x: Array, target: str = "cpu", out: Array | None = None) -> Array:
    """log(I_v(x)) for arrays of one shape: -inf at x = 0 < v, NaN where v or x is negative."""
    return elementwise(BESSEL, "log_iv", target, v, x, out=out)


def log_kv(v: Array, x: Array, target: str = "cpu", out: Array | None = None) -> Array:
    """log(K_v(x)) for arrays of one shape: inf at x = 0, NaN where v or x is negative."""
    return elementwise(BESSEL, "log_kv", target, v, x, out=out)


def bessel_ratio(v: Array, x: Array, target: str = "cpu") -> Array:
    """I_{v+1}(x) / I_v(x) for arrays of one shape; NaN where v or x is negative or 2**440 and more."""
    return elementwise(BESSEL, "bessel_ratio", target, v, x)


def mean_resultant_length(x: Array, target: str = "cpu") -> float:
    """The length of the mean of unit vectors x[N, P]."""
    total, length = np.empty(x.shape[1]), np.empty(1)
    compiled(DISTRIBUTION, "resultant", target)(x, total)
    compiled(DISTRIBUTION, "mean_length", target)(total, float(len(x)), length)
    return float(length[0])


def fit(p: Array, r: Array, target: str = "cpu") -> Array:
    """The concentrations kappa of greatest likelihood, for dimensions p and mean resultant lengths r in (0, 1)."""
    return elementwise(DISTRIBUTION, "vmf_fit", target, p, r)


def negative_log_likelihood(p: Array, kappa: Array, r: Array, target: str = "cpu") -> Array:
    """Of one sample on average."""
    return elementwise(DISTRIBUTION, "vmf_nll", target, p, kappa, r)
