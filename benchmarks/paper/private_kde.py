"""Exact kernel sums and random features against scipy and numpy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from private_kde.estimators import F64, Floats, GaussianKernel, Kind, exact, kernel

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """20,000 points of d = 8 and 100 queries; 500 points where `quick`."""
    n = 500 if quick else 20_000
    for type, tolerance in (("float32", 1e-4), ("float64", 1e-11)):
        rng = np.random.default_rng(0)
        x, y = (rng.standard_normal((count, 8)).astype(type) for count in (n, 100))
        kinds: tuple[Kind, ...] = ("l1", "l2", "gaussian", "laplacian")
        for kind in kinds:
            ours, theirs = partial(exact, x, y, kind), partial(scipy_sum, x, y, kind)
            yield contest(f"{kind} {type} n={n} d=8", "scipy cdist", ours, theirs, tolerance)
        sketch = GaussianKernel(x, 1.0, 0)
        ours, theirs = partial(our_features, sketch, x), partial(numpy_features, sketch, x)
        yield contest(f"sum of 256 features {type} n={n}", "numpy", ours, theirs, tolerance * 100)


def contest(name: str, library: str, ours: partial[F64], theirs: partial[F64], tolerance: float) -> Contest:
    def error() -> float:
        expected = theirs()
        return float(abs(ours() - expected).max() / abs(expected).max())

    return Contest(name, library, ours, theirs, error, tolerance)


def scipy_sum(x: Floats, y: Floats, kind: Kind) -> F64:
    from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

    metric = {"l1": "cityblock", "l2": "euclidean", "gaussian": "sqeuclidean", "laplacian": "cityblock"}[kind]
    apart = cdist(y, x, metric)
    if kind == "gaussian":
        apart = np.exp(-0.5 * apart)
    elif kind == "laplacian":
        apart = np.exp(-apart)
    found: F64 = apart.sum(axis=1)
    return found


def our_features(sketch: GaussianKernel, x: Floats) -> F64:
    y = np.empty(len(sketch.omega))
    kernel("rff_sum", "cpu", T=x.dtype.name, D=x.shape[1])(x, sketch.omega, sketch.phase, y)
    return y


def numpy_features(sketch: GaussianKernel, x: Floats) -> F64:
    values = np.cos(x @ sketch.omega.T + sketch.phase).sum(axis=0, dtype=np.float64)
    found: F64 = values * np.sqrt(2.0 / len(sketch.omega))
    return found
