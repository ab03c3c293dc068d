"""A causal transformer over few symbols, as small as still learns text.

Blocks of attention and of a perceptron with gelu, each after a normalization and added to what goes past it; no biases.
The matrices of the blocks are multiplied by `Products`; those of the embedding and of the logits stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.dense import Dense, Products
from networks.kernels import Array, Layers
from networks.parameters import Parameters

EPSILON = 1e-5


@dataclass(frozen=True)
class Shape:
    """`context` is the longest sequence; `depth`, the width of a head, divides `width`."""

    symbols: int
    width: int = 64
    blocks: int = 2
    depth: int = 16
    context: int = 64

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """The weights that are multiplied by `Products`, [outputs, inputs]."""
        shapes = {"qkv": (3, 1), "mix": (1, 1), "widen": (4, 1), "narrow": (1, 4)}
        return {
            f"{block}.{name}": (self.width * outputs, self.width * inputs)
            for block in range(self.blocks)
            for name, (outputs, inputs) in shapes.items()
        }


@dataclass
class Trace:
    """What `forward` leaves for `backward`: for every block what its layers read."""

    ids: Array
    blocks: list[dict[str, Array]]
    last: dict[str, Array]


class Transformer:
    def __init__(self, layers: Layers, shape: Shape, seed: int, products: Products | None = None) -> None:
        self.shape = shape
        self._layers = layers
        self._exact = Dense(layers)
        self.products: Products = products or self._exact
        self.parameters = Parameters(layers, _initial(shape, np.random.default_rng(seed)))
        self._gain = layers("rms_norm", H=shape.width)
        self._attention = {"C": shape.context, "D": shape.depth}

    # Forward

    def forward(self, ids: Array) -> tuple[Array, Trace]:
        """Logits [sequences * length, symbols] of int32 symbols `ids` [sequences, length]."""
        values = self.parameters.values
        embedded = self._layers.empty(*ids.shape, self.shape.width)
        self._layers("embed", H=self.shape.width)(ids, values["tokens"], values["places"], embedded)
        x = embedded.reshape(-1, self.shape.width)
        trace = Trace(ids, [], {})
        for block in range(self.shape.blocks):
            x, kept = self._block(x, ids.shape, block)
            trace.blocks.append(kept)
        normed, r = self._normalize(x, "final")
        trace.last = {"x": x, "r": r, "normed": normed}
        return self._exact.forward(normed, values["logits"], "logits"), trace

    def _block(self, x: Array, shape: tuple[int, ...], block: int) -> tuple[Array, dict[str, Array]]:
        normed1, r1 = self._normalize(x, f"{block}.norm1")
        qkv = self._multiply(normed1, f"{block}.qkv")
        mixed = np.empty_like(x)
        self._layers("attention", **self._attention)(_sequences(qkv, shape), _sequences(mixed, shape))
        y = self._multiply(mixed, f"{block}.mix")
        self._layers("add_into")(x.reshape(-1), y.reshape(-1))
        normed2, r2 = self._normalize(y, f"{block}.norm2")
        wide = self._multiply(normed2, f"{block}.widen")
        active = np.empty_like(wide)
        self._layers("gelu")(wide.reshape(-1), active.reshape(-1))
        z = self._multiply(active, f"{block}.narrow")
        self._layers("add_into")(y.reshape(-1), z.reshape(-1))
        kept = {"x": x, "r1": r1, "normed1": normed1, "qkv": qkv, "mixed": mixed}
        return z, kept | {"y": y, "r2": r2, "normed2": normed2, "wide": wide, "active": active}

    def _normalize(self, x: Array, name: str) -> tuple[Array, Array]:
        y, r = np.empty_like(x), self._layers.empty(len(x))
        self._gain(x, self.parameters.values[name], EPSILON, y, r)
        return y, r

    def _multiply(self, x: Array, name: str) -> Array:
        return self.products.forward(x, self.parameters.values[name], name)

    # Backward

    def backward(self, trace: Trace, dlogits: Array) -> None:
        """Gradients of all parameters from that of the logits."""
        values, gradients, last = self.parameters.values, self.parameters.gradients, trace.last
        d = self._exact.backward(dlogits, last["normed"], values["logits"], "logits", gradients["logits"])
        dx = self._layers.zeros(*last["x"].shape)
        self._normalize_gradient(last["x"], last["r"], d, dx, "final")
        for block in reversed(range(self.shape.blocks)):
            dx = self._block_gradient(trace.blocks[block], dx, trace.ids.shape, block)
        self._layers("embed_gradient", H=self.shape.width)(trace.ids.reshape(-1), dx, gradients["tokens"])
        places = np.tile(np.arange(trace.ids.shape[1], dtype=np.int32), trace.ids.shape[0])
        self._layers("embed_gradient", H=self.shape.width)(places, dx, gradients["places"])

    def _block_gradient(self, kept: dict[str, Array], dz: Array, shape: tuple[int, ...], block: int) -> Array:
        """The gradient for what the block read; `dz`, that for what it gave, is used up."""
        d = self._divide(dz, kept["active"], f"{block}.narrow")
        dwide = np.empty_like(d)
        self._layers("gelu_gradient")(kept["wide"].reshape(-1), d.reshape(-1), dwide.reshape(-1))
        d = self._divide(dwide, kept["normed2"], f"{block}.widen")
        self._normalize_gradient(kept["y"], kept["r2"], d, dz, f"{block}.norm2")
        d = self._divide(dz, kept["mixed"], f"{block}.mix")
        dqkv = np.empty_like(kept["qkv"])
        self._layers("attention_gradient", **self._attention)(
            _sequences(kept["qkv"], shape), _sequences(d, shape), _sequences(dqkv, shape)
        )
        d = self._divide(dqkv, kept["normed1"], f"{block}.qkv")
        self._normalize_gradient(kept["x"], kept["r1"], d, dz, f"{block}.norm1")
        return dz

    def _normalize_gradient(self, x: Array, r: Array, dy: Array, dx: Array, name: str) -> None:
        self._layers("rms_gain_gradient")(x, r, dy, self.parameters.gradients[name])
        self._layers("rms_norm_gradient", H=self.shape.width)(x, self.parameters.values[name], r, dy, dx)

    def _divide(self, dy: Array, x: Array, name: str) -> Array:
        values, gradients = self.parameters.values, self.parameters.gradients
        return self.products.backward(dy, x, values[name], name, gradients[name])

    # Training

    def loss(self, logits: Array, targets: Array) -> tuple[float, Array]:
        """The mean cross-entropy, and its gradient for the logits; `targets` int32, one for each row."""
        each, gradient = self._layers.empty(len(logits)), np.empty_like(logits)
        self._layers("cross_entropy", BV=128)(logits, targets, each, gradient)
        return float(each.mean()), gradient

    def gradients(self, ids: Array, targets: Array) -> float:
        """The loss of a batch [sequences, length]; the gradients are in `parameters`."""
        logits, trace = self.forward(ids)
        loss, gradient = self.loss(logits, targets.reshape(-1))
        self.backward(trace, gradient)
        return loss


def _sequences(x: Array, shape: tuple[int, ...]) -> Array:
    return x.reshape(*shape, x.shape[-1])


def _initial(shape: Shape, rng: np.random.Generator) -> dict[str, Array]:
    """Normal weights of variance 1 / inputs; those that add to what goes past are smaller, as there are more blocks."""
    initial: dict[str, Array] = {
        "tokens": rng.normal(0, 0.1, (shape.symbols, shape.width)),
        "places": rng.normal(0, 0.1, (shape.context, shape.width)),
        "logits": rng.normal(0, shape.width**-0.5, (shape.symbols, shape.width)),
        "final": np.ones(shape.width),
    }
    for name, (outputs, inputs) in shape.matrices.items():
        adds = name.endswith(("mix", "narrow"))
        spread = inputs**-0.5 / (2 * shape.blocks) ** 0.5 if adds else inputs**-0.5
        initial[name] = rng.normal(0, spread, (outputs, inputs))
    for block in range(shape.blocks):
        initial[f"{block}.norm1"], initial[f"{block}.norm2"] = np.ones(shape.width), np.ones(shape.width)
    return initial
