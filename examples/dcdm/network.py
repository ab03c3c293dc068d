"""A U-shaped network of 3 x 3 convolutions without biases, its gradient, and its training by Adam."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vmc

TYPES = {"float32": "f32", "float16": "f16", "float8_e4m3fn": "f8e4m3"}
"""The types of weights, by the names that NumPy and ml_dtypes have for them."""

KERNELS = Path(__file__).with_name("dcdm.vmc")

F32 = npt.NDArray[np.float32]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


@dataclass
class Network:
    """From fields [s, h, w] to fields: `channels` wide, `levels` times halved, each level with a residual convolution
    on the way down and one on the way up; h and w are multiples of 2^levels. Only f32 weights can be trained.
    """

    channels: int = 8
    levels: int = 3
    seed: int = 0
    target: str = "cpu"
    weights: list[F32] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.weights:
            rng = np.random.default_rng(self.seed)
            inner = 2 * self.levels + 1
            shapes = [(1, self.channels), *[(self.channels, self.channels)] * inner, (self.channels, 1)]
            self.weights = [
                (rng.standard_normal((9, i, o)) * sqrt(1.0 / (9 * i))).astype(np.float32) for i, o in shapes
            ]

    def __call__(self, x: F32) -> F32:
        return self.forward(x)[0]

    def forward(self, x: F32) -> tuple[F32, list[tuple[F32, F32]]]:
        """The result [s, h, w], and what went into and came out of every convolution."""
        tape: list[tuple[F32, F32]] = []
        h = self._conv(x[..., None], 0, tape)
        skips = []
        for level in range(self.levels):
            skips.append(h)
            h = self._residual(self._pool(h, 0.25), level + 1, tape)
        h = self._residual(h, self.levels + 1, tape)
        for level in reversed(range(self.levels)):
            h = self._residual(self._add(self._spread(h, 1.0), skips[level]), 2 * self.levels + 1 - level, tape)
        y = self._conv(h, len(self.weights) - 1, tape, relu=False)
        return y[..., 0], tape

    def backward(self, tape: list[tuple[F32, F32]], g: F32) -> list[F32]:
        """The gradient of every weight, given that of the result [s, h, w]."""
        found: list[F32] = [np.empty_like(w) for w in self.weights]
        last = len(self.weights) - 1
        h = self._conv_back(last, tape, g[..., None], found, relu=False)
        skips: list[F32] = []
        order = len(tape) - 2
        for level in range(self.levels):
            h = self._residual_back(2 * self.levels + 1 - level, tape, order, h, found)
            skips.append(h)
            h = self._pool(h, 1.0)
            order -= 1
        h = self._residual_back(self.levels + 1, tape, order, h, found)
        for level in reversed(range(self.levels)):
            order -= 1
            h = self._residual_back(level + 1, tape, order, h, found)
            h = self._add(self._spread(h, 0.25), skips[level])
        self._conv_back(0, tape, h, found, order=0)
        return found

    def _run(self, name: str, *arguments: Any, **bindings: Any) -> None:
        kernel(name, self.target, **bindings)(*arguments)

    def _sizes(self, index: int) -> dict[str, int]:
        return {"CI": self.weights[index].shape[1], "CO": self.weights[index].shape[2]}

    def _conv(self, x: F32, index: int, tape: list[tuple[F32, F32]], relu: bool = True) -> F32:
        y = np.empty((*x.shape[:3], self.weights[index].shape[2]), np.float32)
        stored = self.weights[index]
        self._run("conv", x, stored, y, V=TYPES[stored.dtype.name], RELU=relu, **self._sizes(index))
        tape.append((x, y))
        return y

    def _residual(self, x: F32, index: int, tape: list[tuple[F32, F32]]) -> F32:
        return self._add(x, self._conv(x, index, tape))

    def _conv_back(
        self, index: int, tape: list[tuple[F32, F32]], g: F32, found: list[F32], relu: bool = True, order: int = -1
    ) -> F32:
        x, a = tape[order]
        if relu:
            before = np.empty_like(g)
            self._run("relu_back", a.reshape(-1), g.reshape(-1), before.reshape(-1))
            g = before
        self._run("conv_weights", x, g, found[index], **self._sizes(index))
        w = self.weights[index]
        turned = np.empty((9, w.shape[2], w.shape[1]), np.float32)
        self._run("turned", w, turned, **self._sizes(index))
        back = np.empty_like(x)
        self._run("conv", g, turned, back, RELU=False, CI=w.shape[2], CO=w.shape[1])
        return back

    def _residual_back(self, index: int, tape: list[tuple[F32, F32]], order: int, g: F32, found: list[F32]) -> F32:
        return self._add(g, self._conv_back(index, tape, g, found, order=order))

    def _add(self, a: F32, b: F32) -> F32:
        y = np.empty_like(a)
        self._run("add", a.reshape(-1), b.reshape(-1), y.reshape(-1))
        return y

    def _pool(self, x: F32, scale: float) -> F32:
        s, h, w, c = x.shape
        y = np.empty((s, h // 2, w // 2, c), np.float32)
        self._run("pool", scale, x, y, C=c)
        return y

    def _spread(self, x: F32, scale: float) -> F32:
        s, h, w, c = x.shape
        y = np.empty((s, 2 * h, 2 * w, c), np.float32)
        self._run("spread", scale, x, y, C=c)
        return y


def loss_and_gradient(network: Network, b: F32, mask: npt.NDArray[np.uint8]) -> tuple[float, list[F32]]:
    """The mean over s of |b - alpha A q|^2, q = network(b), and the gradient of the sum; b [s, h, w] has length 1."""
    target = network.target
    q, tape = network.forward(b)
    inside, aq, through, rest, g = (np.empty_like(b) for _ in range(5))
    kernel("masked", target)(mask, q, inside)
    kernel("poisson", target)(mask, inside, aq)
    loss = np.empty(len(b))
    flat = [each.reshape(len(b), -1) for each in (b, inside, aq, through, rest)]
    kernel("loss", target)(flat[0], flat[1], flat[2], loss, flat[3], flat[4])
    kernel("poisson", target)(mask, through, aq)
    kernel("add", target)(aq.reshape(-1), rest.reshape(-1), g.reshape(-1))
    kernel("masked", target)(mask, g, through)
    return float(loss.mean()), network.backward(tape, through)


def train(network: Network, size: int, steps: int, batch: int = 8, rate: float = 3e-3) -> list[float]:
    """Trains on squares of `size` points with random right sides; gives the loss of each step."""
    mask = np.ones((size, size), np.uint8)
    moments = [[np.zeros_like(w) for w in network.weights] for _ in range(2)]
    losses = []
    for step in range(1, steps + 1):
        mixed, b = np.empty((2, batch, size, size), np.float32)
        kernel("mixtures", network.target, N=size)(step, size // 2, mixed)
        kernel("unit", network.target)(mixed.reshape(batch, -1), b.reshape(batch, -1))
        loss, gradient = loss_and_gradient(network, b, mask)
        slowed = rate * min(1.0, 2.0 * (1.0 - step / (steps + 1)))
        for w, g, m, v in zip(network.weights, gradient, *moments, strict=True):
            kernel("adam", network.target)(slowed, float(step), *(each.reshape(-1) for each in (g, m, v, w)))
        losses.append(loss)
    return losses
