"""atan2 against mpmath, in all quadrants, and at the special points of C17 annex F.10.1.4."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

INF, PI = math.inf, math.pi


def error(exact: Any, got: float, kind: np.dtype[Any]) -> float:
    info = np.finfo(kind)
    exponent = max(int(mp.frexp(exact)[1]) - 1, info.minexp)
    return float(abs(exact - mpf(got)) / mpf(2) ** (exponent - info.nmant))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_angles_are_within_one_unit_in_the_last_place(kind: str, run_op: Callable[..., Any]) -> None:
    dtype = np.dtype(np.float32 if kind == "f32" else np.float64)
    rng, info, count = np.random.default_rng(5), np.finfo(dtype), 1500
    y, x = (rng.normal(0, 1, 3 * count) for _ in range(2))
    spread = np.concatenate(
        [np.zeros(count), rng.uniform(-40, 40, count), rng.uniform(-2 * info.maxexp, 2 * info.maxexp, count)]
    )
    with np.errstate(all="ignore"):
        y = np.ldexp(y, np.floor(spread / 2).astype(int)).astype(dtype)
        x = np.ldexp(x, -np.floor(spread / 2).astype(int)).astype(dtype)
    ends = np.array([info.max, info.tiny, info.smallest_subnormal, 1, 1.5], dtype)
    a, b = (grid.ravel() for grid in np.meshgrid(ends, ends))
    y, x = np.concatenate([y, a, a, -a]), np.concatenate([x, b, -b, -b])
    usable = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    y, x = y[usable], x[usable]
    got = run_op("atan2", kind, y, x)
    with mp.workprec(200):
        errors = [
            error(mpmath.atan2(mpf(b), mpf(a)), r, dtype)
            for a, b, r in zip(x.tolist(), y.tolist(), got.tolist(), strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] < 1, (y[worst], x[worst], got[worst], errors[worst])


SPECIAL = [
    (0.0, 0.0, 0.0), (0.0, -0.0, PI), (0.0, 1.0, 0.0), (0.0, -1.0, PI), (1.0, 0.0, PI / 2), (1.0, -0.0, PI / 2),
    (1.0, INF, 0.0), (1.0, -INF, PI), (INF, 1.0, PI / 2), (INF, -1.0, PI / 2), (INF, INF, PI / 4),
    (INF, -INF, 3 * PI / 4), (math.nan, 1.0, math.nan), (1.0, math.nan, math.nan), (math.nan, math.nan, math.nan),
    (INF, math.nan, math.nan), (0.0, math.nan, math.nan), (math.nan, 0.0, math.nan),
]  # fmt: skip


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_special_points(kind: Any, run_op: Callable[..., Any]) -> None:
    y, x, want = (np.array(column, kind) for column in zip(*SPECIAL, strict=True))
    name = "f32" if kind is np.float32 else "f64"
    for sign in (1, -1):
        got = run_op("atan2", name, y * kind(sign), x)
        assert np.array_equal(got, want * kind(sign), equal_nan=True), (got, want)
        numbers = ~np.isnan(want)
        assert np.array_equal(np.signbit(got[numbers]), np.signbit(sign * want[numbers]))
