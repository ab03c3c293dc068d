"""The paper's figures, small: tightness at the start, over width and depth, and after training by boxes or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import pi

import numpy as np
from networks.kernels import Array, Layers
from networks.mlp import Mlp

from ibp.boxes import Certified, Ibp
from ibp.tightness import of_matrices, of_network

RADIUS = 0.06
"""Of a pixel, 0 to 1, at which digits are certified."""


def at_start(ibp: Ibp, width: int, depth: int, seeds: int) -> tuple[float, float]:
    """The mean tightness of linear networks with `depth` normal matrices, 64 inputs and 10 outputs; and its spread."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        sizes = [64, *[width] * (depth - 1), 10]
        matrices = [
            rng.normal(0, inputs**-0.5, (outputs, inputs)).astype(ibp.layers.dtype)
            for inputs, outputs in pairwise(sizes)
        ]
        found.append(float(of_matrices(ibp, matrices).mean()))
    return float(np.mean(found)), float(np.std(found))


def foretold(width: int) -> float:
    """The paper's limit for one hidden layer: sqrt(pi / (2 width))."""
    return (pi / (2 * width)) ** 0.5


@dataclass(frozen=True)
class Trained:
    """`certified`: the share of test digits that no change of RADIUS moves to another class, as the boxes prove."""

    method: str
    width: int
    depth: int
    tightness_start: float
    tightness: float
    accuracy: float
    certified: float


@dataclass(frozen=True)
class Digits:
    images: Array
    labels: Array

    @staticmethod
    def load() -> Digits:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]

        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(images))
        return Digits((images[order] / 16).astype(np.float32), labels[order].astype(np.int32))


def train(layers: Layers, digits: Digits, width: int, depth: int, by_boxes: bool, epochs: int) -> Trained:
    """A perceptron with `depth` matrices, trained on 1400 digits; `by_boxes`, on the worst logits, the radius growing
    from 0 over the first half (Gowal et al. 2018), else on its logits.
    """
    ibp = Ibp(layers)
    network = Mlp(layers, [64, *[width] * (depth - 1), 10], seed=0)
    certified = Certified(ibp, network)
    rng = np.random.default_rng(0)
    batch = 100
    steps = epochs * 1400 // batch
    held = digits.images[1400:], digits.labels[1400:]
    before = float(of_network(ibp, network, held[0]).mean())
    for step in range(steps):
        chosen = rng.choice(1400, batch, replace=False)
        grown = min(1.0, 2 * step / steps)
        share = 1 - 0.5 * grown if by_boxes else 1.0
        rate = 2e-3 * (1 - step / steps)
        certified.step(digits.images[chosen], digits.labels[chosen], RADIUS * grown, share, rate)
    logits = network.forward(held[0])[-1]
    worst = certified.propagate(held[0], RADIUS, held[1]).worst
    others = np.where(np.arange(10) == held[1][:, None], -np.inf, worst)
    return Trained(
        "boxes" if by_boxes else "plain",
        width,
        depth,
        before,
        float(of_network(ibp, network, held[0]).mean()),
        float((logits.argmax(axis=1) == held[1]).mean()),
        float((others.max(axis=1) < 0).mean()),
    )


def trained(layers: Layers, epochs: int) -> Iterator[Trained]:
    """Over widths at three matrices, and over depths at width 64."""
    digits = Digits.load()
    for by_boxes in (False, True):
        for width, depth in ((16, 3), (64, 3), (256, 3), (64, 2), (64, 5)):
            yield train(layers, digits, width, depth, by_boxes, epochs)
