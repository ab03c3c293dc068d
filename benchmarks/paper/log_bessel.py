"""Logarithms of modified Bessel functions against SciPy's, which are finite only where the functions are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from log_bessel.functions import Array, bessel_ratio, log_iv, log_kv

from benchmarks.paper.contest import Contest

HIGHEST = (150.0, 1e4)


def contests(quick: bool) -> Iterator[Contest]:
    """131072 points of [0, 150]^2 and [0, 10^4]^2, or 4096."""
    from scipy import special  # type: ignore[import-untyped]

    count = 1 << 12 if quick else 1 << 17
    rng = np.random.default_rng(0)
    for high in HIGHEST:
        v, x = rng.uniform(0, high, count), rng.uniform(0, high, count)
        yield contest(f"log I [0, {high:g}]^2", log_iv, lambda v, x: np.log(special.ive(v, x)) + x, v, x)
        yield contest(f"log K [0, {high:g}]^2", log_kv, lambda v, x: np.log(special.kve(v, x)) - x, v, x)
        yield contest(f"ratio [0, {high:g}]^2", bessel_ratio, ratio, v, x)


def ratio(v: Array, x: Array) -> Array:
    """SciPy's quotient, NaN where it is one of denormal numbers, which have few digits."""
    from scipy import special

    above = special.ive(v + 1, x)
    return np.where(above > 1e-290, above / special.ive(v, x), np.nan)


Function = Callable[[Array, Array], Array]


def contest(name: str, ours: Function, theirs: Function, v: Array, x: Array) -> Contest:
    def quietly() -> Array:
        with np.errstate(all="ignore"):
            return theirs(v, x)

    def error() -> float:
        """Where SciPy's result is finite and loses no digits, relative where it is above 1."""
        want, got = quietly(), ours(v, x)
        usable = np.isfinite(want) & (abs(want) < 600)
        return float(np.max(abs(got - want)[usable] / np.maximum(1, abs(want[usable]))))

    return Contest(name, "scipy", lambda: ours(v, x), quietly, error, tolerance=1e-11)
