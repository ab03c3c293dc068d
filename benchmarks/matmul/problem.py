"""What is multiplied: activations f32[M, K], weights f32[K, N], and the plain rounding of weights by groups.

Weights and activations are normally distributed, as those of a network are, roughly; every contender quantizes the same
ones. A *group* is a run of consecutive rows of one column that shares a scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SEED = 20261124


@dataclass(frozen=True)
class Shape:
    """Weights of K rows (summed over) and N columns, with a scale for every `group` rows."""

    k: int
    n: int
    group: int

    def __str__(self) -> str:
        return f"K={self.k} N={self.n} group {self.group}"


@dataclass(frozen=True, eq=False)
class Weights:
    """`values` f32[K, N] before quantization."""

    shape: Shape
    values: Array


def make_weights(shape: Shape) -> Weights:
    """Normal weights, the same for every group size."""
    random = np.random.default_rng([SEED, shape.k, shape.n])
    return Weights(shape, random.standard_normal((shape.k, shape.n), dtype=np.float32))


def make_activations(m: int, k: int) -> Array:
    """Normal activations, f32[M, K], that f16 and bf16 hold exactly: what rounding them costs is not measured."""
    random = np.random.default_rng([SEED, m, k])
    bits: Array = random.standard_normal((m, k), dtype=np.float32).view(np.uint32)
    return np.asarray((bits & np.uint32(0xFFFF0000)).view(np.float32))


def group_scales(values: Array, group: int, largest: float) -> Array:
    """f16[K / group, N]: per group the scale that maps its largest magnitude to `largest`."""
    k, n = values.shape
    magnitudes = np.abs(values).reshape(k // group, group, n).max(axis=1)
    return np.asarray(np.maximum(magnitudes / np.float32(largest), np.float32(1e-4)), np.float16)


def divided(values: Array, scales: Array, group: int) -> Array:
    """f32[K, N]: the values in units of their group's scale."""
    return values / np.repeat(scales.astype(np.float32), group, axis=0)


def rounded(values: Array, group: int, low: int, high: int) -> tuple[Array, Array]:
    """Integers low..high, i16[K, N], and scales f16[K / group, N], whose product is near the values."""
    scales = group_scales(values, group, max(-low, high))
    return np.clip(np.rint(divided(values, scales, group)), low, high).astype(np.int16), scales


def restored(integers: Array, scales: Array, group: int) -> Array:
    """f32[K, N]: what integers and scales stand for."""
    return integers.astype(np.float32) * np.repeat(scales.astype(np.float32), group, axis=0)


def packed_bits(codes: Array, bits: int) -> Array:
    """uint8: codes of 1, 2, 4 or 8 bits along the last axis, the first in the lowest bits."""
    each = 8 // bits
    lanes = codes.astype(np.uint8).reshape(*codes.shape[:-1], codes.shape[-1] // each, each)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return np.ascontiguousarray(np.bitwise_or.reduce(lanes << shifts, axis=-1))
