"""Kernels in Triton whose PTX the PTX machine is held to. Imported by `make.py` alone: the tests need no Triton.

What each computes is said by the test of its name in `test_foreign.py`, in NumPy.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def product(
    a, b, c, k_extent, stride_a, stride_b, stride_c,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, TA: tl.constexpr, TB: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    """c = a @ b. Of `TA` and `TB`, a and b are stored with their columns contiguous."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    depth = tl.arange(0, BK)
    row_a, along_a = (1, stride_a) if TA else (stride_a, 1)
    along_b, column_b = (1, stride_b) if TB else (stride_b, 1)
    from_a = a + rows[:, None] * row_a + depth[None, :] * along_a
    from_b = b + depth[:, None] * along_b + columns[None, :] * column_b
    total = tl.zeros((BM, BN), dtype=SUM)
    for _ in range(0, k_extent, BK):
        total = tl.dot(tl.load(from_a), tl.load(from_b), total, out_dtype=SUM)
        from_a += BK * along_a
        from_b += BK * along_b
    tl.store(c + rows[:, None] * stride_c + columns[None, :], total)


@triton.jit
def decoded_product(
    w, scale, x, y, k_extent, stride_w, stride_x, stride_y, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr
):
    """y = (nibbles of w - 8) * scale @ x, w [M, K / 2], x [K, N]: A comes to the product decoded, in registers."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    half, depth = tl.arange(0, BK // 2), tl.arange(0, BK)
    factor = tl.load(scale + rows)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, k_extent, BK):
        bytes = tl.load(w + rows[:, None] * stride_w + k // 2 + half[None, :])
        low, high = (bytes & 15).to(tl.float16) - 8.0, (bytes >> 4).to(tl.float16) - 8.0
        weights = tl.interleave(low, high) * factor[:, None]
        total = tl.dot(weights, tl.load(x + (k + depth)[:, None] * stride_x + columns[None, :]), total)
    tl.store(y + rows[:, None] * stride_y + columns[None, :], total)


@triton.jit
def byte_weights(w, x, y, k_extent, stride_w, stride_x, stride_y, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """y = w @ x.T, w [M, K] of i8 cast to the type of x, x [N, K]: x is K-major in shared memory."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    depth = tl.arange(0, BK)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, k_extent, BK):
        weights = tl.load(w + rows[:, None] * stride_w + (k + depth)[None, :])
        right = tl.load(x + columns[None, :] * stride_x + (k + depth)[:, None])
        total = tl.dot(weights.to(right.dtype), right, total)
    tl.store(y + rows[:, None] * stride_y + columns[None, :], total)


@triton.jit
def attention(q, k, v, y, count, scale, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    """softmax(q @ k.T * scale) @ v by blocks of keys, [count, D] each, one block of rows of q a program."""
    rows, inner, keys = tl.program_id(0) * BM + tl.arange(0, BM), tl.arange(0, D), tl.arange(0, BN)
    left = tl.load(q + rows[:, None] * D + inner[None, :])
    most = tl.full((BM,), float("-inf"), tl.float32)
    weight = tl.zeros((BM,), tl.float32)
    total = tl.zeros((BM, D), tl.float32)
    for start in range(0, count, BN):
        right = tl.load(k + (start + keys)[None, :] * D + inner[:, None])
        scores = tl.dot(left, right) * scale
        now = tl.maximum(most, tl.max(scores, 1))
        part = tl.exp(scores - now[:, None])
        shrink = tl.exp(most - now)
        weight = weight * shrink + tl.sum(part, 1)
        values = tl.load(v + (start + keys)[:, None] * D + inner[None, :])
        total = tl.dot(part.to(values.dtype), values, total * shrink[:, None])
        most = now
    tl.store(y + rows[:, None] * D + inner[None, :], total / weight[:, None])


@triton.jit
def softmax(x, y, columns, B: tl.constexpr):
    """Rows of x of up to B columns."""
    row, at = tl.program_id(0), tl.arange(0, B)
    values = tl.load(x + row * columns + at, mask=at < columns, other=float("-inf")).to(tl.float32)
    parts = tl.exp(values - tl.max(values, 0))
    tl.store(y + row * columns + at, (parts / tl.sum(parts, 0)).to(y.dtype.element_ty), mask=at < columns)


@triton.jit
def order(x, sums, largest, sorted, B: tl.constexpr):
    """Running sums of rows of i32, where the largest is, and the row sorted."""
    row, at = tl.program_id(0), tl.arange(0, B)
    values = tl.load(x + row * B + at)
    tl.store(sums + row * B + at, tl.cumsum(values, 0))
    tl.store(largest + row, tl.argmax(values, 0))
    tl.store(sorted + row * B + at, tl.sort(values))


@triton.jit
def turned(x, y, R: tl.constexpr, C: tl.constexpr):
    """y = x.T through shared memory."""
    rows, columns = tl.arange(0, R), tl.arange(0, C)
    tile = tl.load(x + rows[:, None] * C + columns[None, :])
    tl.store(y + columns[:, None] * R + rows[None, :], tl.trans(tile))


@triton.jit
def atomics(x, bins, extremes, total, halves, n, B: tl.constexpr):
    """Counts of x mod 16, extremes of x, and sums of x in f32 and of x mod 4 in f16."""
    at = tl.program_id(0) * B + tl.arange(0, B)
    inside = at < n
    values = tl.load(x + at, mask=inside, other=0)
    tl.atomic_add(bins + (values & 15), 1, mask=inside)
    tl.atomic_max(extremes + tl.zeros_like(at), values, mask=inside)
    tl.atomic_min(extremes + 1 + tl.zeros_like(at), values, mask=inside, sem="relaxed")
    tl.atomic_xor(extremes + 2, tl.sum(tl.where(inside, values, 0), 0))
    tl.atomic_add(total, tl.sum(tl.where(inside, values, 0).to(tl.float32), 0), sem="release")
    tl.atomic_add(halves + at % 8, (values & 3).to(tl.float16), mask=inside)


@triton.jit
def locked(lock, count):
    """Every block adds one to the count, guarded by a lock."""
    while tl.atomic_cas(lock, 0, 1) == 1:
        pass
    turns = tl.load(count, volatile=True)
    tl.debug_barrier()
    tl.store(count, turns + 1)
    tl.debug_barrier()
    tl.atomic_xchg(lock, 0)


@triton.jit
def casts(x, f8, f8wide, halves, brains, ints, bytes, back, B: tl.constexpr):
    """f32 to e4m3, e5m2, f16, bf16, i32 and i8, and e4m3 back to f16."""
    at = tl.program_id(0) * B + tl.arange(0, B)
    values = tl.load(x + at)
    small = values.to(tl.float8e4nv)
    tl.store(f8 + at, small)
    tl.store(f8wide + at, values.to(tl.float8e5))
    tl.store(halves + at, values.to(tl.float16))
    tl.store(brains + at, values.to(tl.bfloat16))
    tl.store(ints + at, values.to(tl.int32))
    tl.store(bytes + at, values.to(tl.int32).to(tl.int8))
    tl.store(back + at, small.to(tl.float16))


@triton.jit
def functions(x, y, n, B: tl.constexpr):
    """exp2, log2, sin, rsqrt, sqrt, erf, division, floor and fma of f32, a row of n each."""
    at = tl.program_id(0) * B + tl.arange(0, B)
    values = tl.load(x + at)
    tl.store(y + at, tl.exp2(values))
    tl.store(y + n + at, tl.log2(values))
    tl.store(y + 2 * n + at, tl.sin(values))
    tl.store(y + 3 * n + at, tl.rsqrt(values))
    tl.store(y + 4 * n + at, tl.sqrt_rn(values))
    tl.store(y + 5 * n + at, tl.erf(values))
    tl.store(y + 6 * n + at, tl.div_rn(1.0, values))
    tl.store(y + 7 * n + at, tl.floor(values))
    tl.store(y + 8 * n + at, tl.fma(values, values, -values))


@triton.jit
def random(y, seed, B: tl.constexpr):
    """The four words of Philox 4x32-10 for counters 0, 1, ..."""
    at = tl.program_id(0) * B + tl.arange(0, B)
    one, two, three, four = tl.randint4x(seed, at)
    tl.store(y + 4 * at, one)
    tl.store(y + 4 * at + 1, two)
    tl.store(y + 4 * at + 2, three)
    tl.store(y + 4 * at + 3, four)
