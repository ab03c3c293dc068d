"""pow against mpmath, most results near the ends of the range, and the special cases of C17 F.10.4.4."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

INF, NAN = math.inf, math.nan
KINDS = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}


def pairs(kind: np.dtype[Any]) -> tuple[Any, Any]:
    """Bases of every size, most of them near 1; exponents that bring the result near a chosen logarithm."""
    rng, info, count = np.random.default_rng(12), np.finfo(kind), 2500
    spread = rng.uniform(info.minexp - info.nmant, info.maxexp, count)
    wide = np.ldexp(rng.uniform(1, 2, count), np.minimum(spread, info.maxexp - 2).astype(int))
    near = 1 + rng.choice([-1, 1], count) * np.exp2(rng.uniform(-info.nmant, -1, count))
    base = np.concatenate([wide, near, rng.uniform(0.1, 10, count)]).astype(kind)
    target = rng.uniform(info.minexp - info.nmant - 2, info.maxexp + 1, base.size)
    with np.errstate(all="ignore"):
        exponent = (target / np.log2(base.astype(np.float64))).astype(kind)
    usable = (base != 1) & np.isfinite(exponent) & (base > 0)
    return base[usable], exponent[usable]


def error(exact: Any, got: float, kind: np.dtype[Any]) -> float:
    info = np.finfo(kind)
    largest = mpf(2) ** info.maxexp
    value = largest if math.isinf(got) else mpf(got)
    exact = min(exact, largest)
    exponent = min(max(int(mp.frexp(exact)[1]) - 1, info.minexp), info.maxexp - 1)
    return float(abs(exact - value) / mpf(2) ** (exponent - info.nmant))


@pytest.mark.parametrize("kind", KINDS)
def test_powers_are_within_one_unit_in_the_last_place(kind: str, run_op: Callable[..., Any]) -> None:
    x, y = pairs(KINDS[kind])
    got = run_op("pow", kind, x, y)
    with mp.workprec(160):
        triples = zip(x.tolist(), y.tolist(), got.tolist(), strict=True)
        errors = [error(mpmath.power(mpf(a), mpf(b)), r, KINDS[kind]) for a, b, r in triples]
    worst = int(np.argmax(errors))
    assert errors[worst] < 1, (x[worst], y[worst], got[worst], errors[worst])


@pytest.mark.parametrize("kind", KINDS)
def test_whole_powers_of_small_whole_numbers_are_exact(kind: str, run_op: Callable[..., Any]) -> None:
    base, exponent = (grid.ravel() for grid in np.meshgrid(np.arange(-12, 13), np.arange(0, 15)))
    exact = np.array([int(b) ** int(e) for b, e in zip(base, exponent, strict=True)])
    usable = np.abs(exact) < 2 ** (np.finfo(KINDS[kind]).nmant + 1)
    x, y = (a[usable].astype(KINDS[kind]) for a in (base, exponent))
    assert np.array_equal(run_op("pow", kind, x, y), exact[usable].astype(KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_special_cases_are_those_of_the_c_library(kind: str, run_op: Callable[..., Any]) -> None:
    info = np.finfo(KINDS[kind])
    ends = [float(info.max), float(info.smallest_subnormal), float(info.tiny)]
    numbers = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, INF, *ends, 2.0**info.nmant + 1, 2.0 ** (info.nmant + 3)]
    everything = np.array([*numbers, *(-v for v in numbers), NAN], KINDS[kind])
    x, y = (grid.ravel() for grid in np.meshgrid(everything, everything))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = run_op("pow", kind, x, y)
    numbers_only = ~np.isnan(want)
    assert np.array_equal(np.isnan(got), np.isnan(want)), [
        (a, b, g, w) for a, b, g, w in zip(x, y, got, want, strict=True) if np.isnan(g) != np.isnan(w)
    ]
    assert np.array_equal(np.signbit(got[numbers_only]), np.signbit(want[numbers_only]))
    special = numbers_only & ~(np.isfinite(want) & (want != 0) & (np.abs(want) != 1))
    assert np.array_equal(got[special], want[special])
    assert np.allclose(got[numbers_only], want[numbers_only], rtol=4 * info.eps)
