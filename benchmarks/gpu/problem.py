"""The products' weights and activations as tensors on the device, drawn afresh from a seed that is printed.

Weights are normally distributed f32[K, N]; every contender quantizes the same ones, with a scale for every `group` of
a column. Activations are normal f32[M, K] that f16 and bf16 hold exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.matmul import problem
from benchmarks.matmul.contender import library
from benchmarks.matmul.problem import Shape

Tensor = Any


@dataclass(frozen=True, eq=False)
class Weights(problem.Weights):
    """`values` f32[K, N] on `device`, before quantization."""

    device: Device


def generator(device: Device, *seeds: int) -> Any:
    """torch's random numbers on the device, from some integers."""
    torch = library("torch", INSTALL)
    mixed = 0
    for seed in seeds:
        mixed = (mixed * 1_000_003 + seed) % (1 << 62)
    return torch.Generator(device=device.name).manual_seed(mixed)


def make_weights(shape: Shape, device: Device, seed: int) -> Weights:
    torch = library("torch", INSTALL)
    random = generator(device, seed, shape.k, shape.n)
    values = torch.randn(shape.k, shape.n, generator=random, device=device.name, dtype=torch.float32)
    return Weights(shape, values, device)


def make_activations(m: int, k: int, device: Device, seed: int) -> Tensor:
    torch = library("torch", INSTALL)
    random = generator(device, seed, m, k, 1)
    values = torch.randn(m, k, generator=random, device=device.name, dtype=torch.float32)
    return values.to(torch.bfloat16).to(torch.float32)


def group_scales(values: Tensor, group: int, largest: float) -> Tensor:
    """f16[ceil(K / group), N]: per group the scale that maps its largest magnitude to `largest`."""
    torch = library("torch", INSTALL)
    k, n = values.shape
    whole = torch.nn.functional.pad(values, (0, 0, 0, -k % group))
    magnitudes = whole.abs().reshape(-1, group, n).amax(dim=1)
    return (magnitudes / largest).clamp_min(1e-4).to(torch.float16)


def repeated(scales: Tensor, group: int, k: int) -> Tensor:
    """f32[K, N]: each weight's scale."""
    torch = library("torch", INSTALL)
    return scales.to(torch.float32).repeat_interleave(group, dim=0)[:k]


def product(x: Tensor, weights: Tensor) -> Tensor:
    """f64[M, N] of f32[M, K] and f32[K, N], in f64, a part of the columns after the other."""
    torch = library("torch", INSTALL)
    step = max(1, (1 << 28) // max(1, weights.shape[0]) // 8)
    wide = x.to(torch.float64)
    parts = [wide @ part.to(torch.float64) for part in weights.split(step, dim=1)]
    return torch.cat(parts, dim=1)
