"""Tensors of four-bit blocks, made, read and multiplied by the kernels of fp4.vmc."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from networks.kernels import Array, Kernels

import vmc
from fp4_training.recipe import ESTIMATORS, Format

PROGRAM = Path(__file__).with_name("fp4.vmc")
STAGES = 5
"""A rotation mixes 2**STAGES numbers: the longest block."""


@dataclass(frozen=True)
class Blocks:
    """`codes` are packed f4e2m1 [rows, columns], columns a multiple of the block; `scales` [rows, columns / block] are
    bit patterns of the format's scale; `most` f32 [1] is the tensor's greatest magnitude, or 0 where the format has no
    use for it.
    """

    format: Format
    codes: Array
    scales: Array
    most: Array
    shape: tuple[int, int]


class Fp4:
    """The kernels for one target."""

    def __init__(self, target: str = "cpu") -> None:
        self._kernels = Kernels(PROGRAM, target)

    def quantize(
        self, x: Array, format: Format, *, transposed: bool = False, stochastic: bool = False, seed: int = 0
    ) -> Blocks:
        """x f32 [M, K] in blocks along its rows; `transposed`, its transpose in blocks along the columns of x."""
        rows, length = reversed(x.shape) if transposed else x.shape
        columns = -(-length // format.block) * format.block
        most = self._greatest(x, format)
        codes, scales = _codes(rows, columns), np.empty((rows, columns // format.block), np.uint8)
        kernel = self._kernels("quantize", **_bindings(format), TRANSPOSED=transposed, STOCHASTIC=stochastic)
        kernel(seed, most, x, codes, scales)
        return Blocks(format, codes, scales, most, (rows, columns))

    def dequantize(self, blocks: Blocks) -> Array:
        """The numbers f32 that the blocks stand for."""
        y = np.empty(blocks.shape, np.float32)
        self._kernels("dequantize", **_bindings(blocks.format))(blocks.most, blocks.codes, blocks.scales, y)
        return y

    def lost(self, x: Array, format: Format) -> tuple[float, float]:
        """The sums of (Q(x) - x)^2 and of x^2, x [rows, K] with K a multiple of the block."""
        y = self.dequantize(self.quantize(x, format))
        error, power = np.empty(-(-x.size // 1024)), np.empty(-(-x.size // 1024))
        self._kernels("lost")(x.reshape(-1), y.reshape(-1), error, power)
        return float(error.sum()), float(power.sum())

    def product(self, a: Blocks, b: Blocks) -> Array:
        """a @ b.T, f32; both of one format."""
        y = np.empty((a.shape[0], b.shape[0]), np.float32)
        kernel = self._kernels("product", **_bindings(a.format))
        kernel(a.most, a.codes, a.scales, b.most, b.codes, b.scales, y)
        return y

    def rotate(self, x: Array, seed: int, *, transposed: bool = False) -> Array:
        """Rows (columns, `transposed`) of x, filled up to whole runs of 2**STAGES, times a random Hadamard matrix."""
        rows, length = reversed(x.shape) if transposed else x.shape
        y = np.empty((rows, -(-length // 2**STAGES) * 2**STAGES), x.dtype)
        self._rotation(x, TRANSPOSED=transposed)(seed, x, y)
        return y

    def rotate_back(self, x: Array, seed: int, columns: int) -> Array:
        """Undoes `rotate` of rows; the first `columns` columns."""
        y = np.empty((x.shape[0], columns), x.dtype)
        self._rotation(x, INVERSE=True)(seed, x, y)
        return y

    def gradient(self, x: Array, g: Array, format: Format, estimator: str, scale_slope: float) -> Array:
        """The gradient for x from `g`, that for what `quantize` makes of it along rows."""
        dx = np.empty_like(x)
        kernel = self._kernels(
            "quantize_gradient",
            **_bindings(format),
            ESTIMATOR=ESTIMATORS.index(estimator),
            SCALE_SLOPE=scale_slope,
        )
        kernel(self._greatest(x, format), x, g, dx)
        return dx

    def _rotation(self, x: Array, **bindings: bool) -> vmc.Kernel:
        return self._kernels("rotate", T="f64" if x.dtype == np.float64 else "f32", STAGES=STAGES, **bindings)

    def _greatest(self, x: Array, format: Format) -> Array:
        most = np.zeros(1, np.float32)
        if format.tensor:
            self._kernels("greatest")(x.reshape(-1), most)
        return most


def _bindings(format: Format) -> dict[str, str | int | bool]:
    return {"S": format.scale, "B": format.block, "TENSOR": format.tensor}


def _codes(rows: int, columns: int) -> Array:
    return vmc.pack(_zeros(rows, columns), "f4e2m1").copy()


@cache
def _zeros(rows: int, columns: int) -> Array:
    return np.zeros((rows, columns), np.uint8)
