"""Weights rotated on both sides before they are rounded, so that no few of them are large (incoherence processing)."""

from __future__ import annotations

from math import gcd

import numpy as np
from networks.kernels import Array

from discquant.grid import Grid, Quantizer

LONGEST = 128
"""Numbers that are rotated together, at most: as large a power of two as divides a row."""


def rotated(quantizer: Quantizer, w: Array, seed: int, inverse: bool = False) -> Array:
    """H_out S_out w S_in H_in for w f32 [outputs, inputs], with block diagonal H and random signs S; or back."""
    inward = along_rows(quantizer, w, 2 * seed, inverse)
    return np.ascontiguousarray(along_rows(quantizer, np.ascontiguousarray(inward.T), 2 * seed + 1, inverse).T)


def along_rows(quantizer: Quantizer, w: Array, seed: int, inverse: bool) -> Array:
    found, run = np.empty_like(w), gcd(w.shape[1], LONGEST)
    kernel = quantizer.kernels("rotate", H=run, INVERSE=inverse)
    kernel(seed, w.shape[1] // run, w.reshape(-1, run), found.reshape(-1, run))
    return found


def rounded(quantizer: Quantizer, w: Array, grid: Grid, seed: int) -> Array:
    """w after rounding to nearest in rotated coordinates."""
    turned = rotated(quantizer, w, seed)
    return rotated(quantizer, quantizer.dequantize(quantizer.nearest(turned, grid), w.shape), seed, inverse=True)
