"""Layers, gradients and optimizer of examples/networks against torch; sizes that no tile divides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from networks import text
from networks.dense import Dense
from networks.kernels import Array, Layers
from networks.mlp import Mlp
from networks.parameters import Parameters
from networks.transformer import Shape, Transformer

CASES = [("interp", "f64"), ("cpu", "f64"), ("cpu", "f32")]
LAYERS = {case: Layers(*case) for case in CASES}

few = pytest.mark.parametrize("layers", [LAYERS["interp", "f64"], LAYERS["cpu", "f32"]], ids=["interp-f64", "cpu-f32"])
cases = pytest.mark.parametrize("layers", LAYERS.values(), ids=["-".join(case) for case in CASES])


def normal(layers: Layers, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(layers.dtype)


def leaf(array: Array) -> torch.Tensor:
    return torch.from_numpy(array.copy()).requires_grad_()


def same(found: Array, expected: torch.Tensor | None, layers: Layers) -> None:
    assert expected is not None
    close = 1e-12 if layers.type == "f64" else 2e-5
    wanted = expected.detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=close, atol=close * max(1.0, float(np.abs(wanted).max())))


@cases
def test_products_and_their_gradients_are_those_of_torch(layers: Layers) -> None:
    x, w, dy = normal(layers, 5, 67), normal(layers, 9, 67, seed=1), normal(layers, 5, 9, seed=2)
    tx, tw = leaf(x), leaf(w)
    y = tx @ tw.T
    y.backward(torch.from_numpy(dy))
    dw = np.empty_like(w)
    dense = Dense(layers)
    same(dense.forward(x, w, "w"), y, layers)
    same(dense.backward(dy, x, w, "w", dw), tx.grad, layers)
    same(dw, tw.grad, layers)


@few
def test_a_perceptron_has_the_loss_and_the_gradients_of_torch(layers: Layers) -> None:
    network = Mlp(layers, (13, 21, 10), seed=0)
    x, targets = normal(layers, 11, 13), np.arange(11, dtype=np.int32) % 10
    found = network.forward(x)
    loss, dlogits = network.loss(found[-1], targets)
    dx = network.backward(found, dlogits)
    p = {name: leaf(array) for name, array in network.parameters.values.items()}
    tx = leaf(x)
    logits = torch.relu(tx @ p["w0"].T + p["b0"]) @ p["w1"].T + p["b1"]
    expected = functional.cross_entropy(logits, torch.from_numpy(targets).long())
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    same(dx, tx.grad, layers)
    for name, gradient in network.parameters.gradients.items():
        same(gradient, p[name].grad, layers)


def torch_logits(p: dict[str, torch.Tensor], ids: torch.Tensor, shape: Shape) -> torch.Tensor:
    """The same transformer in torch."""

    def normed(x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, x.shape[-1:], gain, 1e-5)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (-1, shape.depth)).transpose(1, 2)

    x = p["tokens"][ids] + p["places"][: ids.shape[1]]
    for block in range(shape.blocks):
        q, k, v = map(heads, (normed(x, p[f"{block}.norm1"]) @ p[f"{block}.qkv"].T).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + mixed @ p[f"{block}.mix"].T
        wide = normed(x, p[f"{block}.norm2"]) @ p[f"{block}.widen"].T
        x = x + functional.gelu(wide) @ p[f"{block}.narrow"].T
    return normed(x, p["final"]) @ p["logits"].T


@few
def test_a_transformer_has_the_logits_and_the_gradients_of_torch(layers: Layers) -> None:
    shape = Shape(symbols=19, width=12, blocks=1, depth=4, context=9)
    network = Transformer(layers, shape, seed=0)
    rng = np.random.default_rng(1)
    for name in ("0.norm1", "0.norm2", "final"):
        network.parameters.values[name][...] += rng.normal(0, 0.3, 12)
    ids, targets = (rng.integers(0, 19, (3, 7)).astype(np.int32) for _ in range(2))
    p = {name: leaf(array) for name, array in network.parameters.values.items()}
    expected = torch_logits(p, torch.from_numpy(ids).long(), shape)
    loss = functional.cross_entropy(expected.flatten(0, 1), torch.from_numpy(targets).long().flatten())
    loss.backward()
    same(network.forward(ids)[0], expected.flatten(0, 1), layers)
    assert network.gradients(ids, targets) == pytest.approx(loss.item(), rel=1e-5)
    for name, gradient in network.parameters.gradients.items():
        same(gradient, p[name].grad, layers)


@cases
def test_adam_is_that_of_torch(layers: Layers) -> None:
    start = normal(layers, 37)
    ours = Parameters(layers, {"w": start})
    theirs = leaf(start)
    optimizer = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for step in range(4):
        gradient = normal(layers, 37, seed=step)
        theirs.grad = torch.from_numpy(gradient.copy())
        optimizer.step()  # type: ignore[no-untyped-call]
        ours.gradients["w"][...] = gradient
        ours.adam(0.01, decay=0.1)
    same(ours.values["w"], theirs, layers)


def test_a_sequence_longer_than_the_tile_is_an_error() -> None:
    import vmc

    network = Transformer(LAYERS["cpu", "f32"], Shape(symbols=5, width=12, blocks=1, depth=4, context=9), seed=0)
    with pytest.raises(vmc.ExecutionError, match="longer than the tile"):
        network.forward(np.zeros((1, 10), np.int32))


def test_the_text_is_long_and_pieces_of_it_are_followed_by_themselves() -> None:
    codes: Any = text.python_topics()
    assert len(codes) > 300_000
    assert codes.max() < len(text.SYMBOLS)
    here, following = text.windows(codes, 4, 17, np.random.default_rng(0))
    assert here.shape == following.shape == (4, 17)
    assert (here[:, 1:] == following[:, :-1]).all()
