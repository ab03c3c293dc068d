"""DiscQuant: every weight between its two codes, at x in 0..1, is moved so that the network's distribution stays and x
agrees with rounding to nearest where it is free to (algorithm 1 of the paper); what is left is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi

import numpy as np
from networks.kernels import Array
from networks.transformer import Transformer

from discquant.grid import Codes, Grid, Quantizer
from discquant.products import Interpolated


@dataclass(frozen=True)
class Plan:
    """`weight` is that of the divergence, whose gradient is cut off at `most`; the rate falls as a cosine to 0."""

    steps: int = 400
    rate: float = 0.05
    weight: float = 200.0
    most: float = 1.0
    warm: int = 20
    decay: float = 0.0


@dataclass(frozen=True)
class Found:
    """`fractional`: the share of places that were further than 0.01 from 0 and from 1 before they were rounded."""

    codes: dict[str, Codes]
    fractional: float
    divergence: tuple[float, ...]


Batch = Callable[[], tuple[Array, Array]]
"""Gives symbols [sequences, length] and the logits that the network had for them before."""


def descend(quantizer: Quantizer, network: Transformer, batch: Batch, grid: Grid, plan: Plan, seed: int) -> Found:
    """Codes for all matrices of the network's blocks. Its weights stay; its `gradients` and `products` are used."""
    weights = network.parameters.values
    matrices = {name: quantizer.neighbours(weights[name], grid) for name in network.shape.matrices}
    places = Places({name: weights[name].shape for name in matrices}, quantizer, seed)
    for name, found in matrices.items():
        places.y[name][...] = found.y
    spread = grid_spread(quantizer, {name: weights[name] for name in matrices}, grid)
    plain = network.products
    network.products = Interpolated(quantizer, matrices, places.x)
    history = []
    for step in range(plan.steps):
        ids, wanted = batch()
        logits, trace = network.forward(ids)
        divergence, gradient = kl(quantizer, wanted, logits)
        history.append(divergence)
        network.backward(trace, gradient)
        for name in matrices:
            places.gradients[name][...] = network.parameters.gradients[name]
        places.step(plan, step, plan.weight / spread)
    network.products = plain
    codes = {name: quantizer.choose(places.x[name], found) for name, found in matrices.items()}
    inside = np.minimum(places.flat, 1 - places.flat) > 0.01
    return Found(codes, float(inside.mean()), tuple(history))


def kl(quantizer: Quantizer, wanted: Array, logits: Array) -> tuple[float, Array]:
    """The mean over rows of KL(softmax(wanted) || softmax(logits)), and its gradient for `logits`."""
    rows, gradient = np.empty(len(logits), np.float32), np.empty_like(logits)
    quantizer.kernels("divergence", BV=128)(wanted, logits, rows, gradient)
    return float(rows.mean(dtype=np.float64)), gradient


def grid_spread(quantizer: Quantizer, weights: Mapping[str, Array], grid: Grid) -> float:
    """The mean over matrices of 12 times the mean square that rounding to nearest loses: a grid's step, squared."""
    lost = []
    for w in weights.values():
        rounded = quantizer.dequantize(quantizer.nearest(w, grid), w.shape)
        lost.append(12 * quantizer.distance(rounded, w) / w.size)
    return float(np.mean(lost))


class Places:
    """x of every weight, in one array, what AdamW keeps of it, and views for each matrix."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], quantizer: Quantizer, seed: int) -> None:
        size = sum(rows * columns for rows, columns in shapes.values())
        self.flat = np.empty(size, np.float32)
        quantizer.kernels("random_start")(seed, self.flat)
        self._y, self._gradients, self._mean, self._square = (np.zeros(size, np.float32) for _ in range(4))
        self._kernel = quantizer.kernels("descend")
        self.x, self.y, self.gradients = (_views(array, shapes) for array in (self.flat, self._y, self._gradients))

    def step(self, plan: Plan, step: int, weight: float) -> None:
        """Step number `step` of the plan, from 0, by `gradients` times `weight`."""
        turn = step + 1
        rate = plan.rate * min(1.0, turn / plan.warm) * 0.5 * (1 + cos(pi * step / plan.steps))
        moments = (0.9, 0.999, 1 - 0.9**turn, 1 - 0.999**turn, plan.decay)
        self._kernel(self._gradients, self._y, weight, plan.most, rate, *moments, self._mean, self._square, self.flat)


def _views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    ends = np.cumsum([rows * columns for rows, columns in shapes.values()])
    pieces = np.split(flat, ends[:-1])
    return {name: piece.reshape(shape) for piece, (name, shape) in zip(pieces, shapes.items(), strict=True)}
