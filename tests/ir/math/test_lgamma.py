"""lgamma of negative numbers against mpmath: between the poles, where it has zeros that no formula spares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf


@pytest.mark.parametrize(("kind", "least"), [("f32", 0.0), ("f64", 0.25)])
def test_negative_arguments(kind: str, least: float, run_op: Callable[..., Any]) -> None:
    """f32 within one unit in the last place; f64 within one unit of the last place of max(|result|, 1/4)."""
    dtype = np.dtype(np.float32 if kind == "f32" else np.float64)
    rng = np.random.default_rng(13)
    zeros = [-2.4570247382208006, -2.7476826467274127, -3.1435808883499798, -3.955294284858598]
    near = np.concatenate([zero + rng.normal(0, 1, 100) * 10.0 ** rng.uniform(-16, -2, 100) for zero in zeros])
    x = np.concatenate([-rng.uniform(0, 2, 800), -rng.uniform(2, 12, 800), -rng.uniform(12, 120, 400), near]).astype(
        dtype
    )
    x = x[x != np.rint(x)]
    got = run_op("lgamma", kind, x)
    info = np.finfo(dtype)
    with mp.workprec(200):
        for value, result in zip(x.tolist(), got.tolist(), strict=True):
            exact = mp.log(abs(mpmath.gamma(mpf(value))))
            unit = mpf(2) ** (int(mp.frexp(max(abs(exact), least))[1]) - 1 - info.nmant)
            assert abs(exact - mpf(result)) < unit, (value, result, float(exact))
