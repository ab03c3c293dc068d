"""A DeepONet, unstacked, with a bias (Lu et al. 2021): y(u, x) = sum_k branch_k(u) trunk_k(x) + bias."""

from __future__ import annotations

import numpy as np
from networks.kernels import Array, Kernels, Layers
from networks.mlp import Mlp
from networks.parameters import Parameters

from deeponet.functions import PROGRAM


class DeepONet:
    """`branch` reads a function at its sensors, `trunk` a place; both end in `width` numbers, trunk after relu."""

    def __init__(self, layers: Layers, sensors: int, dimensions: int, seed: int, width: int = 40) -> None:
        self._layers = layers
        self._kernels = Kernels(PROGRAM, layers.kernels.target)
        self.branch = Mlp(layers, (sensors, width, width), seed)
        self.trunk = Mlp(layers, (dimensions, width, width, width), seed + 1)
        self.bias = Parameters(layers, {"bias": np.zeros(1)})

    def forward(self, u: Array, places: Array) -> tuple[Array, list[Array], list[Array], Array]:
        """y [functions, places], and what `backward` needs of it."""
        of_u, of_x = self.branch.forward(u), self.trunk.forward(places)
        trunk = np.empty_like(of_x[-1])
        self._layers("relu")(of_x[-1].reshape(-1), trunk.reshape(-1))
        y = self._layers.empty(len(u), len(places))
        self._kernels("join", T=self._layers.type)(of_u[-1], trunk, self.bias.values["bias"], y)
        return y, of_u, of_x, trunk

    def loss(self, y: Array, wanted: Array) -> tuple[float, Array]:
        """The mean square error, and its gradient for y."""
        rows, dy = self._layers.empty(len(y)), np.empty_like(y)
        self._kernels("square_error", T=self._layers.type)(y, wanted, rows, dy)
        return float(rows.sum(dtype=np.float64) / y.size), dy

    def backward(self, dy: Array, of_u: list[Array], of_x: list[Array], trunk: Array) -> None:
        """The gradients of all parameters."""
        d_branch, d_trunk, d_last = np.empty_like(of_u[-1]), np.empty_like(trunk), np.empty_like(trunk)
        self._layers("product_nn")(dy, trunk, d_branch)
        self._layers("product_tn")(dy, of_u[-1], d_trunk)
        self._layers("relu_gradient")(trunk.reshape(-1), d_trunk.reshape(-1), d_last.reshape(-1))
        self._layers("column_sums")(dy.reshape(-1, 1), self.bias.gradients["bias"])
        self.branch.backward(of_u, d_branch)
        self.trunk.backward(of_x, d_last)

    def step(self, u: Array, places: Array, wanted: Array, rate: float) -> float:
        """One step of Adam; the loss before it."""
        y, *kept = self.forward(u, places)
        loss, dy = self.loss(y, wanted)
        self.backward(dy, *kept)
        for parameters in (self.branch.parameters, self.trunk.parameters, self.bias):
            parameters.adam(rate)
        return loss


class Plain:
    """A network of one input, the function's sensors and the place together: what the paper compares with."""

    def __init__(self, layers: Layers, sensors: int, seed: int, width: int = 40) -> None:
        self._layers = layers
        self._kernels = Kernels(PROGRAM, layers.kernels.target)
        self.mlp = Mlp(layers, (sensors + 1, width, width, 1), seed)

    def rows(self, u: Array, places: Array, s: Array, f: Array, p: Array) -> tuple[Array, Array]:
        """The inputs and the values of functions f at places p, both int32."""
        row, wanted = self._layers.empty(len(f), u.shape[1] + 1), self._layers.empty(len(f), 1)
        self._kernels("pairs", T=self._layers.type)(u, places, s, f, p, row, wanted)
        return row, wanted

    def loss(self, row: Array, wanted: Array) -> tuple[float, Array, list[Array]]:
        found = self.mlp.forward(row)
        rows, dy = self._layers.empty(len(row)), np.empty_like(wanted)
        self._kernels("square_error", T=self._layers.type)(found[-1], wanted, rows, dy)
        return float(rows.mean(dtype=np.float64)), dy, found

    def step(self, row: Array, wanted: Array, rate: float) -> float:
        loss, dy, found = self.loss(row, wanted)
        self.mlp.backward(found, dy)
        self.mlp.parameters.adam(rate)
        return loss
