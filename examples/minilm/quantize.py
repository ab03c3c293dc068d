"""Group-wise quantization of f32 weights to any type of at most 8 bits, with the scale of least squared error.

The G weights of a column that share an f16 scale s are stored as codes of the type: w ~ (code - zero_point) * s.
Integers use s of either sign, so that the weight of largest magnitude may meet the longer, negative end of the range.
The search tries a grid of scales around the one that just avoids clipping: clipping a few large weights pays at low
widths, where it leaves the many small ones a finer step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minilm.weights import F32
from vmc.ir.types import DType, dtype

MIN_SCALE = np.float32(2.0**-14)
"""The smallest normal f16; a smaller scale would lose bits of its own."""

FLOAT_END = 512.0
"""Where the range of floats is used to, if they go on: it keeps f16 scales normal, and every level finite in f16."""

SHRINK = np.linspace(0.4, 1.0, 13, dtype=np.float32)
"""Scales to try, relative to the one that maps the largest weight to the end of the range."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """A matrix [K, N] of type `type`: codes uint8 [K, N], scales f16 [K // group, N]."""

    type: DType
    group: int
    codes: npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float16]

    def levels(self) -> F32:
        """f32 [K, N]: the values of the codes less the zero point, in units of the scales."""
        return np.asarray(self.type.decode(self.codes).astype(np.float32) - np.float32(self.type.zero_point))

    def decode(self) -> F32:
        """The weights f32 [K, N] that the codes stand for."""
        return self.levels() * np.repeat(self.scales.astype(np.float32), self.group, axis=0)


def quantize(weight: F32, type_name: str, group: int) -> Quantized:
    """Quantize `weight` f32 [K, N] to the type named `type_name`, one scale for `group` weights of a column.

    Raises as `check_fits`.
    """
    check_fits(type_name, weight.shape[0], group)
    element = dtype(type_name)
    groups = weight.reshape(-1, group, weight.shape[1])
    scales = _best_scales(groups, element)
    levels = round_to_levels(groups / scales.astype(np.float32)[:, None, :], element)
    codes = element.encode(levels + np.float32(element.zero_point)).astype(np.uint8)
    return Quantized(element, group, codes.reshape(weight.shape), scales)


def check_fits(type_name: str, rows: int, group: int) -> None:
    """Raise ValueError if the type cannot hold weights, or if groups of `group` do not divide `rows`.

    A type must have at most 8 bits and negative values. UnknownTypeError if there is none of that name.
    """
    element = dtype(type_name)
    if element.width > 8:
        raise ValueError(f"{element} has {element.width} bits; weights here have at most 8")
    if level_range(element)[0] >= 0:
        raise ValueError(f"{element} has no negative values, so it cannot hold weights")
    if group < 1 or rows % group:
        raise ValueError(f"groups of {group} do not divide the {rows} rows of a weight")


def round_to_levels(values: F32, element: DType) -> F32:
    """The nearest values (ties to even) that `element` can hold, less its zero point; larger ones saturate."""
    low, high = level_range(element)
    clipped = np.clip(values, np.float32(low), np.float32(high))
    if element.is_int:
        return np.rint(clipped)
    # The bits of an f32's exponent alone are the power of two below it: that fixes the step between its neighbours.
    power = (clipped.view(np.uint32) & np.uint32(0x7F80_0000)).view(np.float32)
    step = np.maximum(power, np.float32(2.0**element.min_exponent)) * np.float32(2.0**-element.mantissa_bits)
    rounded: F32 = np.rint(clipped / step) * step
    return rounded


def level_range(element: DType) -> tuple[float, float]:
    """The least and the largest value of `element` less its zero point."""
    return float(element.min) - element.zero_point, float(element.max) - element.zero_point


def _best_scales(groups: F32, element: DType) -> npt.NDArray[np.float16]:
    """Of the candidates, the scales f16 [K // G, N] that leave the least squared error in `groups` [K // G, G, N]."""
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=1)[:, None, :], axis=1)[:, 0, :]
    least = np.full(largest.shape, np.inf, np.float32)
    best = np.zeros(largest.shape, np.float16)
    for end in _ends(element):
        for shrink in SHRINK:
            scales = _as_scale(largest * (shrink / np.float32(end)))
            error = _squared_error(groups, scales, element)
            best = np.where(error < least, scales, best)
            least = np.minimum(error, least)
    return best


def _ends(element: DType) -> list[float]:
    """The levels that the largest weight of a group may be mapped to."""
    low, high = level_range(element)
    return [end for end in (low, high) if end] if element.is_int else [min(high, FLOAT_END)]


def _as_scale(values: F32) -> npt.NDArray[np.float16]:
    return np.copysign(np.maximum(np.abs(values), MIN_SCALE), values).astype(np.float16)


def _squared_error(groups: F32, scales: npt.NDArray[np.float16], element: DType) -> F32:
    factor = scales.astype(np.float32)[:, None, :]
    difference = round_to_levels(groups / factor, element) * factor - groups
    error: F32 = np.einsum("gkn,gkn->gn", difference, difference)
    return error
