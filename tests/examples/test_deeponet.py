"""Random functions, operators and DeepONet's gradients against NumPy, scipy's solvers and torch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp  # type: ignore[import-untyped]
from scipy.interpolate import CubicSpline  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from deeponet.functions import JITTER, PROBLEMS, Functions
from deeponet.network import DeepONet, Plain
from deeponet.study import compare
from networks.kernels import Array, Layers

TARGETS = {"interp": 25, "cpu": 61}
FUNCTIONS = {target: Functions(target, places) for target, places in TARGETS.items()}

both = pytest.mark.parametrize("functions", FUNCTIONS.values(), ids=FUNCTIONS)


@both
def test_functions_have_the_covariance_of_the_process(functions: Functions) -> None:
    """The factor times its transpose is the covariance; 4000 draws have it within 6 standard errors of its estimate."""
    x = np.linspace(0, 1, functions.places)
    covariance = np.exp(-((x[:, None] - x[None, :]) ** 2) / (2 * 0.2**2))
    factor = functions._factor
    np.testing.assert_allclose(factor @ factor.T, covariance + JITTER * np.eye(len(x)), atol=1e-12)
    assert (np.triu(factor, 1) == 0).all()
    if functions is FUNCTIONS["cpu"]:
        u = functions.draw(4000, seed=3)
        deviation = np.sqrt((1 + covariance**2) / 4000)
        assert (np.abs(u.T @ u / 4000 - covariance) < 6 * deviation).all()


@both
@pytest.mark.parametrize("problem", PROBLEMS[:3])
def test_operators_are_those_of_scipys_solver(functions: Functions, problem: str) -> None:
    u = functions.draw(3, seed=1)
    found = functions.solve(u, problem)
    grid = np.linspace(0, 1, functions.places)
    for row in range(3):
        force = CubicSpline(grid, u[row])
        right = {
            "antiderivative": lambda t, y, force=force: [force(t), 0],
            "riccati": lambda t, y, force=force: [force(t) - y[0] ** 2, 0],
            "pendulum": lambda t, y, force=force: [y[1], force(t) - np.sin(y[0])],
        }[problem]
        exact = solve_ivp(right, (0, 1), [0, 0], t_eval=grid[::2], rtol=1e-10, atol=1e-12).y[0]
        np.testing.assert_allclose(found[row], exact, atol=2e-3 if functions.places < 30 else 1e-4)


@both
def test_diffusion_and_reaction_are_those_of_scipys_solver(functions: Functions) -> None:
    u = functions.draw(2, seed=2)[:, :21].copy()
    found = functions.diffuse(u, 5, 80)
    dx = 1 / 20
    for row in range(2):

        def right(t: float, s: Array, row: int = row) -> Array:
            change = np.zeros(21)
            change[1:-1] = 0.01 * np.diff(s, 2) / dx**2 + 0.01 * s[1:-1] ** 2 + u[row, 1:-1]
            return change

        exact = solve_ivp(right, (0, 1), np.zeros(21), t_eval=np.linspace(0, 1, 5), rtol=1e-9, atol=1e-11).y.T
        np.testing.assert_allclose(found[row], exact, atol=2e-3)


def torch_mlp(p: dict[str, torch.Tensor], x: torch.Tensor, depth: int) -> torch.Tensor:
    for place in range(depth):
        x = x @ p[f"w{place}"].T + p[f"b{place}"]
        x = x.relu() if place < depth - 1 else x
    return x


@pytest.mark.parametrize(("target", "type"), [("interp", "f64"), ("cpu", "f32")])
def test_a_deeponet_has_the_loss_and_the_gradients_of_torch(target: str, type: str) -> None:
    layers = Layers(target, type)
    network = DeepONet(layers, sensors=13, dimensions=2, seed=0, width=11)
    rng = np.random.default_rng(1)
    network.bias.values["bias"][...] = 0.3
    u, x, wanted = (rng.standard_normal(shape).astype(layers.dtype) for shape in ((7, 13), (9, 2), (7, 9)))
    y, *kept = network.forward(u, x)
    loss, dy = network.loss(y, wanted)
    network.backward(dy, *kept)
    parts = (network.branch.parameters, network.trunk.parameters, network.bias)
    branch, trunk, bias = (
        {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in part.values.items()} for part in parts
    )
    of_u, of_x = torch_mlp(branch, torch.from_numpy(u), 2), torch_mlp(trunk, torch.from_numpy(x), 3).relu()
    expected = torch.nn.functional.mse_loss(of_u @ of_x.T + bias["bias"], torch.from_numpy(wanted))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for part, theirs in zip(parts, (branch, trunk, bias), strict=True):
        for name, gradient in part.gradients.items():
            leaf = theirs[name].grad
            assert leaf is not None
            np.testing.assert_allclose(gradient, leaf, atol=1e-12 if type == "f64" else 1e-5, err_msg=name)


def test_pairs_are_functions_with_their_place_behind_them() -> None:
    rng = np.random.default_rng(0)
    u, s = rng.standard_normal((5, 37)).astype(np.float32), rng.standard_normal((5, 9)).astype(np.float32)
    x = np.linspace(0, 1, 9, dtype=np.float32)
    f, p = np.array([4, 0, 2], np.int32), np.array([8, 3, 3], np.int32)
    row, wanted = Plain(Layers(), 37, seed=0).rows(u, x, s, f, p)
    np.testing.assert_array_equal(row, np.hstack([u[f], x[p, None]]))
    np.testing.assert_array_equal(wanted[:, 0], s[f, p])


def test_a_deeponet_learns_an_antiderivative_better_than_a_plain_network() -> None:
    ours, plain = compare(Layers(), ["antiderivative"], steps=500, train=150, test=60)
    assert ours.test < 0.1 * ours.variance
    assert ours.test < 0.7 * plain.test
