"""Three ways to compute x @ w for a linear layer of the model, the bias left to the caller.

`dense` is the f32 baseline; `VmcLinear` runs the kernel `linear` of encoder.vmc on quantized weights; `NumpyLinear`
computes what that kernel computes, rounding where it rounds, for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd
from pathlib import Path

import numpy as np
from ml_dtypes import bfloat16

import vmc
from minilm.quantize import Quantized
from minilm.weights import F32
from vmc.ir.types import packed_size

Linear = Callable[[F32, str], F32]
"""Multiplies x f32 [M, K] by the weights [K, N] of the layer of that name; gives f32 [M, N]."""

KERNELS = Path(__file__).with_name("encoder.vmc")


def dense(weights: Mapping[str, F32]) -> Linear:
    """Products with f32 weights."""
    return lambda x, layer: x @ weights[layer]


class NumpyLinear:
    """The kernel's arithmetic in NumPy: activations rounded to bf16, whole weights, a group's sum times its scale."""

    def __init__(self, layers: Mapping[str, Quantized]) -> None:
        self._layers = dict(layers)
        self._levels = {name: layer.levels() for name, layer in layers.items()}
        self.weight_bytes = stored_bytes(layers)

    def __call__(self, x: F32, layer: str) -> F32:
        found = self._layers[layer]
        rounded = x.astype(bfloat16).astype(np.float32)
        groups = rounded.reshape(len(x), -1, found.group).transpose(1, 0, 2)
        parts = groups @ self._levels[layer].reshape(-1, found.group, found.codes.shape[1])
        product: F32 = (parts * found.scales.astype(np.float32)[:, None, :]).sum(axis=0)
        return product


class VmcLinear:
    """Products by vmc: the kernel compiled for the type of `layers` (one type and group for all of them)."""

    def __init__(self, layers: Mapping[str, Quantized]) -> None:
        first = next(iter(layers.values()))
        step = gcd(first.group, 64)
        self._kernel = vmc.compile(KERNELS, "linear", T=first.type, BK=step, G=first.group)
        self._scales = {name: layer.scales for name, layer in layers.items()}
        self._packed = {name: self._kernel.pack("w", layer.codes) for name, layer in layers.items()}
        self.weight_bytes = stored_bytes(layers)

    def __call__(self, x: F32, layer: str) -> F32:
        scales = self._scales[layer]
        y = np.empty((x.shape[0], scales.shape[1]), np.float32)
        self._kernel(x, self._packed[layer], scales, y)
        return y


def stored_bytes(layers: Mapping[str, Quantized]) -> int:
    """The bytes of all codes, without what kernels pad them by."""
    return sum(packed_size(layer.codes.size, layer.type) for layer in layers.values())
