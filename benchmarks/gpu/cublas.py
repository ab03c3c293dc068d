"""The dense products of torch, which cuBLAS computes: what low-bit weights have to beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.peers import Tensors
from benchmarks.gpu.problem import Tensor, Weights
from benchmarks.matmul.contender import Contender, library

DENSE = "cuBLAS f16"


def contenders(device: Device) -> list[Contender]:
    """Raises Missing."""
    torch = library("torch", INSTALL)
    return [
        Contender(DENSE, "cublas", "f16", 16, "f16", lambda weights: store(weights, torch.float16)),
        Contender("cuBLAS bf16", "cublas", "bf16", 16, "bf16", lambda weights: store(weights, torch.bfloat16)),
    ]


def store(weights: Weights, dtype: Any) -> Tensors:
    torch = library("torch", INSTALL)
    matrix = weights.values.to(dtype)

    def prepare(x: Tensor, w: Tensor) -> Callable[[], Tensor]:
        y = torch.empty(x.shape[0], w.shape[1], dtype=dtype, device=x.device)
        return lambda: torch.matmul(x, w, out=y)

    return Tensors((matrix,), dtype, prepare, lambda: matrix.float())
