"""A perceptron trained on digits; its Lipschitz constants around test digits, bounded in every way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np
from networks.kernels import Array, Layers
from networks.mlp import Mlp

from lipschitz.bounds import WAYS, Lipschitz, Network
from lipschitz.search import divide


@dataclass(frozen=True)
class Row:
    """Means over points: each way's bound, that of the search, and the greatest norm found at sampled points."""

    radius: float
    unstable: float
    bounds: dict[str, float]
    searched: float
    sampled: float
    seconds: dict[str, float]
    ordered: bool


def digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return (images[order] / 16).astype(np.float32), labels[order].astype(np.int32)


def train(layers: Layers, sizes: Sequence[int], epochs: int = 25) -> tuple[Network, Array, Array]:
    """A perceptron, and the test digits with their labels."""
    images, labels = digits()
    network = Mlp(layers, sizes, seed=0)
    rng = np.random.default_rng(0)
    steps = epochs * 14
    for step in range(steps):
        chosen = rng.choice(1400, 100, replace=False)
        network.step(images[chosen].astype(layers.dtype), labels[chosen], 2e-3 * (1 - step / steps))
    values = network.parameters.values
    depth = range(network.depth)
    found = Network(tuple(values[f"w{i}"] for i in depth), tuple(values[f"b{i}"] for i in depth))
    return found, images[1400:].astype(layers.dtype), labels[1400:]


def rows(lipschitz: Lipschitz, x: Array, labels: Array, radii: Sequence[float], cases: int) -> Iterator[Row]:
    """One row a radius, over the points x with the output of their label."""
    for way in WAYS:  # compiles
        lipschitz.norm(lipschitz.boxes(x[:1], radii[0]), 0, way)
    for radius in radii:
        bounds: dict[str, list[float]] = {way: [] for way in WAYS}
        seconds = dict.fromkeys((*WAYS, "search"), 0.0)
        searched, sampled, unstable = [], [], []
        for point, k in zip(x, labels, strict=True):
            box = lipschitz.boxes(point[None], radius)
            unstable.append(
                sum(float(((low < 0) & (high > 0)).sum()) for low, high in zip(box.low, box.high, strict=True))
            )
            for way in WAYS:
                started = perf_counter()
                bounds[way].append(float(lipschitz.norm(box, int(k), way).most[0]))
                seconds[way] += perf_counter() - started
            started = perf_counter()
            searched.append(divide(lipschitz, box, int(k), cases).most)
            seconds["search"] += perf_counter() - started
            sampled.append(_sampled(lipschitz, point, radius, int(k)))
        chain = zip(sampled, searched, *(bounds[way] for way in WAYS), strict=True)
        ordered = all(all(a <= b * (1 + 1e-5) for a, b in pairwise(row)) for row in chain)
        means = {way: float(np.mean(found)) for way, found in bounds.items()}
        each = {way: spent / len(x) for way, spent in seconds.items()}
        figures = (float(np.mean(unstable)), means, float(np.mean(searched)), float(np.mean(sampled)))
        yield Row(radius, *figures, each, ordered)


def _sampled(lipschitz: Lipschitz, point: Array, radius: float, k: int, count: int = 2000) -> float:
    noise = np.random.default_rng(0).uniform(-1, 1, (count, len(point)))
    noise[count // 2 :] = np.sign(noise[count // 2 :])
    return float(lipschitz.at((point + radius * noise).astype(point.dtype), k).max())
