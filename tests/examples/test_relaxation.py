"""SOR, SSOR-PCG and the bandits against NumPy and SciPy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg  # type: ignore[import-untyped]
import scipy.optimize  # type: ignore[import-untyped]
import scipy.sparse  # type: ignore[import-untyped]
import scipy.sparse.linalg  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from relaxation import reproduce
from relaxation.learning import (
    ARMS,
    Systems,
    best_omega,
    chebyshev,
    costs,
    drawn,
    solve,
    tsallis,
    tsallis_probabilities,
)

Array = npt.NDArray[np.floating[Any]]
SEEDS = np.arange(3, dtype=np.uint64)


def matrix(grid: int, c: float) -> Array:
    line = scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(grid, grid))
    plane: Array = scipy.sparse.kronsum(line, line).toarray() + c * np.eye(grid * grid)
    return plane


def sor(a: Array, b: Array, omega: float, tolerance: float) -> int:
    """Sweeps, by the formula x += (D / omega + L)^-1 (b - A x)."""
    lower = np.tril(a, -1) + np.diag(np.diag(a)) / omega
    x, sweeps = np.zeros_like(b), 0
    while np.linalg.norm(b - a @ x) >= tolerance * np.linalg.norm(b):
        x += scipy.linalg.solve_triangular(lower, b - a @ x, lower=True)
        sweeps += 1
    return sweeps


def pcg(a: Array, b: Array, omega: float, tolerance: float) -> int:
    """Steps of SciPy's conjugate gradients with the SSOR matrix as preconditioner."""
    lower = np.tril(a, -1) + np.diag(np.diag(a)) / omega
    inverse = np.linalg.inv(lower @ np.diag(1.0 / np.diag(a)) @ lower.T)
    steps = 0

    def count(_: Array) -> None:
        nonlocal steps
        steps += 1

    scipy.sparse.linalg.cg(a, b, rtol=tolerance, M=inverse, callback=count)
    return steps


@pytest.mark.parametrize(
    ("target", "type", "tolerance"), [("cpu", "f8", 1e-8), ("cpu", "f4", 1e-3), ("interp", "f8", 0.3)]
)
@pytest.mark.parametrize(("solver", "steps"), [("sor_solve", sor), ("ssor_pcg", pcg)])
def test_solvers_take_the_steps_of_their_formulas(
    target: str, type: str, tolerance: float, solver: Any, steps: Any
) -> None:
    systems = drawn(19, easy=True, seed=2, grid=5)
    systems = Systems(systems.b.astype(type), systems.c.astype(type))
    omega = np.random.default_rng(0).uniform(1.0, 1.95, 19)
    x, counts = solve(systems, omega, tolerance, solver, target)
    for i in range(19):
        a, b = matrix(5, systems.c[i]), systems.b[i].astype(np.float64)
        assert np.linalg.norm(b - a @ x[i]) <= 1.05 * tolerance * np.linalg.norm(b)
        assert abs(counts[i] - steps(a, b, omega[i], tolerance)) <= (1 if type == "f4" else 0)


def test_a_right_side_of_zeros_takes_no_sweeps() -> None:
    x, counts = solve(Systems(np.zeros((3, 25)), np.zeros(3)), np.full(3, 1.5), 1e-8)
    assert (x == 0).all() and (counts == 0).all()


@pytest.mark.parametrize("target", ["cpu", "interp"])
@pytest.mark.parametrize("eta", [2.0, 0.3, 0.01])
def test_probabilities_of_tsallis_minimize_the_regularized_loss(target: str, eta: float) -> None:
    k = np.random.default_rng(1).uniform(0, 50, 20)
    p = tsallis_probabilities(k, eta, target)
    shift = scipy.optimize.brentq(
        lambda x: (4 / (eta * (k - x)) ** 2).sum() - 1, k.min() - 20 / eta, k.min() - 1 / eta, xtol=1e-14
    )
    assert np.allclose(p, 4 / (eta * (k - shift)) ** 2, rtol=1e-9)


@pytest.mark.slow
def test_bandits_draw_the_same_arms_on_both_machines() -> None:
    systems = drawn(12, easy=False, seed=3, grid=4)
    table = costs(systems, 1e-3)
    assert (tsallis(table, SEEDS) == tsallis(table, SEEDS, "interp")).all()
    assert (chebyshev(systems, table, SEEDS) == chebyshev(systems, table, SEEDS, target="interp")).all()


def test_tsallis_finds_the_best_arm_without_context() -> None:
    table = np.tile(np.linspace(30, 11, 20).astype(np.int32), (4000, 1))
    late = tsallis(table, SEEDS)[:, 3000:]
    assert table[0][late].mean() < 14


def test_chebyshev_finds_the_best_arm_of_each_context() -> None:
    systems = Systems(np.zeros((3000, 16)), np.random.default_rng(5).uniform(-0.15, 0.45, 3000))
    best = ((systems.c + 0.15) / 0.6 * 19).round().astype(int)
    table = (10 + abs(np.arange(20)[None, :] - best[:, None])).astype(np.int32)
    late = chebyshev(systems, table, SEEDS)[:, 2000:]
    mean = np.take_along_axis(table[None, 2000:], late[:, :, None], axis=2).mean()
    assert mean < 12.5 < table.mean(axis=0).min()


def test_the_best_omega_is_where_the_radius_of_sor_is_least() -> None:
    systems = Systems(np.zeros((1, 25)), np.array([0.1]))
    a = matrix(5, 0.1)

    def radius(omega: float) -> float:
        lower = np.tril(a, -1) + np.diag(np.diag(a)) / omega
        return float(abs(np.linalg.eigvals(np.eye(25) - np.linalg.solve(lower, a))).max())

    found = best_omega(systems)[0]
    assert radius(found) <= min(radius(omega) for omega in ARMS) + 1e-6


def test_the_study_compares_with_the_best_fixed_omega(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "best fixed omega" in capsys.readouterr().out
