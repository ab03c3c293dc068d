"""Private sums against scipy's distances, and the unbiasedness of every private estimator.

Seeds are fixed. With random ones, a test of unbiasedness, which compares means of 200 draws with the truth at 20
queries within `SIGMAS` standard errors, would fail once in about 4000 runs (Student's t).
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from private_kde import reproduce
from private_kde.estimators import (
    Distances,
    EuclideanDistances,
    GaussianKernel,
    Kind,
    classify,
    exact,
    kernel,
    ring_edges,
)

F64 = npt.NDArray[np.float64]
RNG = np.random.default_rng(0)
X, Y = RNG.random((501, 3)), RNG.random((20, 3))
LEVELS = 6
SIGMAS = 4.5
REPEATS = 200


def right(kind: Kind, width: float) -> F64:
    squares, lengths = cdist(Y, X, "sqeuclidean"), cdist(Y, X, "cityblock")
    each = {
        "l1": lengths,
        "l2": np.sqrt(squares),
        "gaussian": np.exp(-squares / (2 * width**2)),
        "laplacian": np.exp(-lengths / width),
    }
    found: F64 = each[kind].sum(axis=1)
    return found


@pytest.mark.parametrize("type", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["l1", "l2", "gaussian", "laplacian"])
def test_exact_sums_are_scipy_s(kind: Kind, type: str) -> None:
    found = exact(X.astype(type), Y.astype(type), kind, 0.7)
    assert np.allclose(found, right(kind, 0.7), rtol=1e-5 if type == "float32" else 1e-12)


def test_both_machines_compute_the_same() -> None:
    x, y = X[:40], Y[:2]
    assert np.allclose(exact(x, y, "gaussian", 0.7), exact(x, y, "gaussian", 0.7, "interp"), rtol=1e-13)
    trees = [Distances(x, 1.0, 3, levels=3, target=target) for target in ("cpu", "interp")]
    assert (trees[0].tree == trees[1].tree).all()
    assert np.allclose(trees[0].query(y), trees[1].query(y), rtol=1e-12)
    sketches = [GaussianKernel(x, 1.0, 3, features=32, target=target) for target in ("cpu", "interp")]
    assert np.allclose(sketches[0].query(y), sketches[1].query(y), rtol=1e-9)


@pytest.mark.parametrize("type", ["float32", "float64"])
def test_a_tree_counts_every_point_once_on_each_level(type: str) -> None:
    x = X.astype(type)
    counts = np.zeros((3, 2 << LEVELS), np.int32)
    kernel("histogram_tree", "cpu", T=type, LEVELS=LEVELS)(0.0, 1.0, x, counts)
    for level in range(LEVELS + 1):
        for column in range(3):
            expected = np.histogram(X[:, column], bins=1 << level, range=(0, 1))[0]
            assert (counts[column, 1 << level : 2 << level] == expected).all()


def rings(y: F64) -> F64:
    """What rings would give without noise: every point counts with the middle of the ring that its leaf is in."""
    edges, leaves = ring_edges(1 << LEVELS, 0.1), 1 << LEVELS
    total = np.zeros(len(y))
    for column in range(X.shape[1]):
        leaf = np.floor(X[:, column] * leaves)
        for q, at in enumerate(y[:, column] * leaves):
            for inner, outer in pairwise(edges):
                count = ((leaf >= np.rint(at + inner)) & (leaf < np.rint(at + outer))).sum()
                count += ((leaf >= np.rint(at - outer)) & (leaf < np.rint(at - inner))).sum()
                total[q] += count * (inner + outer) / 2
    return total / leaves


def within(draws: F64, truth: F64) -> None:
    error = draws.std(axis=0, ddof=1) / len(draws) ** 0.5
    assert (abs(draws.mean(axis=0) - truth) <= SIGMAS * error).all()


def test_the_tree_s_noise_is_unbiased_and_of_the_stated_size() -> None:
    trees = [Distances(X, 0.5, seed, levels=LEVELS) for seed in range(REPEATS)]
    within(np.array([tree.query(Y) for tree in trees]), rings(Y))
    assert trees[0].scale == 3 * (LEVELS + 1) / 0.5
    noise = np.concatenate([tree.tree[:, 1] for tree in trees]) - len(X)
    assert abs(abs(noise).mean() / trees[0].scale - 1) < SIGMAS / len(noise) ** 0.5


def test_rings_are_close_to_the_distances() -> None:
    assert np.allclose(Distances(X, 1e9, 0, levels=LEVELS).query(Y), right("l1", 1.0), rtol=0.05)


def test_gaussian_features_are_unbiased() -> None:
    draws = np.array([GaussianKernel(X, 2.0, 10 * seed, width=0.7).query(Y) for seed in range(REPEATS)])
    within(draws, right("gaussian", 0.7))


def test_projected_distances_are_unbiased_but_for_the_rings() -> None:
    x, y = X - 0.5, Y - 0.5
    options: dict[str, Any] = {"projections": 16, "levels": LEVELS}
    draws = np.array([EuclideanDistances(x, 1e9, 10 * seed, **options).query(y) for seed in range(40)])
    assert np.allclose(draws.mean(axis=0), right("l2", 1.0), rtol=0.1)


def test_the_class_of_the_greatest_mean_wins() -> None:
    similarity, sizes = RNG.random((4, 50)), np.array([1.0, 2.0, 3.0, 4.0])
    assert (classify(similarity, sizes) == (similarity / sizes[:, None]).argmax(axis=0)).all()


@pytest.mark.slow
def test_the_study_s_errors_fall_as_epsilon_grows(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "right" in capsys.readouterr().out
