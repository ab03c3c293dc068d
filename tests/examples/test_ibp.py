"""Interval bounds against torch, sampled points and enumeration; tightness against NumPy and the paper's limit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from ibp import embedding, study, tightness
from ibp.boxes import Box, Certified, Ibp, convolution, linear, relu
from networks.kernels import Array, Layers
from networks.mlp import Mlp

CASES = [("interp", "f64"), ("cpu", "f32")]
IBP = {case: Ibp(Layers(*case)) for case in CASES}
CPU = IBP["cpu", "f32"]

cases = pytest.mark.parametrize("ibp", IBP.values(), ids=["-".join(case) for case in CASES])


def normal(ibp: Ibp, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(ibp.layers.dtype)


def close(ibp: Ibp) -> float:
    return 1e-12 if ibp.layers.type == "f64" else 2e-5


def small(ibp: Ibp) -> tuple[Mlp, Array, Array]:
    """A perceptron of three matrices whose widths no tile divides, inputs and targets."""
    network = Mlp(ibp.layers, (13, 21, 11, 5), seed=1)
    for place in range(3):
        network.parameters.values[f"b{place}"][...] = normal(ibp, (21, 11, 5)[place], seed=place) / 3
    return network, normal(ibp, 7, 13), (np.arange(7) % 5).astype(np.int32)


@cases
def test_a_convolution_of_boxes_is_that_of_torch(ibp: Ibp) -> None:
    c, r, w, b = normal(ibp, 2, 3, 7, 5), abs(normal(ibp, 2, 3, 7, 5, seed=1)), normal(ibp, 4, 3, 3, 3), normal(ibp, 4)
    found = convolution(ibp, Box(c, r), w, b)
    tc, tr, tw, tb = map(torch.from_numpy, (c, r, w, b))
    np.testing.assert_allclose(found.c, functional.conv2d(tc, tw, tb, padding=1), atol=close(ibp) * 10)
    np.testing.assert_allclose(found.r, functional.conv2d(tr, tw.abs(), padding=1), atol=close(ibp) * 10)


def torch_worst(p: dict[str, torch.Tensor], x: torch.Tensor, radius: float, targets: torch.Tensor) -> torch.Tensor:
    """Worst logits by torch: bounds below and above instead of centre and radius."""
    low, high = x - radius, x + radius
    for place in (0, 1):
        w, b = p[f"w{place}"], p[f"b{place}"]
        plus, minus = w.clamp(min=0), w.clamp(max=0)
        low, high = (low @ plus.T + high @ minus.T + b).relu(), (high @ plus.T + low @ minus.T + b).relu()
    apart = p["w2"][None] - p["w2"][targets][:, None]
    bias = p["b2"][None] - p["b2"][targets][:, None]
    worst = torch.einsum("bkn,bn->bk", apart.clamp(min=0), high) + torch.einsum("bkn,bn->bk", apart.clamp(max=0), low)
    return worst + bias


@cases
def test_worst_logits_and_their_gradients_are_those_of_torch(ibp: Ibp) -> None:
    network, x, targets = small(ibp)
    certified = Certified(ibp, network)
    found = certified.propagate(x, 0.1, targets)
    p = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in network.parameters.values.items()}
    worst = torch_worst(p, torch.from_numpy(x), 0.1, torch.from_numpy(targets).long())
    np.testing.assert_allclose(found.worst, worst.detach(), atol=close(ibp) * 10)
    loss = functional.cross_entropy(worst, torch.from_numpy(targets).long())
    loss.backward()
    ours, g = network.loss(found.worst, targets)
    assert ours == pytest.approx(loss.item(), rel=1e-5)
    for name, gradient in certified.backward(found, g, targets).items():
        expected = p[name].grad
        assert expected is not None
        np.testing.assert_allclose(gradient, expected, atol=close(ibp) * 10, err_msg=name)


@cases
def test_no_sampled_point_leaves_its_box_or_beats_the_worst_logits(ibp: Ibp) -> None:
    network, x, targets = small(ibp)
    radius = 0.3
    found = Certified(ibp, network).propagate(x, radius, targets)
    rng = np.random.default_rng(3)
    p = network.parameters.values
    for corner in (False, True):
        noise = rng.uniform(-1, 1, (400, *x.shape))
        points = x + radius * (np.sign(noise) if corner else noise)
        hidden = points
        for place, box in enumerate(found.before):
            before = hidden @ p[f"w{place}"].T + p[f"b{place}"]
            assert (np.abs(before - box.c) <= box.r + 1e-4).all()
            hidden = np.maximum(before, 0)
        logits = hidden @ p["w2"].T + p["b2"]
        above = logits - np.take_along_axis(logits, targets[None, :, None].astype(int), axis=2)
        assert (above <= found.worst + 1e-4).all()


def test_boxes_through_one_layer_and_a_relu_are_exact() -> None:
    """Every corner of a box in three dimensions: the greatest and the least of each output are the box's ends."""
    c, r, w, b = (normal(CPU, *shape) for shape in ((1, 3), (1, 3), (6, 3), (6,)))
    r = np.abs(r)
    before = linear(CPU, Box(c, r), w, b)
    after = relu(CPU, before)
    corners = c + r * np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    outputs = np.maximum(corners @ w.T + b, 0)
    np.testing.assert_allclose(after.c + after.r, outputs.max(axis=0)[None], atol=1e-5)
    np.testing.assert_allclose(after.c - after.r, outputs.min(axis=0)[None], atol=1e-5)


@cases
def test_tightness_of_linear_networks_is_that_of_numpy_and_1_without_signs(ibp: Ibp) -> None:
    matrices = [normal(ibp, *shape, seed=seed) for seed, shape in enumerate([(21, 13), (17, 21), (5, 17)])]
    exact = np.abs(matrices[2] @ matrices[1] @ matrices[0]).sum(axis=1)
    bound = (np.abs(matrices[2]) @ np.abs(matrices[1]) @ np.abs(matrices[0])).sum(axis=1)
    np.testing.assert_allclose(tightness.of_matrices(ibp, matrices), exact / bound, rtol=1e-5)
    np.testing.assert_allclose(tightness.of_matrices(ibp, [np.abs(w) for w in matrices]), 1, rtol=1e-5)


@cases
def test_local_tightness_follows_the_gradients_of_torch(ibp: Ibp) -> None:
    network, x, _ = small(ibp)
    p = {name: torch.from_numpy(value) for name, value in network.parameters.values.items()}
    h1 = (torch.from_numpy(x) @ p["w0"].T + p["b0"] > 0).to(p["w0"].dtype)
    tx = torch.from_numpy(x)
    first = torch.relu(tx @ p["w0"].T + p["b0"])
    h2 = (first @ p["w1"].T + p["b1"] > 0).to(p["w0"].dtype)

    def logits(row: torch.Tensor) -> torch.Tensor:
        one = torch.relu(row @ p["w0"].T + p["b0"])
        return torch.relu(one @ p["w1"].T + p["b1"]) @ p["w2"].T

    found = tightness.of_network(ibp, network, x)
    for row in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(logits, tx[row])
        bound = (p["w2"].abs() * h2[row]) @ (p["w1"].abs() * h1[row]) @ p["w0"].abs()
        expected = jacobian.abs().sum(dim=1) / bound.sum(dim=1)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4)


def test_tightness_at_the_start_is_the_papers_limit() -> None:
    mean, spread = study.at_start(CPU, 64, 2, seeds=8)
    assert mean == pytest.approx(study.foretold(64), rel=0.06)
    assert spread < 0.02
    deeper, _ = study.at_start(CPU, 64, 3, seeds=8)
    assert deeper < mean / 3


def test_training_by_boxes_tightens_them() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(1800) % 10).astype(np.int32)
    images = (rng.standard_normal((10, 64))[labels] * 0.5 + rng.standard_normal((1800, 64)) * 0.3).astype(np.float32)
    digits = study.Digits(images, labels)
    plain, boxes = (study.train(CPU.layers, digits, 24, 3, by_boxes, epochs=14) for by_boxes in (False, True))
    assert boxes.tightness > 1.3 * plain.tightness
    assert boxes.certified > plain.certified
    assert plain.accuracy > 0.9


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_principal_directions_are_eigenvectors_of_the_covariance(target: str) -> None:
    rows = np.random.default_rng(4).standard_normal((50, 9)) @ np.diag(np.arange(1.0, 10.0))
    directions, variance = embedding.principal(rows, target)
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    np.testing.assert_allclose(variance, values[::-1], rtol=1e-12)
    np.testing.assert_allclose(abs(directions @ vectors[:, ::-1]), np.eye(9), atol=1e-9)


@cases
def test_boxes_through_an_embedding_are_those_of_numpy(ibp: Ibp) -> None:
    rows = np.random.default_rng(5).standard_normal((40, 12)).astype(np.float32)
    directions, _ = embedding.principal(rows)
    found = embedding.embedded(ibp, rows, 5)
    w = directions[:5]
    centred = rows - rows.mean(axis=0)
    assert found.lost == pytest.approx(((centred - centred @ w.T @ w) ** 2).sum() / (centred**2).sum(), rel=1e-5)
    assert found.radius == pytest.approx((abs(w.T) @ abs(w)).sum(axis=1).mean(), rel=1e-5)
    share = abs(w.T @ w).sum(axis=1) / (abs(w.T) @ abs(w)).sum(axis=1)
    assert found.tightness == pytest.approx(share.mean(), rel=1e-5)
