"""Products of activations and weights, and their gradients; here with numbers as they are."""

from __future__ import annotations

from typing import Protocol

from networks.kernels import Array, Layers


class Products(Protocol):
    """How a network multiplies. Activations are [rows, inputs], weights [outputs, inputs]."""

    def forward(self, x: Array, w: Array, name: str) -> Array:
        """x @ w.T; `name` is that of the weights."""
        ...

    def backward(self, dy: Array, x: Array, w: Array, name: str, dw: Array) -> Array:
        """The gradient for x, from `dy` [rows, outputs]; that for w is written into `dw`."""
        ...


class Dense:
    """Products of the type of `layers`."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def forward(self, x: Array, w: Array, name: str) -> Array:
        y = self._layers.empty(x.shape[0], w.shape[0])
        self._layers("product_nt")(x, w, y)
        return y

    def backward(self, dy: Array, x: Array, w: Array, name: str, dw: Array) -> Array:
        self._layers("product_tn")(dy, x, dw)
        dx = self._layers.empty(*x.shape)
        self._layers("product_nn")(dy, w, dx)
        return dx
