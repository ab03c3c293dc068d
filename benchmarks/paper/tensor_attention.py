"""Tensor attention against numpy: both the exact and the polynomial one as matrix products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tensor_attention.attend import Array, Polynomials, exact

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """n = 128 with d = 16 exactly, n = 16384 with d = 3 by degree 2; an eighth where `quick`."""
    for type, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
        small = drawn(16 if quick else 128, 16, type)
        large = drawn(2048 if quick else 16384, 3, type)
        q, *others = large
        way = Polynomials(3, 2)
        yield Contest(
            f"exact {type} n={len(small[0])} d=16",
            "numpy",
            lambda small=small: exact(*small),
            lambda small=small: numpy_exact(*small),
            lambda small=small: float(abs(exact(*small) - numpy_exact(*small)).max()),
            tolerance,
        )
        yield Contest(
            f"degree 2 {type} n={len(q)} d=3",
            "numpy",
            lambda q=q, others=others, way=way: way.attend(q, others[:2], others[2:]),
            lambda large=large, way=way: numpy_polynomial(way, *large),
            lambda large=large, way=way: float(
                abs(way.attend(large[0], large[1:3], large[3:]) - numpy_polynomial(way, *large)).max()
            ),
            tolerance,
        )


def drawn(n: int, d: int, type: str) -> list[Array]:
    rng = np.random.default_rng(n)
    return [rng.uniform(-0.5, 0.5, (n, d)).astype(type) for _ in range(5)]


def numpy_exact(q: Array, k1: Array, k2: Array, v1: Array, v2: Array) -> Array:
    d = q.shape[1]
    keys = (k1[:, None] * k2[None, :]).reshape(-1, d)
    values = (v1[:, None] * v2[None, :]).reshape(-1, d)
    scores = q @ keys.T / q.dtype.type(d)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = weights @ values / weights.sum(axis=1, keepdims=True)
    return found


def numpy_polynomial(way: Polynomials, q: Array, k1: Array, k2: Array, v1: Array, v2: Array) -> Array:
    def features(x: Array) -> Array:
        return np.hstack([x, np.ones((len(x), 1), x.dtype)])[:, way.places].prod(axis=2)

    sums = [features(k).T @ np.hstack([v, np.ones((len(v), 1), v.dtype)]) for k, v in ((k1, v1), (k2, v2))]
    joined = (features(q) * way.coefficients.astype(q.dtype)) @ (sums[0] * sums[1])
    found: Array = joined[:, :-1] / joined[:, -1:]
    return found
