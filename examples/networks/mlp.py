"""A perceptron of several layers: relu between them, logits at the end, cross-entropy as loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from networks.dense import Dense, Products
from networks.kernels import Array, Layers
from networks.parameters import Parameters


class Mlp:
    """`sizes` are the widths, of the input first and of the logits last."""

    def __init__(self, layers: Layers, sizes: Sequence[int], seed: int, products: Products | None = None) -> None:
        rng = np.random.default_rng(seed)
        initial = {}
        for place, (inputs, outputs) in enumerate(pairwise(sizes)):
            initial[f"w{place}"] = rng.normal(0, (2 / inputs) ** 0.5, (outputs, inputs))  # He et al. 2015
            initial[f"b{place}"] = np.zeros(outputs)
        self._layers = layers
        self.depth = len(sizes) - 1
        self._products = products or Dense(layers)
        self.parameters = Parameters(layers, initial)

    def forward(self, x: Array) -> list[Array]:
        """x [rows, sizes[0]], then what each layer gives for it: relu but for the last, which are logits."""
        found = [x]
        for place in range(self.depth):
            y = self._products.forward(found[-1], self.parameters.values[f"w{place}"], f"w{place}")
            self._layers("add_bias")(self.parameters.values[f"b{place}"], y)
            if place < self.depth - 1:
                active = np.empty_like(y)
                self._layers("relu")(y.reshape(-1), active.reshape(-1))
                y = active
            found.append(y)
        return found

    def backward(self, found: Sequence[Array], dy: Array) -> Array:
        """Gradients of all parameters, and that of the input, from that of the logits and from what `forward` gave."""
        values, gradients = self.parameters.values, self.parameters.gradients
        for place in reversed(range(self.depth)):
            self._layers("column_sums")(dy, gradients[f"b{place}"])
            dx = self._products.backward(dy, found[place], values[f"w{place}"], f"w{place}", gradients[f"w{place}"])
            if place > 0:
                dy = np.empty_like(dx)
                self._layers("relu_gradient")(found[place].reshape(-1), dx.reshape(-1), dy.reshape(-1))
        return dx

    def loss(self, logits: Array, targets: Array) -> tuple[float, Array]:
        """The mean cross-entropy, and its gradient for the logits."""
        each, gradient = self._layers.empty(len(logits)), np.empty_like(logits)
        self._layers("cross_entropy", BV=16)(logits, targets, each, gradient)
        return float(each.mean()), gradient

    def step(self, x: Array, targets: Array, rate: float) -> float:
        """One step of Adam on a batch; the loss before it."""
        found = self.forward(x)
        loss, gradient = self.loss(found[-1], targets)
        self.backward(found, gradient)
        self.parameters.adam(rate)
        return loss
