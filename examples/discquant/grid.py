"""Matrices on grids: codes of few bits and one scale for every group of weights along a row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks.kernels import Array, Kernels

import vmc
from vmc.ir.types import dtype

PROGRAM = Path(__file__).with_name("discquant.vmc")


@dataclass(frozen=True)
class Grid:
    """`bits` of a code; `group` weights share a scale of 16 bits, or a whole row where it is 0."""

    bits: int
    group: int = 0

    @property
    def type(self) -> str:
        return f"u{self.bits}"

    def of(self, inputs: int) -> dict[str, str | int]:
        """What the kernels are bound to for rows of `inputs` weights. Raises ValueError where no group fits."""
        group = self.group or inputs
        if inputs % group:
            raise ValueError(f"groups of {group} do not divide the {inputs} inputs of a layer")
        return {"T": self.type, "G": group}


@dataclass(frozen=True)
class Codes:
    """Codes [outputs, inputs] of the grid's type, packed, and scales f16 [outputs, inputs / group]."""

    grid: Grid
    codes: Array
    scale: Array


@dataclass(frozen=True)
class Neighbours:
    """The codes below and above every weight, packed, the scales, and the weights' places between them, f32."""

    grid: Grid
    down: Array
    up: Array
    scale: Array
    y: Array


class Quantizer:
    """The kernels for one target."""

    def __init__(self, target: str = "cpu") -> None:
        self.kernels = Kernels(PROGRAM, target)

    def scales(self, w: Array, grid: Grid) -> Array:
        """Scales f16 of w f32 [outputs, inputs]."""
        bindings = grid.of(w.shape[1])
        scale = np.empty((w.shape[0], w.shape[1] // int(bindings["G"])), np.float16)
        self.kernels("group_grid", **bindings)(w, scale)
        return scale

    def nearest(self, w: Array, grid: Grid) -> Codes:
        """Every weight at the nearest code."""
        codes, scale = empty_codes(w.shape, grid), self.scales(w, grid)
        self.kernels("round_to_nearest", **grid.of(w.shape[1]))(w, scale, codes)
        return Codes(grid, codes, scale)

    def neighbours(self, w: Array, grid: Grid) -> Neighbours:
        down, up, scale = empty_codes(w.shape, grid), empty_codes(w.shape, grid), self.scales(w, grid)
        y = np.empty(w.shape, np.float32)
        self.kernels("neighbours", **grid.of(w.shape[1]))(w, scale, down, up, y)
        return Neighbours(grid, down, up, scale, y)

    def choose(self, x: Array, between: Neighbours) -> Codes:
        """The upper code where x f32 [outputs, inputs] is more than a half, else the lower one."""
        codes = empty_codes(x.shape, between.grid)
        self.kernels("choose", T=between.grid.type)(x, between.down, between.up, codes)
        return Codes(between.grid, codes, between.scale)

    def dequantize(self, found: Codes, shape: tuple[int, ...]) -> Array:
        w = np.empty(shape, np.float32)
        self.kernels("dequantize", **found.grid.of(shape[1]))(found.codes, found.scale, w)
        return w

    def distance(self, a: Array, b: Array) -> float:
        """The sum of (a - b)^2."""
        rows = np.empty(len(a), np.float32)
        self.kernels("squared_distance")(a, b, rows)
        return float(rows.sum(dtype=np.float64))


def empty_codes(shape: tuple[int, ...], grid: Grid) -> Array:
    return vmc.pack(np.zeros(shape, np.uint8), grid.type)


def plain(found: Codes, shape: tuple[int, ...]) -> Array:
    """The codes as uint8 [outputs, inputs]."""
    return vmc.unpack(np.asarray(found.codes), dtype(found.grid.type), shape)
