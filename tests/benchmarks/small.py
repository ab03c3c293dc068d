"""Small cases for the tests of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.matmul.contender import Contender, Product, Stored
from benchmarks.matmul.problem import Array, Shape, Weights
from benchmarks.matmul.timing import Plan

SHAPE = Shape(256, 128, 32)
QUICK = Plan(rounds=3, calls=2, budget=0.01, block=0.001, settle=0.0, warm=0.0)


class Exact:
    """Stored weights that are the original ones, times `factor`."""

    def __init__(self, weights: Weights, factor: float) -> None:
        self.weights, self.factor = weights.values, factor
        self.nbytes = self.weights.nbytes

    def values(self) -> Array:
        return self.weights

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        return [Product(lambda: None, lambda: x @ self.weights * np.float32(self.factor)) for _ in range(copies)]


def numpy_contender(name: str, library: str = "numpy", bits: int = 32, factor: float = 1.0) -> Contender:
    def store(weights: Weights) -> Stored:
        return Exact(weights, factor)

    return Contender(name, library, "f32", bits, "f32", store)
