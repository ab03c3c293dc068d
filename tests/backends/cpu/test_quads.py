"""Products of bytes by every instruction: VNNI of 512 and 256 bits, sums and words of 16 bits without, tiles (AMX)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.byte_products import COUNTED, SEVERAL, SOURCE, Product, bytes_of, check, codes_of, exact
from vmc.backends import cpu
from vmc.backends.cpu.levels import LEVELS, TABLE
from vmc.backends.cpu.target import machine, missing

EXECUTABLE = [level.name for level in TABLE if not missing(level)]
HAS_TILES = "amx-int8" in machine(cpu.Options()).features
VECTORS = cpu.Options(features="-amx-int8,-amx-tile")


@pytest.mark.parametrize("level", EXECUTABLE)
def test_the_same_integers_come_out_at_every_level(level: str) -> None:
    product = Product(SOURCE, LEVELS[level].options(), T="u4", BM=16, BK=64, BN=32)
    for m, k, n in ((1, 64, 32), (16, 64, 32), (17, 200, 50)):
        check(product, 4, m, k, n)


@pytest.mark.parametrize("level", EXECUTABLE)
def test_extreme_bytes_do_not_saturate(level: str) -> None:
    """128 * 255 twice is more than 16 bits hold, where vpmaddubsw would saturate."""
    product = Product(SOURCE, LEVELS[level].options(), T="u8", BM=4, BK=32, BN=16)
    for value in (-128, 127):
        q, w = np.full((4, 96), value, np.int8), np.full((96, 16), 255, np.uint8)
        np.testing.assert_array_equal(product({"q": q, "w": w}), exact(q, w))


@pytest.mark.parametrize("level", EXECUTABLE)
@pytest.mark.parametrize("width", range(1, 8))
def test_sums_in_16_bits_do_not_saturate(level: str, width: int) -> None:
    """The largest products that a width has, everywhere, over more than one run of sums, and with a run cut short."""
    product = Product(SOURCE, LEVELS[level].options(), T=f"u{width}", BM=8, BK=64, BN=16)
    for value in (-128, 127):
        for k in (64, 76):
            q, w = np.full((9, k), value, np.int8), np.full((k, 16), (1 << width) - 1, np.uint8)
            np.testing.assert_array_equal(product({"q": q, "w": w}), exact(q, w))


@pytest.mark.parametrize(
    ("level", "width", "expected"),
    [
        *(("x86-64", 4, False), ("x86-64-v2", 4, True), ("x86-64-v3", 4, True), ("x86-64-v4", 4, True)),
        *(("x86-64-v3", 7, True), ("x86-64-v3", 8, False), ("avx2vnni", 4, False), ("avx512vnni", 4, False)),
    ],
)
def test_bytes_are_multiplied_into_16_bits_where_there_is_nothing_better(
    level: str, width: int, expected: bool
) -> None:
    product = Product(SOURCE, LEVELS[level].options(), T=f"u{width}", BM=4, BK=64, BN=16)
    assert ("pmaddubsw" in product.executable.assembly) == expected


EDGES = list(range(1, 41))


@pytest.mark.parametrize("bm", [16, 32, 64])
@pytest.mark.parametrize("options", [cpu.Options(), VECTORS], ids=["host", "vectors"])
def test_rows_past_the_edge_are_not_written_and_all_others_are_right(options: cpu.Options, bm: int) -> None:
    product = Product(SOURCE, options, T="u3", BM=bm, BK=64, BN=32)
    for m in EDGES:
        check(product, 3, m, 128, 64)


@pytest.mark.parametrize("width", [1, 4, 7])
def test_slices_that_end_inside_a_block_are_filled_with_zeros(width: int) -> None:
    product = Product(SOURCE, T=f"u{width}", BM=16, BK=64, BN=32)
    for m, k, n in ((1, 1, 1), (3, 65, 33), (16, 127, 31), (33, 77, 45), (7, 64, 15)):
        check(product, width, m, k, n)


@pytest.mark.parametrize(("bk", "bn"), [(4, 16), (12, 16), (20, 48), (36, 80), (7, 16), (64, 12), (3, 5)])
def test_blocks_that_no_vector_divides_are_right(bk: int, bn: int) -> None:
    product = Product(SOURCE, T="u5", BM=5, BK=bk, BN=bn)
    for m, k, n in ((5, 2 * bk, 2 * bn), (6, 2 * bk + 1, 2 * bn + 1)):
        check(product, 5, m, k, n)


# Tiles

SHAPES = [
    *((m, 64, 32) for m in (5, 9, 12, 16, 32, 48, 64)),
    *((32, k, 48) for k in (32, 64, 96, 128, 160)),
    *((16, 64, n) for n in (16, 32, 48, 64, 80, 96)),
]


@pytest.mark.skipif(not HAS_TILES, reason="the host has no AMX")
def test_the_host_multiplies_by_tiles() -> None:
    assert "tdpbsud" in Product(SOURCE, T="u4", BM=16, BK=64, BN=32).executable.assembly
    assert "tdpbsud" not in Product(SOURCE, VECTORS, T="u4", BM=16, BK=64, BN=32).executable.assembly


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_tiles_of_every_shape_are_multiplied(m: int, k: int, n: int) -> None:
    product = Product(SOURCE, T="u4", BM=m, BK=k, BN=n)
    check(product, 4, m, k, n)
    check(product, 4, m + 5, 2 * k, 2 * n)
    check(product, 4, max(1, m - 3), k + 3, n + 1)


@pytest.mark.parametrize(("m", "k", "n"), [(16, 64, 32), (32, 96, 48), (48, 32, 16)])
@pytest.mark.parametrize("count", COUNTED)
@pytest.mark.parametrize("options", [cpu.Options(), VECTORS], ids=["host", "vectors"])
def test_several_products_of_the_same_weights_share_their_loops(
    options: cpu.Options, count: int, m: int, k: int, n: int
) -> None:
    product = Product(SEVERAL.format(sum=COUNTED[count]), options, T="u4", BM=m, BK=k, BN=n)
    for rows in (m, m + 1, 1):
        rng = np.random.default_rng(rows)
        p, q, r = (bytes_of(rng, rows, 2 * k) for _ in range(3))
        w = codes_of(rng, 4, 2 * k, n + 16)
        a, b, c = (exact(each, w) for each in (p, q, r))
        expected = {1: a, 2: 3 * a + b, 3: 3 * a + 5 * b + c}[count]
        np.testing.assert_array_equal(product({"p": p, "q": q, "r": r, "w": w}), expected)
