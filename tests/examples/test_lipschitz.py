"""Bounds of gradients against enumeration with linear programs, sampled points, and torch."""

from __future__ import annotations

import sys
from functools import cache
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linprog  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from lipschitz.bounds import WAYS, Cases, Lipschitz, Network
from lipschitz.search import divide
from networks.kernels import Array, Layers

CASES = [("interp", "f64"), ("cpu", "f32")]
cases = pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES])

RADIUS = 0.25


@cache
def make(case: tuple[str, str], sizes: tuple[int, ...] = (5, 7, 6, 3)) -> Lipschitz:
    layers = Layers(*case)
    rng = np.random.default_rng(4)
    pairs = list(pairwise(sizes))
    w = tuple(rng.normal(0, inputs**-0.5, (outputs, inputs)).astype(layers.dtype) for inputs, outputs in pairs)
    b = tuple(rng.normal(0, 0.2, outputs).astype(layers.dtype) for _, outputs in pairs)
    return Lipschitz(layers, Network(w, b))


def centre(lipschitz: Lipschitz, count: int = 1) -> Array:
    inputs = lipschitz.network.w[0].shape[1]
    return np.random.default_rng(5).standard_normal((count, inputs)).astype(lipschitz.layers.dtype)


def points(x: Array, radius: float, count: int = 3000) -> Array:
    noise = np.random.default_rng(6).uniform(-1, 1, (count, x.shape[1]))
    noise[::2] = np.sign(noise[::2])
    return (x + radius * noise).astype(x.dtype)


def patterns(box: Cases) -> list[tuple[Array, ...]]:
    """All ways in which the units of the first box may be on: those that its bounds leave open."""
    low, high = (np.concatenate([a[0] for a in sides]) for sides in (box.low, box.high))
    free = np.flatnonzero((low < 0) & (high > 0))
    sizes = np.cumsum([a.shape[1] for a in box.low])[:-1]
    found = []
    for bits in product((0, 1), repeat=len(free)):
        on = (low >= 0).astype(int)
        on[free] = bits
        found.append(tuple(np.split(on, sizes)))
    return found


def norm_of(network: Network, on: tuple[Array, ...], k: int) -> float:
    g = network.w[-1][k].astype(np.float64)
    for w, mask in zip(reversed(network.w[:-1]), reversed(on), strict=True):
        g = (g * mask) @ w
    return float(np.abs(g).sum())


def reachable(network: Network, on: tuple[Array, ...], x: Array, radius: float) -> bool:
    """Whether some input of the box has this pattern: a linear program without a cost."""
    a, bias = np.eye(x.shape[1]), np.zeros(x.shape[1])
    rows, limits = [], []
    for w, b, mask in zip(network.w[:-1], network.b[:-1], on, strict=True):
        a, bias = w @ a, w @ bias + b
        sign = np.where(mask, -1.0, 1.0)
        rows.append(sign[:, None] * a)
        limits.append(-sign * bias)
        a, bias = mask[:, None] * a, mask * bias
    sides = list(zip(x[0] - radius, x[0] + radius, strict=True))
    found = linprog(np.zeros(x.shape[1]), A_ub=np.concatenate(rows), b_ub=np.concatenate(limits), bounds=sides)
    return bool(found.status == 0)


@cache
def reached() -> list[tuple[Array, ...]]:
    """The patterns that some input of the box has; the same in all cases, found in double precision."""
    lipschitz = make(("interp", "f64"))
    x = centre(lipschitz)
    return [on for on in patterns(lipschitz.boxes(x, RADIUS)) if reachable(lipschitz.network, on, x, RADIUS)]


@cases
def test_forward_bounds_hold_at_all_points_and_are_exact_for_the_first_layer(case: tuple[str, str]) -> None:
    lipschitz = make(case)
    x = centre(lipschitz, 3)
    box = lipschitz.boxes(x, RADIUS)
    w, b = lipschitz.network.w, lipschitz.network.b
    reach = RADIUS * np.abs(w[0]).sum(axis=1)
    np.testing.assert_allclose(box.high[0], x @ w[0].T + b[0] + reach, atol=1e-5)
    np.testing.assert_allclose(box.low[0], x @ w[0].T + b[0] - reach, atol=1e-5)
    for place in range(3):
        inside = points(x[place : place + 1], RADIUS)
        z = np.maximum(inside @ w[0].T + b[0], 0) @ w[1].T + b[1]
        assert (z <= box.high[1][place] + 1e-5).all()
        assert (z >= box.low[1][place] - 1e-5).all()


@cases
def test_forward_bounds_are_those_of_a_linear_program(case: tuple[str, str]) -> None:
    """CROWN's relaxation has the same chord above as the triangle of the linear program, and one line below; where no
    coefficient meets that line the two bounds are equal, elsewhere CROWN's is no smaller.
    """
    lipschitz = make(case, (4, 6, 5, 2))
    x = centre(lipschitz)
    box = lipschitz.boxes(x, RADIUS)
    w, b = lipschitz.network.w, lipschitz.network.b
    low, high = box.low[0][0], box.high[0][0]
    open = (low < 0) & (high > 0)
    assert open.any()
    slope = np.where(open, high / np.maximum(high - low, 1e-30), (low >= 0).astype(float))
    shift = np.where(open, -slope * low, 0)
    eye = np.eye(6)
    above = np.hstack([-slope[:, None] * w[0], eye])
    below = np.hstack([w[0], -eye])[high > 0]
    limits = np.concatenate([slope * b[0] + shift, -b[0][high > 0]])
    sides = [*zip(x[0] - RADIUS, x[0] + RADIUS, strict=True), *[(0, None)] * 6]
    for unit in range(5):
        cost = np.concatenate([np.zeros(4), -w[1][unit]])
        found = linprog(cost, A_ub=np.vstack([above, below]), b_ub=limits, bounds=sides)
        exact = b[1][unit] - found.fun
        assert box.high[1][0, unit] >= exact - 1e-4
        if (w[1][unit][open] >= 0).all():
            assert box.high[1][0, unit] == pytest.approx(exact, abs=1e-4)


@cases
def test_bounds_lie_in_their_order_around_the_exact_constant(case: tuple[str, str]) -> None:
    lipschitz = make(case)
    x = centre(lipschitz)
    box = lipschitz.boxes(x, RADIUS)
    for k in range(3 if case[0] == "cpu" else 1):
        sampled = lipschitz.at(points(x, RADIUS), k).max()
        exact = max(norm_of(lipschitz.network, on, k) for on in reached())
        bounds = [float(lipschitz.norm(box, k, way).most[0]) for way in WAYS]
        chain = [float(sampled), exact, *bounds]
        assert all(a <= b * (1 + 1e-5) for a, b in pairwise(chain)), chain
        assert bounds[0] < bounds[2]


@cases
def test_a_search_to_its_end_finds_the_greatest_norm_of_all_patterns(case: tuple[str, str]) -> None:
    lipschitz = make(case)
    box = lipschitz.boxes(centre(lipschitz), RADIUS)
    exact = max(norm_of(lipschitz.network, on, 1) for on in patterns(box))
    if case[0] == "interp":
        assert divide(lipschitz, box, 1, limit=3).most >= exact
        return
    found = divide(lipschitz, box, 1, limit=10_000)
    assert found.complete
    assert found.most == pytest.approx(exact, rel=1e-4)
    short = divide(lipschitz, box, 1, limit=5, batch=1)
    assert not short.complete
    assert found.most <= short.most <= float(lipschitz.norm(box, 1, "chords").most[0]) * (1 + 1e-6)


@cases
def test_norms_at_points_are_those_of_torch(case: tuple[str, str]) -> None:
    lipschitz = make(case)
    x = torch.from_numpy(centre(lipschitz, 9)).requires_grad_()
    h = x
    for place, (w, b) in enumerate(zip(lipschitz.network.w, lipschitz.network.b, strict=True)):
        h = h @ torch.from_numpy(w).T + torch.from_numpy(b)
        h = h.relu() if place < 2 else h
    (gradient,) = torch.autograd.grad(h[:, 2].sum(), x)
    np.testing.assert_allclose(lipschitz.at(x.detach().numpy(), 2), gradient.abs().sum(dim=1), rtol=1e-5)


def test_a_box_without_unstable_units_has_its_constant_exactly() -> None:
    lipschitz = make(("interp", "f64"))
    x = centre(lipschitz)
    box = lipschitz.boxes(x, 1e-6)
    for way in WAYS:
        np.testing.assert_allclose(lipschitz.norm(box, 0, way).most, lipschitz.at(x, 0), rtol=1e-9)


def test_a_way_that_is_none_is_refused() -> None:
    lipschitz = make(("interp", "f64"))
    with pytest.raises(ValueError, match="'magic' is none of chords, recurjac, intervals"):
        lipschitz.norm(lipschitz.boxes(centre(lipschitz), 0.1), 0, "magic")
