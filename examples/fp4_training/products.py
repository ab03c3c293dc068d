"""The three products of a linear layer in training, each of two quantized operands.

y = x w', dx = dy w, dw = dy' x: blocks and rotations run along what is summed over, so x, w and dy are each quantized
twice, once along their rows and once along their columns.
"""

from __future__ import annotations

from networks.kernels import Array

from fp4_training.recipe import Recipe
from fp4_training.tensors import Blocks, Fp4


class Fp4Products:
    """`networks.dense.Products` by a recipe. Every product has its own random signs and bits, which `seed` begins."""

    def __init__(self, fp4: Fp4, recipe: Recipe, seed: int = 0) -> None:
        self._fp4 = fp4
        self._recipe = recipe
        self._next = seed << 32
        self._signs: dict[str, int] = {}

    def forward(self, x: Array, w: Array, name: str) -> Array:
        self._signs[name] = signs = self._seed()
        return self._fp4.product(self._quantize(x, signs), self._quantize(w, signs))

    def backward(self, dy: Array, x: Array, w: Array, name: str, dw: Array) -> Array:
        along_outputs, along_rows = self._seed(), self._seed()
        dx = self._fp4.product(
            self._quantize(dy, along_outputs, gradient=True), self._quantize(w, along_outputs, transposed=True)
        )
        found = self._fp4.product(
            self._quantize(dy, along_rows, transposed=True, gradient=True),
            self._quantize(x, along_rows, transposed=True),
        )
        dw[...] = self._through_rounding(w, found, name)
        return dx

    def _quantize(self, x: Array, signs: int, *, transposed: bool = False, gradient: bool = False) -> Blocks:
        recipe = self._recipe
        if recipe.rotate:
            x, transposed = self._fp4.rotate(x, signs, transposed=transposed), False
        stochastic = gradient and recipe.stochastic
        seed = self._seed() if stochastic else 0
        return self._fp4.quantize(x, recipe.format, transposed=transposed, stochastic=stochastic, seed=seed)

    def _through_rounding(self, w: Array, g: Array, name: str) -> Array:
        """The gradient for the weights from that for what the forward product quantized them to."""
        recipe = self._recipe
        if recipe.estimator == "straight" and recipe.scale_slope == 0:
            return g
        arguments = (recipe.format, recipe.estimator, recipe.scale_slope)
        if not recipe.rotate:
            return self._fp4.gradient(w, g, *arguments)
        signs = self._signs[name]
        rotated = self._fp4.gradient(self._fp4.rotate(w, signs), self._fp4.rotate(g, signs), *arguments)
        return self._fp4.rotate_back(rotated, signs, w.shape[1])

    def _seed(self) -> int:
        self._next += 1
        return self._next
