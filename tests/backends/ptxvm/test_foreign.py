"""PTX that other compilers made, executed in the PTX machine and compared with NumPy.

The texts in `foreign/` come from Triton and from NVIDIA's CuTe, which are used on GPUs every day: a machine that gets
other results from them, or faults, is wrong. `foreign/make.py` and `foreign/make_cute.py` make them of the kernels
beside. Elements are small integers wherever sums are then exact, so that any one out of place shows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from vmc.backends import ptxvm

HERE = Path(__file__).parent / "foreign"
LAUNCHES = json.loads((HERE / "launches.json").read_text())
E4M3, E5M2, BF16 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.bfloat16


@cache
def module(name: str) -> ptxvm.Module:
    return ptxvm.parse((HERE / f"{name}.ptx").read_text())


def launch(name: str, grid: tuple[int, ...], *args: Any) -> ptxvm.Report:
    """As Triton's launcher does: two pointers to scratch memory, null, come last."""
    made = LAUNCHES[name]
    return module(name).launch(made["entry"], grid, (made["threads"],), [*args, 0, 0], made["shared"])


def integers(shape: tuple[int, ...], kind: Any, seed: int, low: int = -8, high: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape).astype(kind)


@dataclass(frozen=True)
class Case:
    """A text of `product`: types, the tile of a block, and which factors have contiguous columns."""

    kind: Any
    total: Any
    tile: tuple[int, int, int]
    turned: tuple[bool, bool] = (False, False)


TILE = (64, 64, 32)
PRODUCTS = {
    "product_f16_sm80": Case(np.float16, np.float32, TILE),
    "product_bf16_turned_sm80": Case(BF16, np.float32, TILE, (True, True)),
    "product_f16_sum16_sm80": Case(np.float16, np.float16, TILE),
    "product_i8_sm80": Case(np.int8, np.int32, (64, 64, 64)),
    "product_i8_kmajor_sm80": Case(np.int8, np.int32, (64, 64, 64), (False, True)),
    "product_tf32_sm80": Case(np.float32, np.float32, TILE),
    "product_f64_sm80": Case(np.float64, np.float64, (32, 32, 16)),
    "product_e4m3_sm89": Case(E4M3, np.float32, (64, 64, 64), (False, True)),
    "product_e5m2_sm120": Case(E5M2, np.float32, (64, 64, 64), (False, True)),
    "product_f16_sm120": Case(np.float16, np.float32, TILE),
    "product_f16_sm90": Case(np.float16, np.float32, TILE),
    "product_bf16_kmajor_sm90": Case(BF16, np.float32, (64, 128, 64), (False, True)),
    "product_f16_turned_sm90": Case(np.float16, np.float32, (128, 32, 16), (True, True)),
    "product_f16_two_groups_sm90": Case(np.float16, np.float32, (128, 128, 64)),
    "product_e4m3_sm90": Case(E4M3, np.float32, (64, 64, 128), (False, True)),
    "product_e5m2_narrow_sm90": Case(E5M2, np.float32, (64, 16, 32), (False, True)),
    "product_i8_sm90": Case(np.int8, np.int32, (64, 64, 64), (False, True)),
    "product_tf32_sm90": Case(np.float32, np.float32, TILE, (False, True)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str) -> None:
    case = PRODUCTS[name]
    m, n, k = 2 * case.tile[0], 2 * case.tile[1], 4 * case.tile[2]
    bound = 2 if case.total is np.float16 else 4 if case.kind is E5M2 else 8
    a, b = (integers(shape, case.kind, seed, -bound, bound) for seed, shape in enumerate(((m, k), (k, n))))
    y = np.zeros((m, n), case.total)
    lies = [np.ascontiguousarray(x.T if turned else x) for x, turned in zip((a, b), case.turned, strict=True)]
    launch(name, (2, 2), *lies, ptxvm.Unset(y), k, lies[0].shape[1], lies[1].shape[1], n)
    np.testing.assert_array_equal(y, a.astype(np.float64) @ b.astype(np.float64))


@pytest.mark.parametrize("name", ["decoded_product_sm80", "decoded_product_sm90"])
def test_a_product_whose_left_factor_is_decoded(name: str) -> None:
    m, n, k = 128, 64, 256
    codes, x = integers((m, k), np.uint8, 1, 0, 16), integers((k, n), np.float16, 2)
    scale = (2.0 ** integers((m,), np.float64, 3, -2, 3)).astype(np.float16)
    y = np.zeros((m, n), np.float32)
    w = codes[:, 0::2] | codes[:, 1::2] << 4
    launch(name, (2, 1), w, scale, x, ptxvm.Unset(y), k, k // 2, n, n)
    np.testing.assert_array_equal(y, (codes.astype(float) - 8) * scale[:, None].astype(float) @ x.astype(float))


@pytest.mark.parametrize(("name", "kind"), [("byte_weights_bf16_sm90", BF16), ("byte_weights_f16_sm120", np.float16)])
def test_a_product_with_weights_of_bytes(name: str, kind: Any) -> None:
    m, n, k = 64, 128, 256
    w, x = integers((m, k), np.int8, 1, -128, 128), integers((n, k), kind, 2)
    y = np.zeros((m, n), np.float32)
    launch(name, (1, 2), w, x, ptxvm.Unset(y), k, k, k, n)
    np.testing.assert_array_equal(y, w.astype(float) @ x.astype(float).T)


@pytest.mark.parametrize(("name", "depth"), [("attention_sm80", 32), ("attention_sm90", 64)])
def test_attention(name: str, depth: int) -> None:
    rng, count = np.random.default_rng(5), 128
    q, k, v = (rng.normal(size=(count, depth)).astype(np.float16) for _ in range(3))
    y = np.zeros((count, depth), np.float32)
    launch(name, (2,), q, k, v, ptxvm.Unset(y), count, np.float32(0.25))
    scores = q.astype(float) @ k.astype(float).T * 0.25
    parts = np.exp(scores - scores.max(1, keepdims=True))
    expected = parts / parts.sum(1, keepdims=True) @ v.astype(float)
    np.testing.assert_allclose(y, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "columns", "kind"), [("softmax_sm80", 1000, np.float16), ("softmax_sm100", 500, BF16)]
)
def test_softmax(name: str, columns: int, kind: Any) -> None:
    x = np.random.default_rng(6).normal(size=(3, columns)).astype(kind)
    y = np.zeros_like(x)
    launch(name, (3,), x, ptxvm.Unset(y), columns)
    parts = np.exp(x.astype(float))
    expected = parts / parts.sum(1, keepdims=True)
    np.testing.assert_allclose(y.astype(float), expected, rtol=2.0**-7 if kind is BF16 else 2.0**-10, atol=1e-7)


@pytest.mark.parametrize(("name", "columns"), [("order_sm80", 256), ("order_sm90", 64)])
def test_running_sums_and_sorting(name: str, columns: int) -> None:
    x = integers((2, columns), np.int32, 7, -(2**31), 2**31 - 1)
    sums, largest, ordered = np.zeros_like(x), np.zeros(2, np.int32), np.zeros_like(x)
    launch(name, (2,), x, ptxvm.Unset(sums), ptxvm.Unset(largest), ptxvm.Unset(ordered))
    np.testing.assert_array_equal(sums, np.cumsum(x, axis=1, dtype=np.int32))
    np.testing.assert_array_equal(largest, x.argmax(1))
    np.testing.assert_array_equal(ordered, np.sort(x, axis=1))


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("turned_f16_sm80", (64, 32), np.uint16),
        ("turned_f32_sm90", (32, 128), np.uint32),
        ("turned_i8_sm90", (64, 64), np.uint8),
    ],
)
def test_transposes(name: str, shape: tuple[int, int], kind: Any) -> None:
    x = integers(shape, kind, 8, 0, np.iinfo(kind).max)
    y = np.zeros(shape[::-1], kind)
    launch(name, (1,), x, ptxvm.Unset(y))
    np.testing.assert_array_equal(y, x.T)


@pytest.mark.parametrize(("name", "per_block"), [("atomics_sm80", 256), ("atomics_sm90", 128)])
def test_atomics(name: str, per_block: int) -> None:
    blocks = 4
    n = blocks * per_block - 48
    x = integers((n,), np.int32, 9, -1000, 1000)
    bins, total, halves = np.zeros(16, np.int32), np.zeros(1, np.float32), np.zeros(8, np.float16)
    extremes = np.array([-5000, 5000, 0], np.int32)
    launch(name, (blocks,), x, bins, extremes, total, halves, n)
    np.testing.assert_array_equal(bins, np.bincount(x & 15, minlength=16))
    of_blocks = [int(x[i : i + per_block].sum()) for i in range(0, n, per_block)]
    assert extremes.tolist() == [x.max(), x.min(), np.bitwise_xor.reduce(of_blocks)]
    assert total[0] == x.sum()
    np.testing.assert_array_equal(halves, np.bincount(np.arange(n) % 8, x & 3))


@pytest.mark.slow
def test_a_lock_by_compare_and_swap() -> None:
    lock, count = np.zeros(1, np.int32), np.zeros(1, np.int32)
    launch("locked_sm80", (2,), lock, count)
    assert (lock[0], count[0]) == (0, 2)


@pytest.mark.parametrize("name", ["casts_sm89", "casts_sm100"])
def test_casts(name: str) -> None:
    bits = np.random.default_rng(10).integers(0, 2**32, 512, np.uint32)
    wild = bits.view(np.float32)
    tame = np.random.default_rng(11).normal(size=512).astype(np.float32) * 30
    edges = np.array(
        [
            0,
            -0.0,
            448,
            449,
            464,
            465,
            1e9,
            np.inf,
            -np.inf,
            2**-10,
            2**-9,
            3 * 2.0**-10,
            57344,
            61440,
            65504,
            65520,
            2**-25,
        ]
    )
    for x in (np.where(np.isfinite(wild), wild, 1), tame, np.resize(edges, 512).astype(np.float32)):
        x = x.astype(np.float32)
        small, wide = np.zeros(512, np.uint8), np.zeros(512, np.uint8)
        halves, brains, back = np.zeros(512, np.float16), np.zeros(512, BF16), np.zeros(512, np.float16)
        ints, octets = np.zeros(512, np.int32), np.zeros(512, np.int8)
        launch(name, (2,), x, *map(ptxvm.Unset, (small, wide, halves, brains, ints, octets, back)))
        with np.errstate(over="ignore", invalid="ignore"):
            # cvt.satfinite (PTX ISA, cvt): what is too large, infinities included, becomes the largest finite number.
            np.testing.assert_array_equal(small, np.clip(x, -448, 448).astype(E4M3).view(np.uint8))
            np.testing.assert_array_equal(wide, np.clip(x, -57344, 57344).astype(E5M2).view(np.uint8))
            np.testing.assert_array_equal(halves, x.astype(np.float16))
            np.testing.assert_array_equal(brains.view(np.uint16), x.astype(BF16).view(np.uint16))
            whole = np.clip(np.trunc(x.astype(float)), -(2**31), 2**31 - 1).astype(np.int64)
            np.testing.assert_array_equal(ints, whole)
            np.testing.assert_array_equal(octets, whole.astype(np.int8))
        np.testing.assert_array_equal(back, small.view(E4M3).astype(np.float16))


def test_functions() -> None:
    scipy = pytest.importorskip("scipy.special")
    x = np.random.default_rng(12).uniform(0.01, 8, 256).astype(np.float32)
    y = np.zeros((9, 256), np.float32)
    launch("functions_sm80", (1,), x, ptxvm.Unset(y), 256)
    wide = x.astype(float)
    expected = [
        np.exp2(wide),
        np.log2(wide),
        np.sin(wide),
        1 / np.sqrt(wide),
        np.sqrt(wide),
        scipy.erf(wide),
        1 / wide,
        np.floor(wide),
        wide * wide - wide,
    ]
    for row, (got, right) in enumerate(zip(y, expected, strict=True)):
        exact = row in (4, 6, 7, 8)
        np.testing.assert_allclose(got, right.astype(np.float32), rtol=0 if exact else 3e-6, atol=0 if exact else 5e-7)


def test_random_bits_of_philox() -> None:
    """Philox 4x32-10 (Salmon et al. 2011), key and counter as Triton fills them."""
    y, seed = np.zeros((512, 4), np.int32), 0x123456789ABCDEF
    launch("random_sm80", (2,), ptxvm.Unset(y), seed)
    c = [np.arange(512, dtype=np.uint64), *(np.zeros(512, np.uint64) for _ in range(3))]
    low, high, mask = seed & 0xFFFFFFFF, seed >> 32, np.uint64(0xFFFFFFFF)
    for _ in range(10):
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            second >> np.uint64(32) ^ c[1] ^ np.uint64(low),
            second & mask,
            first >> np.uint64(32) ^ c[3] ^ np.uint64(high),
            first & mask,
        ]
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    np.testing.assert_array_equal(y.view(np.uint32), np.stack(c, 1).astype(np.uint32))


@dataclass(frozen=True)
class Tile:
    """A text of CuTe: extents of the product, types, and whether the tiles of each factor reach memory K-major."""

    kind: Any
    total: Any
    extents: tuple[int, int, int]


TILES = {
    "cute_plain_sm90": Tile(np.float16, np.float32, (64, 64, 32)),
    "cute_plain_turned_sm90": Tile(np.float16, np.float32, (64, 64, 32)),
    "cute_32_sm90": Tile(np.float16, np.float32, (64, 64, 32)),
    "cute_64_sm90": Tile(np.float16, np.float32, (64, 64, 64)),
    "cute_128_sm90": Tile(np.float16, np.float32, (64, 128, 128)),
    "cute_bytes_sm90": Tile(np.int8, np.int32, (64, 32, 64)),
    "cute_e4m3_sm90": Tile(E4M3, np.float32, (64, 32, 128)),
    "cute_tf32_sm90": Tile(np.float32, np.float32, (64, 32, 32)),
}


@pytest.mark.parametrize("name", TILES)
def test_layouts_and_descriptors_of_cute(name: str) -> None:
    """Every swizzle, K- and MN-major, as CUTLASS lays matrices out and describes them."""
    case, made = TILES[name], LAUNCHES[name]
    m, n, k = case.extents
    a, b = integers((m, k), case.kind, 1), integers((n, k), case.kind, 2)
    y = np.zeros((m, n), case.total)
    module(name).launch(made["entry"], (1,), (made["threads"],), [a, b, ptxvm.Unset(y)], made["shared"])
    np.testing.assert_array_equal(y, a.astype(np.float64) @ b.astype(np.float64).T)


def test_a_ring_of_bulk_copies_of_cutlass() -> None:
    """A producer that copies in bulk and a warpgroup that multiplies, over CUTLASS' barriers."""
    steps, made = 8, LAUNCHES["cute_ring_sm90"]
    a, b = integers((64, 64 * steps), np.float16, 1), integers((64, 64 * steps), np.float16, 2)
    tiles_a = np.ascontiguousarray(a.reshape(64, steps, 64).transpose(1, 0, 2))
    tiles_b = b.reshape(64, steps, 8, 8).transpose(1, 0, 2, 3)
    # Swizzle of 128 bytes: chunk c of 8 elements of row r lies at c ^ (r % 8).
    row = np.arange(64)[:, None]
    tiles_b = np.ascontiguousarray(tiles_b[:, row, np.arange(8)[None, :] ^ (row % 8)])
    y = np.zeros((64, 64), np.float32)
    args = [tiles_a, tiles_b, ptxvm.Unset(y), steps]
    module("cute_ring_sm90").launch(made["entry"], (1,), (made["threads"],), args, made["shared"])
    np.testing.assert_array_equal(y, a.astype(float) / 2 @ b.astype(float).T)


FAULTS = [
    ("product_f16_sm80", r"cp\.async\.wait_group +\d+;", ptxvm.AsyncCopyError),
    ("product_f16_sm80", r"bar\.sync +0;", ptxvm.RaceError),
    ("product_f16_sm90", r"fence\.proxy\.async\.shared::cta;", ptxvm.RaceError),
    ("product_f16_sm90", r"wgmma\.wait_group\.sync\.aligned +\d;", ptxvm.AsyncProductError),
    ("product_f16_sm90", r"wgmma\.fence\.sync\.aligned;", ptxvm.AsyncProductError),
    ("attention_sm90", r"bar\.sync +0;", ptxvm.PtxError),
]


@pytest.mark.parametrize(("name", "pattern", "error"), FAULTS)
def test_what_other_compilers_emit_is_needed(name: str, pattern: str, error: type[ptxvm.PtxError]) -> None:
    """Without one kind of fence, wait or barrier of theirs, the machine reports the fault that it prevents."""
    text, made = (HERE / f"{name}.ptx").read_text(), LAUNCHES[name]
    changed = re.sub(pattern, "", text)
    assert changed != text
    if name.startswith("product"):
        a = integers((128, 128), np.float16, 1)
        args = [a, a, ptxvm.Unset(np.zeros((128, 128), np.float32)), 128, 128, 128, 128]
    else:
        q = integers((128, 64), np.float16, 1)
        args = [q, q, q, ptxvm.Unset(np.zeros((128, 64), np.float32)), 128, np.float32(1)]
    with pytest.raises(error):
        ptxvm.parse(changed).launch(made["entry"], (2, 1), (made["threads"],), [*args, 0, 0], made["shared"])
