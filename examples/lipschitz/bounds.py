"""Bounds of the gradient's l1 norm over a box of inputs, in three ways, and what is reached at points of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks.kernels import Array, Kernels, Layers

import vmc

PROGRAM = Path(__file__).with_name("lipschitz.vmc")
WAYS = ("chords", "recurjac", "intervals")
"""The paper's, RecurJac's (Zhang et al. 2019), and intervals alone."""


@dataclass(frozen=True)
class Network:
    """A perceptron with relu between its matrices w [outputs, inputs]; biases b."""

    w: tuple[Array, ...]
    b: tuple[Array, ...]

    @property
    def hidden(self) -> int:
        return len(self.w) - 1


@dataclass(frozen=True)
class Cases:
    """For each hidden layer the bounds [P, units] of what its relu reads; of a unit that was decided one is 0."""

    low: tuple[Array, ...]
    high: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.low[0])

    def take(self, places: Sequence[int] | Array) -> Cases:
        return Cases(tuple(a[places] for a in self.low), tuple(a[places] for a in self.high))


@dataclass(frozen=True)
class Bounded:
    """Upper bounds [P], and the coefficients [P, 1, units] of every hidden layer's d in them (none for other ways)."""

    most: Array
    coefficients: tuple[Array, ...]


class Lipschitz:
    """The kernels for the target and type of `layers`, and one network."""

    def __init__(self, layers: Layers, network: Network) -> None:
        self.layers, self.network = layers, network
        self._kernels = Kernels(PROGRAM, layers.kernels.target)

    def kernel(self, name: str, **bindings: int) -> vmc.Kernel:
        return self._kernels(name, T=self.layers.type, **bindings)

    # Forward

    def boxes(self, centre: Array, radius: float) -> Cases:
        """CROWN's bounds of all hidden layers for inputs within `radius` of the rows of centre [P, inputs]."""
        found = Cases((), ())
        for layer in range(self.network.hidden):
            high = self._forward(found, centre, radius, layer, 1.0)
            low = self._forward(found, centre, radius, layer, -1.0)
            found = Cases((*found.low, -low), (*found.high, high))
        return found

    def _forward(self, below: Cases, centre: Array, radius: float, layer: int, sign: float) -> Array:
        """The greatest of sign * z of one layer."""
        w, b = self.network.w, self.network.b
        a, bias = self._rows(sign * w[layer], len(centre)), self._rows(sign * b[layer], len(centre))
        for place in reversed(range(layer)):
            a_out, bias_out = self.layers.empty(*a.shape[:2], w[place].shape[1]), np.empty_like(bias)
            bounds = (below.low[place], below.high[place], w[place], b[place])
            self.kernel("crown_backward_layer")(a, bias, *bounds, a_out, bias_out)
            a, bias = a_out, bias_out
        most = np.empty_like(bias)
        self.kernel("concretize")(a, bias, centre, radius, most)
        return most

    # The gradient of output k

    def norm(self, cases: Cases, k: int, way: str) -> Bounded:
        """Upper bounds of the gradient's l1 norm. Raises ValueError for a way that is none of WAYS."""
        if way not in WAYS:
            raise ValueError(f"{way!r} is none of {', '.join(WAYS)}")
        if way == "intervals":
            return Bounded(self._sum(*self._intervals(cases, k)), ())
        number = WAYS.index(way)
        lows, highs = self._gradients(cases, k, number)
        if way == "recurjac":
            return Bounded(self._sum(lows[0], highs[0]), ())
        slope, start = self.layers.empty(len(cases), 1, lows[0].shape[1]), self.layers.empty(len(cases), 1)
        self.kernel("abs_chord")(lows[0], highs[0], slope, start)
        a = self.layers.empty(len(cases), len(self.network.w[0]))
        self.layers("product_nt")(slope[:, 0], self.network.w[0], a)
        most, seen = self._upward(a[:, None], start, cases, k, lows, highs, 0, number)
        return Bounded(most[:, 0], seen)

    def _gradients(self, cases: Cases, k: int, number: int) -> tuple[list[Array], list[Array]]:
        """Bounds of gradients: [0] for the network's inputs, [i + 1] for the outputs of hidden layer i."""
        top = self._rows(self.network.w[-1][k], len(cases))
        lows, highs = [top], [top]
        for place in reversed(range(self.network.hidden)):
            back = np.ascontiguousarray(self.network.w[place].T)
            zero = self.layers.zeros(len(cases), len(back))
            least, most = (
                sign * self._upward(self._rows(sign * back, len(cases)), zero, cases, k, lows, highs, place, number)[0]
                for sign in (-1.0, 1.0)
            )
            lows.insert(0, least)
            highs.insert(0, most)
        return lows, highs

    def _upward(
        self,
        a: Array,
        bias: Array,
        cases: Cases,
        k: int,
        lows: Sequence[Array],
        highs: Sequence[Array],
        first: int,
        number: int,
    ) -> tuple[Array, tuple[Array, ...]]:
        """The bound of a . d + bias, d of hidden layer `first`; and the coefficients of d, layer by layer from there.

        The last of lows and highs belong to the last hidden layer, those before to the layers before.
        """
        seen = []
        last = self.network.hidden - 1
        for place in range(first, last):
            seen.append(a)
            w = self.network.w[place + 1]
            a_out, bias_out = self.layers.empty(*a.shape[:2], len(w)), np.empty_like(bias)
            here = place - last - 1
            bounds = (cases.low[place], cases.high[place], lows[here], highs[here], w)
            self.kernel("grad_relax_layer", WAY=number)(a, bias, *bounds, a_out, bias_out)
            a, bias = a_out, bias_out
        seen.append(a)
        most = np.empty_like(bias)
        self.kernel("gradient_end")(a, bias, cases.low[last], cases.high[last], lows[-1], most)
        return most, tuple(seen)

    def _intervals(self, cases: Cases, k: int) -> tuple[Array, Array]:
        low = high = self._rows(self.network.w[-1][k], len(cases))
        for place in reversed(range(self.network.hidden)):
            w = self.network.w[place]
            found = [self.layers.empty(len(cases), w.shape[1]) for _ in range(2)]
            self.kernel("interval_layer")(low, high, cases.low[place], cases.high[place], w, *found)
            low, high = found
        return low, high

    def _sum(self, low: Array, high: Array) -> Array:
        most = self.layers.empty(len(low))
        self.kernel("greatest_sum")(low, high, most)
        return most

    def _rows(self, array: Array, count: int) -> Array:
        return np.ascontiguousarray(np.broadcast_to(array, (count, *array.shape)).astype(self.layers.dtype))

    # Points

    def at(self, x: Array, k: int) -> Array:
        """The l1 norm [P] of the gradient of output k at rows x [P, inputs]."""
        reads, h = [], x
        for w, b in zip(self.network.w[:-1], self.network.b[:-1], strict=True):
            z, h_next = self.layers.empty(len(x), len(w)), self.layers.empty(len(x), len(w))
            self.layers("product_nt")(h, w, z)
            self.layers("add_bias")(b, z)
            self.layers("relu")(z.reshape(-1), h_next.reshape(-1))
            reads.append(z)
            h = h_next
        g = self._rows(self.network.w[-1][k], len(x))
        for z, w in zip(reversed(reads), reversed(self.network.w[:-1]), strict=True):
            below = self.layers.empty(len(x), w.shape[1])
            self.kernel("gradient_layer")(g, z, w, below)
            g = below
        return self._sum(g, g)
