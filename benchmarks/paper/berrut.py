"""Berrut's interpolant, the cosine transform and the location of wrong answers against numpy and scipy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from berrut.coding import F64, Code, Floats, berrut, locate

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """32 workers; blocks of 100,000 numbers, 1000 where `quick`."""
    e = 1000 if quick else 100_000
    code = Code(5, 1)
    blocks = np.random.default_rng(0).standard_normal((6, e))
    yield contest(
        f"berrut_eval 6 to 32, e={e}",
        "numpy",
        partial(berrut, code.nodes, blocks, code.points),
        partial(weighed, code, blocks),
    )
    answers = np.random.default_rng(1).standard_normal((4 if quick else 64, 32, 16))
    yield Contest(
        f"spectrum and location, {len(answers)} sets of 32 x 16",
        "numpy",
        partial(locate, answers, 20),
        partial(least_vectors, answers),
        lambda: 0.0,
    )


def contest(name: str, library: str, ours: Callable[[], Floats], theirs: Callable[[], Floats]) -> Contest:
    return Contest(name, library, ours, theirs, lambda: float(abs(ours() - theirs()).max()), 1e-12)


def weighed(code: Code, blocks: F64) -> F64:
    """Weights, then a matrix product."""
    weights = (-1.0) ** np.arange(len(blocks)) / (code.points[:, None] - code.nodes)
    found: F64 = (weights / weights.sum(axis=1, keepdims=True)) @ blocks
    return found


def least_vectors(answers: F64) -> list[F64]:
    """The transform, locator matrices and least singular vectors alone, without the exchange of places."""
    from scipy.fft import dct  # type: ignore[import-untyped]

    found = []
    for each in answers:
        spectrum = dct(each, axis=0, norm="ortho")
        columns = [(spectrum[23 + j : 29 + j] + spectrum[23 - j : 29 - j]).ravel() / 2 for j in range(4)]
        found.append(np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)[2][-1])
    return found
