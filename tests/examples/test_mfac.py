"""M-FAC against the dense inverse of numpy.linalg, and pruning against sorting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from mfac import reproduce
from mfac.inverse import Dynamic, Static, kernel
from mfac.pruning import by_loss, chosen, gradients, judge

Array = npt.NDArray[np.floating[Any]]
DAMP = 0.01
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
SIZES = [("cpu", 1, 7), ("cpu", 33, 65), ("cpu", 70, 301), ("interp", 35, 40)]


def drawn(m: int, d: int, type: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(m + d)
    return rng.standard_normal((m, d)).astype(type), rng.standard_normal(d).astype(type)


def dense(gradients: Array) -> Array:
    wide = gradients.astype(np.float64)
    return np.linalg.inv(DAMP * np.eye(wide.shape[1]) + wide.T @ wide / len(wide))


def close(found: Array, expected: Array) -> bool:
    return bool(abs(found - expected).max() <= TOLERANCE[found.dtype.name] * abs(expected).max())


@pytest.mark.parametrize("type", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("target", "m", "d"), SIZES)
def test_static_products_and_diagonal_are_those_of_the_inverse(target: str, m: int, d: int, type: str) -> None:
    g, x = drawn(m, d, type)
    static = Static(g, DAMP, target)
    assert close(static.product(x), dense(g) @ x)
    assert close(static.diagonal(), np.diag(dense(g)))


@pytest.mark.parametrize("type", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("target", "m", "d"), SIZES)
def test_dynamic_products_are_those_of_the_inverse(target: str, m: int, d: int, type: str) -> None:
    g, x = drawn(m, d, type)
    assert close(Dynamic(g, DAMP, target).product(x), dense(g) @ x)


def test_replaced_gradients_count_and_the_oldest_go_first() -> None:
    g, x = drawn(37, 50, "float64")
    dynamic = Dynamic(g, DAMP)
    for step in range(40):
        new = np.random.default_rng(step).standard_normal(50)
        dynamic.replace(new)
        g[step % 37] = new
    assert close(dynamic.product(x), dense(g) @ x)


@pytest.mark.parametrize("target", ["cpu", "interp"])
@pytest.mark.parametrize("count", [0, 1, 5, 300, 301])
def test_the_least_scores_are_dropped_and_of_equal_ones_the_first(target: str, count: int) -> None:
    scores = np.random.default_rng(count).integers(0, 20, 301).astype(np.float32)
    dropped = np.empty(301, np.uint8)
    kernel("smallest", target)(count, scores, dropped)
    assert set(np.flatnonzero(dropped)) == set(np.argsort(scores, kind="stable")[:count])


def test_pruning_moves_what_stays_by_the_inverse() -> None:
    data = reproduce.random_examples()
    w = np.random.default_rng(3).standard_normal((3, 9)).astype(np.float32)
    inverse = Static(gradients(data, w).astype(np.float64), DAMP)
    dropped = chosen(w.reshape(-1), inverse.diagonal().astype(np.float32), 0.4) != 0
    delta = np.where(dropped, -w.reshape(-1) / inverse.diagonal(), 0.0)
    expected = np.where(dropped, 0.0, w.reshape(-1) + dense(gradients(data, w)) @ delta)
    found = by_loss(w, inverse, 0.4, True)
    assert abs(found.reshape(-1) - expected).max() < 1e-5


def test_gradients_are_the_differences_of_the_loss() -> None:
    data = reproduce.random_examples()
    w = np.random.default_rng(4).standard_normal((3, 9)).astype(np.float32)
    mean = gradients(data, w).mean(axis=0)
    for place in (0, 13, 26):
        step = np.zeros(27, np.float32)
        step[place] = 0.01
        step = step.reshape(3, 9)
        slope = (judge(data, w + step)[0] - judge(data, w - step)[0]) / 0.02
        assert abs(slope - mean[place]) < 1e-3


def test_the_study_finds_no_distance_from_the_dense_inverse(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "distance from the dense inverse" in capsys.readouterr().out
