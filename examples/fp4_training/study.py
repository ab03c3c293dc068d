"""Trains a perceptron on handwritten digits and a transformer on text, one recipe after another, and ranks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from time import perf_counter

import numpy as np
from networks.dense import Dense, Products
from networks.kernels import Array, Layers
from networks.mlp import Mlp
from networks.text import SYMBOLS, python_topics, windows
from networks.transformer import Shape, Transformer

from fp4_training.products import Fp4Products
from fp4_training.recipe import E4M3, MXFP4, NVFP4, UE5M3, Recipe
from fp4_training.tensors import Fp4

RECIPES: Mapping[str, Recipe | None] = {
    "f32": None,
    "MXFP4": Recipe(MXFP4),
    "MXFP4 + SR": Recipe(MXFP4, stochastic=True),
    "MXFP4 + RHT": Recipe(MXFP4, rotate=True),
    "MXFP4 + RHT + SR": Recipe(MXFP4, rotate=True, stochastic=True),
    "E4M3/16": Recipe(E4M3),
    "E4M3/16 + RHT + SR": Recipe(E4M3, rotate=True, stochastic=True),
    "NVFP4": Recipe(NVFP4),
    "NVFP4 + SR": Recipe(NVFP4, stochastic=True),
    "NVFP4 + RHT": Recipe(NVFP4, rotate=True),
    "NVFP4 + RHT + SR": Recipe(NVFP4, rotate=True, stochastic=True),
    "UE5M3/16": Recipe(UE5M3),
    "UE5M3/16 + SR": Recipe(UE5M3, stochastic=True),
    "UE5M3/16 + RHT + SR": Recipe(UE5M3, rotate=True, stochastic=True),
    "NVFP4 + RHT + SR, power": Recipe(NVFP4, rotate=True, stochastic=True, estimator="power"),
    "NVFP4 + RHT + SR, sigmoid": Recipe(NVFP4, rotate=True, stochastic=True, estimator="sigmoid"),
    "NVFP4 + RHT + SR, spline": Recipe(NVFP4, rotate=True, stochastic=True, estimator="spline"),
    "NVFP4 + RHT + SR, spline and scale": Recipe(
        NVFP4, rotate=True, stochastic=True, estimator="spline", scale_slope=1.0
    ),
}
"""What is trained, and the plain network that all is compared with."""


@dataclass(frozen=True)
class Outcome:
    """`train` is the mean loss of the last tenth of the steps, `test` the loss of data not trained on, both the mean
    over the seeds; `tests` is each seed's; `accuracy` the share of digits named rightly, or of symbols foretold.
    """

    recipe: str
    train: float
    test: float
    accuracy: float
    tests: tuple[float, ...]
    seconds: float


Run = Callable[[Products, int], tuple[float, float, float]]
"""Trains with these products from a seed; gives train loss, test loss, accuracy."""


def rank(run: Run, layers: Layers, recipes: Sequence[str], seeds: int) -> Iterator[Outcome]:
    """The outcomes of recipes of RECIPES, in that order."""
    fp4 = Fp4(layers.kernels.target)
    for name in recipes:
        recipe = RECIPES[name]
        started = perf_counter()
        found = []
        for seed in range(seeds):
            products = Dense(layers) if recipe is None else Fp4Products(fp4, recipe, seed + 1)
            found.append(run(products, seed))
        train, test, accuracy = (mean(column) for column in zip(*found, strict=True))
        yield Outcome(name, train, test, accuracy, tuple(row[1] for row in found), perf_counter() - started)


@dataclass(frozen=True)
class Digits:
    """Images of 8 x 8, of which the last 397 are not trained on."""

    layers: Layers
    images: Array
    labels: Array
    epochs: int = 30
    batch: int = 100
    rate: float = 2e-3

    @staticmethod
    def load(layers: Layers, epochs: int = 30) -> Digits:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]

        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(images))
        return Digits(layers, images[order].astype(np.float32) / 16, labels[order].astype(np.int32), epochs)

    def __call__(self, products: Products, seed: int) -> tuple[float, float, float]:
        network = Mlp(self.layers, (64, 96, 96, 10), seed, products)
        rng = np.random.default_rng(seed)
        images, labels = self.images[:1400], self.labels[:1400]
        losses = []
        steps = self.epochs * (len(images) // self.batch)
        for step in range(steps):
            chosen = rng.choice(len(images), self.batch, replace=False)
            losses.append(network.step(images[chosen], labels[chosen], self.rate * (1 - step / steps)))
        logits = network.forward(self.images[1400:])[-1]
        test, _ = network.loss(logits, self.labels[1400:])
        right = float((logits.argmax(axis=1) == self.labels[1400:]).mean())
        return mean(losses[-max(1, steps // 10) :]), test, right


@dataclass(frozen=True)
class Text:
    """Python's own documentation, symbol by symbol; its last tenth is not trained on."""

    layers: Layers
    shape: Shape
    steps: int = 400
    sequences: int = 12
    rate: float = 3e-3

    @staticmethod
    def load(layers: Layers, steps: int = 400) -> Text:
        return Text(layers, Shape(symbols=len(SYMBOLS), width=64, blocks=2, depth=16, context=64), steps)

    def __call__(self, products: Products, seed: int) -> tuple[float, float, float]:
        text = python_topics()
        cut = len(text) * 9 // 10
        network = Transformer(self.layers, self.shape, seed, products)
        rng = np.random.default_rng(seed)
        losses = []
        for step in range(self.steps):
            ids, targets = windows(text[:cut], self.sequences, self.shape.context, rng)
            losses.append(network.gradients(ids, targets))
            warm = min(1.0, (step + 1) / 20)
            network.parameters.adam(self.rate * warm * (1 - step / self.steps), beta2=0.99)
        ids, targets = windows(text[cut:], 100, self.shape.context, np.random.default_rng(99))
        logits, _ = network.forward(ids)
        test, _ = network.loss(logits, targets.reshape(-1))
        right = float((logits.argmax(axis=1) == targets.reshape(-1)).mean())
        return mean(losses[-max(1, self.steps // 10) :]), test, right
