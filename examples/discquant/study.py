"""A small transformer is trained on text, its matrices are quantized in every way, and its distribution is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from networks.kernels import Array, Layers
from networks.text import SYMBOLS, python_topics, windows
from networks.transformer import Shape, Transformer

from discquant.descent import Plan, descend, kl
from discquant.gptq import round_network
from discquant.grid import Codes, Grid, Quantizer
from discquant.products import Served
from discquant.rotation import rounded

SHAPE = Shape(symbols=len(SYMBOLS), width=128, blocks=2, depth=32, context=64)
GRIDS = {"2": Grid(2), "3": Grid(3), "3.25": Grid(3, group=64)}
"""By bits for a weight, without the scale of a whole row, which is less than 0.13."""


@dataclass(frozen=True)
class Sizes:
    """`training` steps of `sequences` sequences; `calibration` and `test` batches of them."""

    training: int = 1200
    sequences: int = 8
    calibration: int = 96
    test: int = 24


@dataclass(frozen=True)
class Result:
    """`divergence`: the mean KL to the network as trained, on text that nothing was fitted to, in nats a symbol;
    `served` the same with products by matmul_wa16. `loss`: of the text itself, nats a symbol.
    """

    bits: str
    method: str
    divergence: float
    served: float
    loss: float
    seconds: float
    fractional: float = 0.0


class Study:
    """`start` trains; then `run` quantizes."""

    def __init__(self, layers: Layers, shape: Shape, sizes: Sizes, say: Callable[[str], None]) -> None:
        self._layers, self.shape, self.sizes, self._say = layers, shape, sizes, say
        self.quantizer = Quantizer(layers.kernels.target)
        self.network = Transformer(layers, shape, seed=0)
        text = python_topics()
        cut = len(text) * 9 // 10
        self.text, held = text[:cut], text[cut:]
        rng = np.random.default_rng(1)
        self._calibration = [
            windows(self.text, sizes.sequences, shape.context, rng)[0] for _ in range(sizes.calibration)
        ]
        self._test = [windows(held, sizes.sequences, shape.context, rng) for _ in range(sizes.test)]
        self._wanted: list[Array] = []
        self._test_wanted: list[Array] = []
        self.loss = 0.0

    def start(self, weights: Path | None = None) -> None:
        """Trains the network, or reads `weights`, a file that else is written; keeps its logits for all batches."""
        if weights is not None and weights.exists():
            self.network.parameters.flat[...] = np.load(weights)
        else:
            self._learn()
            if weights is not None:
                np.save(weights, self.network.parameters.flat)
        self._wanted = [self.network.forward(ids)[0] for ids in self._calibration]
        self._test_wanted = [self.network.forward(ids)[0] for ids, _ in self._test]
        self.loss = self._loss(self.network)

    def _learn(self) -> None:
        rng = np.random.default_rng(0)
        steps = self.sizes.training
        for step in range(steps):
            ids, targets = windows(self.text, self.sizes.sequences, self.shape.context, rng)
            loss = self.network.gradients(ids, targets)
            self.network.parameters.adam(3e-3 * min(1.0, (step + 1) / 50) * (1 - step / steps), beta2=0.99)
            if step % 100 == 0:
                self._say(f"step {step} of {steps}: loss {loss:.3f}")

    def run(self, bits: str, plan: Plan) -> Iterator[Result]:
        """The results of all methods at so many bits, a key of GRIDS."""
        grid = GRIDS[bits]
        weights = {name: self.network.parameters.values[name] for name in self.shape.matrices}

        def nearest() -> tuple[dict[str, Codes], float]:
            return {name: self.quantizer.nearest(w, grid) for name, w in weights.items()}, 0.0

        def gptq(ordered: bool) -> tuple[dict[str, Codes], float]:
            network = self._copy()
            return round_network(self.quantizer, network, self._calibration, grid, ordered), 0.0

        def discquant() -> tuple[dict[str, Codes], float]:
            rng = np.random.default_rng(2)

            def batch() -> tuple[Array, Array]:
                chosen = int(rng.integers(len(self._calibration)))
                return self._calibration[chosen], self._wanted[chosen]

            found = descend(self.quantizer, self._copy(), batch, grid, plan, seed=3)
            return found.codes, found.fractional

        methods = {
            "to nearest": nearest,
            "GPTQ": lambda: gptq(False),
            "GPTQ, act-order": lambda: gptq(True),
            "DiscQuant": discquant,
        }
        for method, quantize in methods.items():
            started = perf_counter()
            codes, fractional = quantize()
            yield replace(self._measure(bits, method, codes, perf_counter() - started), fractional=fractional)
        yield self.rotated(bits)

    def rotated(self, bits: str) -> Result:
        """Rounding to nearest in coordinates rotated on both sides; what is multiplied are the weights turned back."""
        started, network = perf_counter(), self._copy()
        for place, name in enumerate(self.shape.matrices):
            w = network.parameters.values[name]
            w[...] = rounded(self.quantizer, w, GRIDS[bits], seed=place)
        elapsed = perf_counter() - started
        return Result(
            bits, "to nearest, rotated", self._divergence(network), float("nan"), self._loss(network), elapsed
        )

    def _measure(self, bits: str, method: str, codes: dict[str, Codes], seconds: float) -> Result:
        network = self._copy()
        for name, found in codes.items():
            w = network.parameters.values[name]
            w[...] = self.quantizer.dequantize(found, w.shape)
        divergence, loss = self._divergence(network), self._loss(network)
        network.products = Served(self._layers, codes, self.shape.matrices)
        return Result(bits, method, divergence, self._divergence(network), loss, seconds)

    def _divergence(self, network: Transformer) -> float:
        pairs = zip(self._test, self._test_wanted, strict=True)
        return float(np.mean([kl(self.quantizer, wanted, network.forward(ids)[0])[0] for (ids, _), wanted in pairs]))

    def _loss(self, network: Transformer) -> float:
        return float(np.mean([network.loss(network.forward(ids)[0], t.reshape(-1))[0] for ids, t in self._test]))

    def _copy(self) -> Transformer:
        network = Transformer(self._layers, self.shape, seed=0)
        network.parameters.flat[...] = self.network.parameters.flat
        return network
