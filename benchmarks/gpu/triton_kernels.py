"""Triton: a product with integers of 1, 2, 4 and 8 bits, written for this benchmark as its tutorials write products.

Codes of consecutive rows share a word of 32 bits; a step of the sum unpacks them, scales them in f16, and multiplies by
`tl.dot` (`triton_product.py`). Triton's own tuner chooses the tiles at the first call of each shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.marlin import gptq_words
from benchmarks.gpu.peers import Tensors
from benchmarks.gpu.problem import Tensor, Weights, group_scales, repeated
from benchmarks.matmul.contender import Contender, library

HOW = "pip install triton (torch for CUDA brings it)"
BITS = (1, 2, 4, 8)


def kernel() -> Any:
    """The tuned kernel. Raises Missing."""
    library("triton", HOW)
    return library("benchmarks.gpu.triton_product", HOW).product


def contenders(device: Device) -> list[Contender]:
    """Raises Missing."""
    kernel()
    return [
        Contender(
            f"triton u{bits}",
            "triton",
            f"u{bits}",
            bits,
            "f16",
            lambda weights, bits=bits: store(weights, bits),  # type: ignore[misc]
            lambda shape: shape.group == 128 and shape.k % 128 == 0,
        )
        for bits in BITS
    ]


def store(weights: Weights, bits: int) -> Tensors:
    torch = library("torch", INSTALL)
    k, n, group = weights.shape.k, weights.shape.n, weights.shape.group
    zero = 1 << bits - 1
    scales = group_scales(weights.values, group, zero)
    steps = repeated(scales, group, k)
    codes = (torch.round(weights.values / steps).clamp(-zero, zero - 1) + zero).to(torch.uint8)
    packed = gptq_words(codes, bits)

    def dense() -> Tensor:
        return (codes.float() - zero) * repeated(scales, group, k)

    def prepare(x: Tensor, w: Tensor, s: Tensor) -> Callable[[], Tensor]:
        triton, m = library("triton", HOW), x.shape[0]
        y = torch.empty(m, n, dtype=torch.float16, device=x.device)
        rows = triton.next_power_of_2(m)

        def run() -> Tensor:
            kernel()[lambda meta: (triton.cdiv(m, meta["BM"]) * triton.cdiv(n, meta["BN"]),)](
                x, w, s, y, rows, m, n, k, BITS=bits, GROUP=group
            )
            return y

        return run

    return Tensors(
        (packed, scales), torch.float16, prepare, lambda: (codes.float() - zero) * repeated(scales, group, k)
    )
