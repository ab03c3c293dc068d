"""Every contender is compared with float64 before it is timed: its product, and the weights that it stores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.matmul.contender import ERROR_BOUNDS, Contender, Product
from benchmarks.matmul.problem import Array

WEIGHT_BOUNDS = {1: 0.95, 2: 0.9, 3: 0.5, 4: 0.25, 5: 0.15, 6: 0.1, 7: 0.1, 8: 0.1, 16: 0.01, 32: 1e-6}
"""How far stored weights may be from the original ones: a guard against comparing a product of something else."""


@dataclass(frozen=True)
class Accuracy:
    """Relative errors, as norms: of the product given the stored weights, and of the stored weights themselves."""

    product: float
    weights: float

    def complaint(self, contender: Contender) -> str | None:
        """What is wrong, None if nothing."""
        bound = ERROR_BOUNDS[contender.compute]
        if not self.product <= bound:
            return f"product off by {self.product:.2g}, more than {bound:.0e} for {contender.compute}"
        bound = WEIGHT_BOUNDS[contender.bits]
        if not self.weights <= bound:
            return f"stored weights off by {self.weights:.2g}, more than {bound} for {contender.bits} bits"
        return None


def relative(found: Array, expected: Array) -> float:
    """The norm of the difference over that of what was expected; inf where something is not finite."""
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    return error if np.isfinite(error) else float("inf")


def accuracy(product: Product, x: Array, stored: Array, original: Array) -> Accuracy:
    """Runs the product once. `stored` and `original` are the weights f32[K, N]."""
    product.before()
    product.run()
    expected = x.astype(np.float64) @ stored.astype(np.float64)
    return Accuracy(relative(product.result(), expected), relative(stored, original))
