"""The network against torch, the method against scipy's conjugate gradients and direct solves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse  # type: ignore[import-untyped]
import scipy.sparse.linalg  # type: ignore[import-untyped]
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from dcdm.network import F32, Network, loss_and_gradient, train
from dcdm.reproduce import conjugate_gradients, main, obstacle
from dcdm.solver import Mask, apply_a, solve

RNG = np.random.default_rng(0)
SMALL = {"channels": 8, "levels": 1}


def torch_network(weights: list[torch.Tensor], x: torch.Tensor, levels: int) -> torch.Tensor:
    """The network as torch writes it; weights [9, in, out], x [s, h, w]."""

    def conv(h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        taps = w.reshape(3, 3, w.shape[1], w.shape[2]).permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(h, taps, padding=1)

    rest = iter(weights)
    h = torch.relu(conv(x[:, None], next(rest)))
    skips = []
    for _ in range(levels):
        skips.append(h)
        h = torch.nn.functional.avg_pool2d(h, 2)
        h = h + torch.relu(conv(h, next(rest)))
    h = h + torch.relu(conv(h, next(rest)))
    while skips:
        h = torch.nn.functional.interpolate(h, scale_factor=2) + skips.pop()
        h = h + torch.relu(conv(h, next(rest)))
    return conv(h, next(rest))[:, 0]


def torch_loss(weights: list[torch.Tensor], b: F32, mask: Mask, levels: int) -> torch.Tensor:
    q = torch_network(weights, torch.from_numpy(b), levels) * torch.from_numpy(mask)
    p = torch.nn.functional.pad(q, (1, 1, 1, 1))
    aq = 4 * q - p[:, :-2, 1:-1] - p[:, 2:, 1:-1] - p[:, 1:-1, :-2] - p[:, 1:-1, 2:]
    aq = aq * torch.from_numpy(mask)
    sides = torch.from_numpy(b)
    alpha = (q * sides).sum(dim=(1, 2)) / (q * aq).sum(dim=(1, 2))
    return ((sides - alpha[:, None, None] * aq) ** 2).sum()


def sides(count: int, mask: Mask) -> F32:
    b = RNG.standard_normal((count, *mask.shape)).astype(np.float32) * mask
    unit: F32 = b / np.linalg.norm(b.reshape(count, -1), axis=1)[:, None, None]
    return unit


@pytest.mark.parametrize(
    ("target", "shape"), [("cpu", (8, 20)), pytest.param("interp", (4, 4), marks=pytest.mark.slow)]
)
def test_loss_and_gradient_are_torch_s(target: str, shape: tuple[int, int]) -> None:
    network = Network(**SMALL, seed=1, target=target)
    mask = np.ones(shape, np.uint8)
    mask[1, 2] = mask[3, 3] = 0
    b = sides(2, mask)
    weights = [torch.tensor(w, requires_grad=True) for w in network.weights]
    expected = torch_loss(weights, b, mask, 1)
    expected.backward()  # type: ignore[no-untyped-call]
    loss, gradient = loss_and_gradient(network, b, mask)
    assert abs(loss * 2 - expected.item()) < 1e-5
    for found, w in zip(gradient, weights, strict=True):
        assert w.grad is not None
        assert np.allclose(found, w.grad.numpy(), rtol=1e-3, atol=1e-4 * abs(found).max())


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_a_is_the_five_point_laplacian_of_what_the_mask_keeps(target: str) -> None:
    mask = obstacle(9)
    x = RNG.standard_normal((1, 9, 9)).astype(np.float32) * mask
    line = scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(9, 9))
    expected = (scipy.sparse.kronsum(line, line) @ x[0].ravel()).reshape(9, 9) * mask
    assert abs(apply_a(x, mask, target)[0] - expected).max() < 1e-5


@pytest.mark.parametrize(("size", "masked"), [(13, False), (20, True)])
def test_with_the_residual_as_direction_it_is_conjugate_gradients(size: int, masked: bool) -> None:
    mask = obstacle(size) if masked else np.ones((size, size), np.uint8)
    b = sides(1, mask)[0]
    _, found = solve(lambda r: r, b, mask, tolerance=1e-4)
    assert abs(len(found) - conjugate_gradients(b, mask, 1e-4)) <= 1


@pytest.mark.slow
def test_the_study_s_network_takes_fewer_iterations_than_conjugate_gradients(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick"]) == 0
    assert "conjugate gradients" in capsys.readouterr().out


def test_the_solution_is_right_beside_an_obstacle() -> None:
    network = Network(channels=8, levels=2, seed=1)
    losses = train(network, 16, 200, batch=4)
    assert np.mean(losses[-20:]) < 0.2 * np.mean(losses[:20])
    mask = obstacle(16)
    b = sides(1, mask)[0]
    x, found = solve(network, b, mask, tolerance=1e-4)
    assert found[-1] <= 1e-4 and (x[mask == 0] == 0).all()
    assert np.linalg.norm(b - apply_a(x[None], mask)[0]) <= 1.1e-4 * np.linalg.norm(b)
