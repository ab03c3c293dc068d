"""Rounding by DiscQuant, GPTQ and to nearest against NumPy, torch's gradients and scipy's linear programs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg  # type: ignore[import-untyped]
from scipy.optimize import linprog  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from discquant import rotation, vertex
from discquant.descent import Places, Plan, kl
from discquant.gptq import round_matrix
from discquant.grid import Grid, Quantizer, plain
from discquant.products import Interpolated, Served
from discquant.study import Sizes, Study
from networks.kernels import Array, Layers
from networks.transformer import Shape, Transformer

QUANTIZERS = {target: Quantizer(target) for target in ("interp", "cpu")}
CPU = QUANTIZERS["cpu"]

both = pytest.mark.parametrize("quantizer", QUANTIZERS.values(), ids=QUANTIZERS)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def places(w: Array, grid: Grid) -> tuple[Array, Array]:
    """Where weights lie between the codes of their row's grid, and the scales, from the definition."""
    group = grid.group or w.shape[1]
    most = np.abs(w.reshape(len(w), -1, group)).max(axis=2)
    scale = (most * np.float32(2 / (2**grid.bits - 1))).astype(np.float16)
    each = np.repeat(scale.astype(np.float32), group, axis=1)
    return w / each + np.float32(2 ** (grid.bits - 1)), scale


@both
@pytest.mark.parametrize("grid", [Grid(2), Grid(3, group=25)], ids=["u2", "u3"])
def test_codes_and_neighbours_are_those_of_the_definition(quantizer: Quantizer, grid: Grid) -> None:
    w = normal(11, 75)
    place, scale = places(w, grid)
    top = 2**grid.bits - 1
    nearest = quantizer.nearest(w, grid)
    found = quantizer.neighbours(w, grid)
    np.testing.assert_array_equal(nearest.scale, scale)
    np.testing.assert_array_equal(plain(nearest, w.shape), np.clip(np.rint(place), 0, top))
    low, high = np.clip(np.floor(place), 0, top), np.clip(np.ceil(place), 0, top)
    np.testing.assert_allclose(found.y, np.where(high > low, place - low, 0.5), atol=1e-6)
    np.testing.assert_array_equal(plain(quantizer.choose(np.zeros_like(w), found), w.shape), low)
    np.testing.assert_array_equal(plain(quantizer.choose(np.ones_like(w), found), w.shape), high)
    exact = np.where(high > low, found.y, 0)
    np.testing.assert_array_equal(plain(quantizer.choose(exact, found), w.shape), np.where(exact > 0.5, high, low))


@both
def test_interpolated_products_have_the_gradients_of_torch(quantizer: Quantizer) -> None:
    grid = Grid(3, group=64)
    w, a, dy, x = normal(9, 128), normal(13, 128, seed=1), normal(13, 9, seed=2), np.abs(normal(9, 128, seed=3)) % 1
    matrix = quantizer.neighbours(w, grid)
    low, high = (plain(quantizer.choose(np.full_like(w, end), matrix), w.shape) for end in (0, 1))
    scale = torch.from_numpy(np.repeat(matrix.scale.astype(np.float64), 64, axis=1))
    tx, ta = (torch.from_numpy(array.astype(np.float64)).requires_grad_() for array in (x, a))
    down, up = (torch.from_numpy(codes.astype(np.float64)) for codes in (low, high))
    y = ta @ (((1 - tx) * down + tx * up - 4) * scale).T
    y.backward(torch.from_numpy(dy.astype(np.float64)))
    products = Interpolated(quantizer, {"w": matrix}, {"w": x})
    dx = np.empty_like(w)
    assert tx.grad is not None and ta.grad is not None
    np.testing.assert_allclose(products.forward(a, w, "w"), y.detach(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(products.backward(dy, a, w, "w", dx), ta.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dx, tx.grad, rtol=1e-4, atol=1e-4)


@both
def test_the_divergence_and_its_gradient_are_those_of_torch(quantizer: Quantizer) -> None:
    p, q = normal(11, 29) * 3, normal(11, 29, seed=1) * 3
    leaf = torch.from_numpy(q.astype(np.float64)).requires_grad_()
    wanted = torch.from_numpy(p.astype(np.float64)).log_softmax(1)
    expected = torch.nn.functional.kl_div(leaf.log_softmax(1), wanted, reduction="batchmean", log_target=True)
    expected.backward()
    found, gradient = kl(quantizer, p, q)
    assert leaf.grad is not None
    assert found == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, leaf.grad, atol=1e-6)


@both
def test_a_step_down_is_that_of_torch_and_stays_between_the_codes(quantizer: Quantizer) -> None:
    plan = Plan(steps=3, rate=0.3, most=0.4, warm=1)
    ours = Places({"w": (5, 15)}, quantizer, seed=2)
    start = ours.flat.copy()
    assert start.min() >= 0 and start.max() < 1 and 0.4 < start.mean() < 0.6
    ours.y["w"][...] = np.abs(normal(5, 15)) % 1
    gradient = normal(5, 15, seed=1)
    ours.gradients["w"][...] = gradient
    theirs = torch.from_numpy(start.reshape(5, 15)).requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.3)
    theirs.grad = torch.from_numpy(1 - 2 * ours.y["w"] + np.clip(2 * gradient, -0.4, 0.4))
    optimizer.step()  # type: ignore[no-untyped-call]
    ours.step(plan, 0, 2.0)
    np.testing.assert_allclose(ours.x["w"], theirs.detach().clamp(0, 1), atol=1e-5)


# GPTQ


def textbook_gptq(w: Array, h: Array, grid: Grid) -> Array:
    """Algorithm 1 of the paper without its blocks, in float64 with numpy.linalg."""
    damped = h.astype(np.float64) + 0.01 * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(damped)).T
    t, top, zero = w.astype(np.float64), 2**grid.bits - 1, 2 ** (grid.bits - 1)
    _, scale = places(w, grid)
    each = np.repeat(scale.astype(np.float64), w.shape[1] // scale.shape[1], axis=1)
    codes = np.empty(w.shape)
    for j in range(w.shape[1]):
        codes[:, j] = np.clip(np.rint(t[:, j] / each[:, j] + zero), 0, top)
        error = (t[:, j] - (codes[:, j] - zero) * each[:, j]) / u[j, j]
        t[:, j:] -= error[:, None] * u[j, j:]
    return codes


def moments(inputs: int) -> Array:
    mixed = normal(4 * inputs, inputs, seed=4) @ normal(inputs, inputs, seed=5)
    found: Array = mixed.T @ mixed
    return found


@both
def test_gptq_is_the_textbook_algorithm(quantizer: Quantizer) -> None:
    w, h, grid = normal(13, 30), moments(30), Grid(3, group=10)
    found = plain(round_matrix(quantizer, w, h, grid, ordered=False), w.shape)
    assert (found != textbook_gptq(w, h, grid)).mean() < 0.01  # a tie may fall otherwise in f32
    order = np.argsort(-np.diag(h), kind="stable")
    each = Grid(3)  # a scale for a row, so that the order does not move groups
    ordered = plain(round_matrix(quantizer, w, h, each, ordered=True), w.shape)[:, order]
    expected = textbook_gptq(np.ascontiguousarray(w[:, order]), h[np.ix_(order, order)], each)
    assert (ordered != expected).mean() < 0.01


def test_gptq_loses_less_of_the_outputs_than_rounding_to_nearest() -> None:
    w, h, grid = normal(40, 96), moments(96), Grid(3)
    by_gptq = CPU.dequantize(round_matrix(CPU, w, h, grid, ordered=True), w.shape) - w
    by_nearest = CPU.dequantize(CPU.nearest(w, grid), w.shape) - w
    lost = [np.einsum("ni,ij,nj->", d, h, d) for d in (by_gptq, by_nearest)]
    assert lost[0] < 0.5 * lost[1]


# Few fractional places


@pytest.mark.parametrize(("target", "m", "n"), [("interp", 3, 12), ("cpu", 3, 12), ("cpu", 8, 150)])
def test_the_walk_ends_in_a_vertex_with_at_most_m_fractional_places(target: str, m: int, n: int) -> None:
    rng = np.random.default_rng(m)
    a, x = rng.standard_normal((m, n)), rng.uniform(0, 1, n)
    cost = 1 - 2 * x
    found, steps = vertex.walk(QUANTIZERS[target], a, cost, x)
    best = linprog(cost, A_eq=a, b_eq=a @ x, bounds=(0, 1), method="highs-ds")
    assert steps <= n
    assert vertex.fractional(found) <= m
    assert vertex.fractional(best.x) <= m
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(a @ found, a @ x, atol=1e-10)
    assert best.fun - 1e-9 <= cost @ found <= cost @ x + 1e-9


def test_dependent_constraints_are_met_too() -> None:
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((4, 40)), rng.uniform(0, 1, 40)
    a[2] = a[0] + a[1]
    found, _ = vertex.walk(CPU, a, 1 - 2 * x, x)
    assert vertex.fractional(found) <= 4
    np.testing.assert_allclose(a @ found, a @ x, atol=1e-10)


@pytest.mark.slow
def test_gradients_of_a_network_leave_few_weights_undecided() -> None:
    shape = Shape(symbols=19, width=64, blocks=1, depth=16, context=9)
    network = Transformer(Layers(), shape, seed=0)
    rng = np.random.default_rng(1)
    pieces = [tuple(rng.integers(0, 19, (1, 9)).astype(np.int32) for _ in range(2)) for _ in range(8)]
    a, y = vertex.gradients(CPU, network, pieces, Grid(3), "0.qkv", 150)  # type: ignore[arg-type]
    a /= np.abs(a).max()
    found, _ = vertex.walk(CPU, a, 1 - 2 * y, y)
    assert a.shape == (8, 150)
    assert vertex.fractional(found) <= 8
    np.testing.assert_allclose(a @ found, a @ y, atol=1e-9)


# The study


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_a_rotation_spreads_what_is_large_and_is_undone(target: str) -> None:
    quantizer = Quantizer(target)
    w = np.random.default_rng(0).standard_normal((256, 128)).astype(np.float32)
    w[3, 5] = 50
    turned = rotation.rotated(quantizer, w, 1)
    np.testing.assert_allclose(np.linalg.norm(turned), np.linalg.norm(w), rtol=1e-5)
    assert abs(turned).max() < 6 < 50 == w.max()
    np.testing.assert_allclose(rotation.rotated(quantizer, turned, 1, inverse=True), w, atol=2e-5)


def test_a_rotation_is_a_product_with_signed_hadamard_matrices() -> None:
    quantizer = Quantizer("cpu")
    inward = rotation.rotated(quantizer, np.eye(128, dtype=np.float32), 4)
    np.testing.assert_allclose(inward @ inward.T, np.eye(128), atol=1e-5)
    w = np.random.default_rng(1).standard_normal((128, 256)).astype(np.float32)
    rows = rotation.along_rows(quantizer, w, 7, False)
    h = linalg.hadamard(128) / np.sqrt(128)
    for run in range(2):
        part = slice(128 * run, 128 * run + 128)
        signs = (rows[:, part] @ h)[0] / w[0, part]
        np.testing.assert_allclose(abs(signs), 1, atol=1e-3)
        np.testing.assert_allclose(rows[:, part], (w[:, part] * np.round(signs)) @ h, atol=1e-5)


def test_served_layers_multiply_as_the_codes_say() -> None:
    w, x, grid = normal(70, 128), normal(9, 128, seed=1), Grid(3, group=64)
    codes = CPU.nearest(w, grid)
    served = Served(Layers(), {"w": codes}, {"w": (70, 128)})
    exact = x.astype(np.float16).astype(np.float64) @ CPU.dequantize(codes, w.shape).astype(np.float64).T
    np.testing.assert_allclose(served.forward(x, w, "w"), exact, rtol=2e-3, atol=2e-2)


@pytest.mark.slow
def test_discquant_diverges_less_than_gptq_and_gptq_less_than_rounding() -> None:
    """The paper's order at two bits, on a network small enough for a test."""
    shape = Shape(symbols=96, width=64, blocks=1, depth=32, context=32)
    study = Study(Layers(), shape, Sizes(training=160, sequences=8, calibration=16, test=6), lambda text: None)
    study.start()
    found = {result.method: result for result in study.run("2", Plan(steps=120))}
    best = min(found["GPTQ"].divergence, found["GPTQ, act-order"].divergence)
    assert found["DiscQuant"].divergence < best < found["to nearest"].divergence
    assert found["DiscQuant"].served == pytest.approx(found["DiscQuant"].divergence, rel=0.02)
    assert found["DiscQuant"].fractional < 0.5


def test_groups_that_do_not_divide_the_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 64 do not divide the 75 inputs"):
        CPU.nearest(normal(3, 75), Grid(3, group=64))
