"""Triton: a product with integers of 1, 2, 4 and 8 bits, written for this benchmark as its tutorials write products.

Codes of consecutive rows share a word of 32 bits; a step of the sum unpacks them, scales them in f16, and multiplies by
`tl.dot`. Triton's own tuner chooses among the tiles of `TILES` at the first call of each shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.marlin import gptq_words
from benchmarks.gpu.peers import Tensors
from benchmarks.gpu.problem import Tensor, Weights, group_scales, repeated
from benchmarks.matmul.contender import Contender, library

HOW = "pip install triton (torch for CUDA brings it)"
BITS = (1, 2, 4, 8)
TILES = tuple(
    (bm, bn, bk, warps, stages)
    for bm, bn, bk, warps in (
        (16, 32, 128, 4),
        (16, 64, 128, 4),
        (16, 128, 128, 4),
        (32, 64, 64, 4),
        (64, 64, 64, 4),
        (64, 128, 64, 4),
        (128, 128, 64, 8),
        (128, 256, 32, 8),
    )
    for stages in (3, 5)
)
"""Rows, columns, steps, warps and stages. A step is a part of a group of 128."""


@cache
def kernel() -> Any:
    """The tuned kernel. Raises Missing."""
    triton, tl = library("triton", HOW), library("triton.language", HOW)
    globals()["tl"] = tl  # Triton compiles the function's text, which finds names among the module's
    configs = [
        triton.Config({"BM": bm, "BN": bn, "BK": bk}, num_warps=warps, num_stages=stages)
        for bm, bn, bk, warps, stages in TILES
    ]
    return triton.autotune(configs=configs, key=["rows", "n", "k", "BITS"])(triton.jit(multiply))


def multiply(  # type: ignore[no-untyped-def]
    x,
    w,
    s,
    y,
    rows,
    m,
    n,
    k,
    BITS: "tl.constexpr",
    GROUP: "tl.constexpr",
    BM: "tl.constexpr",
    BN: "tl.constexpr",
    BK: "tl.constexpr",
):
    EACH: tl.constexpr = 32 // BITS  # noqa: F821 - Triton's language, see `kernel`
    over = tl.cdiv(n, BN)  # noqa: F821
    i = tl.program_id(0) // over * BM + tl.arange(0, BM)  # noqa: F821
    j = tl.program_id(0) % over * BN + tl.arange(0, BN)  # noqa: F821
    step = tl.arange(0, BK)  # noqa: F821
    sums = tl.zeros((BM, BN), dtype=tl.float32)  # noqa: F821
    for start in range(0, k, BK):
        at = start + step
        a = tl.load(x + i[:, None] * k + at[None, :], mask=(i[:, None] < m) & (at[None, :] < k), other=0.0)  # noqa: F821
        inside = (at[:, None] < k) & (j[None, :] < n)
        words = tl.load(w + at[:, None] // EACH * n + j[None, :], mask=inside, other=0)  # noqa: F821
        codes = (words >> (at[:, None] % EACH * BITS)) & ((1 << BITS) - 1)
        scale = tl.load(s + start // GROUP * n + j, mask=j < n, other=0.0)  # noqa: F821
        b = (codes - (1 << (BITS - 1))).to(tl.float16) * scale[None, :]  # noqa: F821
        sums = tl.dot(a, b, sums)  # noqa: F821
    tl.store(y + i[:, None] * n + j[None, :], sums.to(tl.float16), mask=(i[:, None] < m) & (j[None, :] < n))  # noqa: F821


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
    codes = (torch.round(weights.values / steps).clamp(-zero, zero - 1) + zero).to(torch.int32)
    packed = gptq_words(codes, bits)

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

    return Tensors((packed, scales), torch.float16, prepare, lambda: (codes - zero).float() * steps)
