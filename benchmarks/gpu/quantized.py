"""Weights rounded to the codes of one of vmc's types on the device, and packed for a kit's kernels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import vmc
from benchmarks.gpu.device import INSTALL
from benchmarks.gpu.problem import Tensor, Weights, group_scales, repeated
from benchmarks.matmul.contender import library
from benchmarks.matmul.problem import Shape
from benchmarks.matmul.vmc_kernels import code_values
from vmc.artifact.library import LoadedKernel
from vmc.ir.core import Storage


@dataclass(frozen=True, eq=False)
class Quantized:
    """Codes uint8[K, N], and scales f16[K / group, N], on the device."""

    element: str
    shape: Shape
    codes: Tensor
    scales: Tensor
    device: str
    packings: dict[Storage | None, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """What the type needs: its bits, and the scales."""
        return -(-self.codes.numel() * vmc.dtype(self.element).width // 8) + 2 * self.scales.numel()

    def values(self) -> Tensor:
        """f32[K, N]: what the codes stand for."""
        torch = library("torch", INSTALL)
        table = torch.from_numpy(code_values(self.element).astype(np.float32)).to(self.device)
        return table[self.codes.long()] * repeated(self.scales, self.shape.group, self.shape.k)

    def packed(self, kernel: LoadedKernel) -> Tensor:
        """The codes as the kernel wants them, a tensor on the device; kernels of one order share the bytes."""
        storage = kernel.storages["w"]
        if storage not in self.packings:
            self.packings[storage] = on_device(kernel, self.codes.cpu().numpy(), self.device)
        return self.packings[storage]


def on_device(kernel: LoadedKernel, codes: np.ndarray[Any, Any], device: str) -> Tensor:
    """Codes uint8[K, N] packed for a kernel's `w`, labelled; the tensor itself where elements are whole bytes."""
    torch = library("torch", INSTALL)
    parameter = kernel.parameter("w")
    if kernel.storages["w"] is None and not parameter.is_packed:
        return torch.from_numpy(codes.view(parameter.dtype.array_dtype)).to(device)
    return kernel.pack("w", codes).torch(device)


def fresh(kernel: LoadedKernel, packed: Tensor, shape: Shape) -> Tensor:
    """A copy of packed weights in memory of its own."""
    if not hasattr(packed, "element"):
        return packed.clone()
    return kernel.label("w", packed.clone(), (shape.k, shape.n))


_kept: dict[str, tuple[Weights, Quantized]] = {}


def quantized(element: str, weights: Weights) -> Quantized:
    """The nearest code of each weight, in units of its group's scale. Sources share it, until there are others."""
    if any(kept is not weights for kept, _ in _kept.values()):
        _kept.clear()
    if element not in _kept:
        _kept[element] = weights, rounded(element, weights)
    return _kept[element][1]


def rounded(element: str, weights: Weights) -> Quantized:
    torch = library("torch", INSTALL)
    values = code_values(element).astype(np.float32)
    usable = np.flatnonzero(np.isfinite(values))
    order = usable[np.argsort(values[usable], kind="stable")]
    levels = values[order]
    shape, device = weights.shape, weights.device.name
    scales = group_scales(weights.values, shape.group, float(np.abs(levels).max()))
    steps = repeated(scales, shape.group, shape.k)
    between = torch.from_numpy((levels[1:] + levels[:-1]) / 2).to(device)
    places = torch.bucketize(weights.values / steps, between)
    codes = torch.from_numpy(order.astype(np.uint8)).to(device)[places]
    return Quantized(element, shape, codes, scales, device)
