"""Boxes through a perceptron of `networks.mlp`, forward and backward, and training on the worst logits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks.kernels import Array, Kernels, Layers
from networks.mlp import Mlp

import vmc

PROGRAM = Path(__file__).with_name("ibp.vmc")


class Ibp:
    """The kernels of ibp.vmc for the target and the type of `layers`."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self._kernels = Kernels(PROGRAM, layers.kernels.target)

    def __call__(self, name: str, **bindings: int | bool) -> vmc.Kernel:
        return self._kernels(name, T=self.layers.type, **bindings)

    def untyped(self, name: str, **bindings: int | bool) -> vmc.Kernel:
        """A kernel that has its own types."""
        return self._kernels(name, **bindings)


@dataclass(frozen=True)
class Box:
    """Centres and radii [rows, width]."""

    c: Array
    r: Array


def linear(ibp: Ibp, box: Box, w: Array, b: Array) -> Box:
    """The box around all w x + b for x in the box; w [outputs, inputs]."""
    found = Box(*(ibp.layers.empty(len(box.c), len(w)) for _ in range(2)))
    ibp("ibp_linear")(box.c, box.r, w, b, found.c, found.r)
    return found


def convolution(ibp: Ibp, box: Box, w: Array, b: Array) -> Box:
    """The same for w [outputs, channels, 3, 3] and boxes [rows, channels, height, width], zeros around the images."""
    rows, _, height, width = box.c.shape
    found = Box(*(ibp.layers.empty(rows, len(w), height, width) for _ in range(2)))
    ibp("ibp_conv", W=width, BH=min(height, 28))(box.c, box.r, w, b, found.c, found.r)
    return found


def relu(ibp: Ibp, box: Box) -> Box:
    found = Box(np.empty_like(box.c), np.empty_like(box.r))
    ibp("ibp_relu")(*(array.reshape(-1) for array in (box.c, box.r, found.c, found.r)))
    return found


@dataclass(frozen=True)
class Propagated:
    """The boxes that each layer reads, those before each relu, and the worst logits [rows, classes]."""

    read: list[Box]
    before: list[Box]
    worst: Array


class Certified:
    """A perceptron with boxes. `depth` is the number of its matrices."""

    def __init__(self, ibp: Ibp, network: Mlp) -> None:
        self.ibp, self.network = ibp, network
        self.depth = network.depth

    def propagate(self, x: Array, radius: float, targets: Array) -> Propagated:
        """Boxes of `radius` around rows x."""
        values = self.network.parameters.values
        read, before = [Box(x, np.full_like(x, radius))], []
        for place in range(self.depth - 1):
            before.append(linear(self.ibp, read[-1], values[f"w{place}"], values[f"b{place}"]))
            read.append(relu(self.ibp, before[-1]))
        w, b = (values[f"{kind}{self.depth - 1}"] for kind in "wb")
        worst = self.ibp.layers.empty(len(x), len(w))
        self.ibp("worst_logits", K=len(w))(read[-1].c, read[-1].r, w, b, targets, worst)
        return Propagated(read, before, worst)

    def backward(self, found: Propagated, g: Array, targets: Array) -> dict[str, Array]:
        """Gradients of all parameters from `g`, that of the worst logits."""
        values, ibp = self.network.parameters.values, self.ibp
        gradients = {name: np.empty_like(value) for name, value in values.items()}
        last = self.depth - 1
        box = found.read[last]
        w = values[f"w{last}"]
        d = Box(np.empty_like(box.c), np.empty_like(box.r))
        ibp("worst_weights", K=len(w))(g, box.c, box.r, w, targets, gradients[f"w{last}"], gradients[f"b{last}"])
        ibp("worst_inputs", K=len(w))(g, w, targets, d.c, d.r)
        for place in reversed(range(last)):
            d = self._through_relu(found.before[place], d)
            box, w = found.read[place], values[f"w{place}"]
            ibp("ibp_linear_weights")(d.c, d.r, box.c, box.r, w, gradients[f"w{place}"])
            ibp.layers("column_sums")(d.c, gradients[f"b{place}"])
            inputs = Box(np.empty_like(box.c), np.empty_like(box.r))
            ibp("ibp_linear_inputs")(d.c, d.r, w, inputs.c, inputs.r)
            d = inputs
        return gradients

    def _through_relu(self, before: Box, d: Box) -> Box:
        found = Box(np.empty_like(d.c), np.empty_like(d.r))
        arrays = (before.c, before.r, d.c, d.r, found.c, found.r)
        self.ibp("ibp_relu_gradient")(*(array.reshape(-1) for array in arrays))
        return found

    def step(self, x: Array, targets: Array, radius: float, share: float, rate: float) -> float:
        """One step of Adam on share * CE(logits) + (1 - share) * CE(worst logits); the loss before it."""
        network = self.network
        plain = network.forward(x)
        loss, gradient = network.loss(plain[-1], targets)
        network.backward(plain, gradient)
        if share == 1:
            network.parameters.adam(rate)
            return loss
        found = self.propagate(x, radius, targets)
        worst, g = network.loss(found.worst, targets)
        flat = network.parameters.flat_gradients
        certified = _flat(self.backward(found, g, targets), network)
        self.ibp.layers("scale_into")(1 - share, certified, share, flat)
        network.parameters.adam(rate)
        return share * loss + (1 - share) * worst


def _flat(gradients: dict[str, Array], network: Mlp) -> Array:
    return np.concatenate([gradients[name].reshape(-1) for name in network.parameters.values])
