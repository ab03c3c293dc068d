"""M-FAC: factoring and products against numpy and scipy, by Woodbury's identity where they have no M-FAC."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mfac.inverse import Array, Dynamic, Static, kernel

from benchmarks.paper.contest import Contest

DAMP = 0.01


def contests(quick: bool) -> Iterator[Contest]:
    """m = 256 gradients of d = 8192; an eighth of each where `quick`."""
    from scipy.linalg import cholesky  # type: ignore[import-untyped]

    m, d = (32, 1024) if quick else (256, 8192)
    for type in ("float32", "float64"):
        rng = np.random.default_rng(m)
        g, x = rng.standard_normal((m, d)).astype(type), rng.standard_normal(d).astype(type)
        tolerance = 1e-3 if type == "float32" else 1e-10
        size = f"{type} m={m} d={d}"
        static, dynamic = Static(g, DAMP), Dynamic(g, DAMP)
        s = np.empty((m, m), type)

        def gram(g: Array = g, s: Array = s, type: str = type) -> Array:
            kernel("gram", "cpu", T=type)(g, s)
            return s

        def compared(name: str, library: str, ours, theirs, tolerance: float = tolerance) -> Contest:  # type: ignore[no-untyped-def]
            def error() -> float:
                expected = theirs()
                return float(abs(ours() - expected).max() / abs(expected).max())

            return Contest(name, library, ours, theirs, error, tolerance)

        yield compared(f"gram {size}", "numpy", gram, lambda g=g: g @ g.T)
        yield compared(
            f"replace one gradient {size}",
            "numpy, scipy",
            lambda dynamic=dynamic, g=g: replaced(dynamic, g[0]),
            lambda g=g: np.diag(cholesky(g @ g.T / DAMP + len(g) * np.eye(len(g), dtype=g.dtype))) ** 2,
        )
        yield compared(
            f"product {size}",
            "numpy",
            lambda static=static, x=x: static.product(x),
            lambda v=static.v, q=static.q, x=x: x / x.dtype.type(DAMP) - (v @ x / q) @ v,
        )
        for way in (Static, Dynamic):
            yield compared(
                f"{way.__name__.lower()}: prepare and product {size}",
                "numpy",
                lambda way=way, g=g, x=x: way(g, DAMP).product(x),
                lambda g=g, x=x: woodbury(g, x),
            )


def replaced(dynamic: Dynamic, gradient: Array) -> Array:
    """The pivots after the first gradient made room for itself."""
    dynamic.next = 0
    dynamic.replace(gradient)
    return dynamic.q


def woodbury(g: Array, x: Array) -> Array:
    """F^-1 x by one solve of the size of the number of gradients."""
    m = len(g)
    inner = np.linalg.solve(m * DAMP * np.eye(m, dtype=g.dtype) + g @ g.T, g @ x)
    found: Array = (x - inner @ g) / x.dtype.type(DAMP)
    return found
