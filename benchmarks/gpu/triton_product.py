"""The product of `triton_kernels.py` in Triton's language; importing this needs Triton."""

# mypy: ignore-errors

import triton
import triton.language as tl

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

CONFIGURATIONS = [
    triton.Config({"BM": bm, "BN": bn, "BK": bk}, num_warps=warps, num_stages=stages)
    for bm, bn, bk, warps, stages in TILES
]


@triton.autotune(configs=CONFIGURATIONS, key=["rows", "n", "k", "BITS"])
@triton.jit
def product(
    x,
    w,
    s,
    y,
    rows,
    m,
    n: tl.constexpr,
    k: tl.constexpr,
    BITS: tl.constexpr,
    GROUP: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    """y f16[m, n] = x f16[m, k] @ (codes - 2^(BITS-1)) * s f16[k / GROUP, n], codes in w int32[k * BITS / 32, n].

    `rows` is m rounded up to a power of two: what the tuner goes by.
    """
    EACH: tl.constexpr = 32 // BITS
    over = tl.cdiv(n, BN)
    i = tl.program_id(0) // over * BM + tl.arange(0, BM)
    j = tl.program_id(0) % over * BN + tl.arange(0, BN)
    step = tl.arange(0, BK)
    sums = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, k, BK):
        at = start + step
        a = tl.load(x + i[:, None] * k + at[None, :], mask=(i[:, None] < m) & (at[None, :] < k), other=0.0)
        inside = (at[:, None] < k) & (j[None, :] < n)
        words = tl.load(w + at[:, None] // EACH * n + j[None, :], mask=inside, other=0)
        codes = (words >> (at[:, None] % EACH * BITS)) & ((1 << BITS) - 1)
        scale = tl.load(s + start // GROUP * n + j, mask=j < n, other=0.0)
        b = (codes - (1 << (BITS - 1))).to(tl.float16) * scale[None, :]
        sums = tl.dot(a, b, sums)
    tl.store(y + i[:, None] * n + j[None, :], sums.to(tl.float16), mask=(i[:, None] < m) & (j[None, :] < n))
