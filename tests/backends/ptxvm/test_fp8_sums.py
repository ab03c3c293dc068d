"""Products of 8-bit floats: what their codes mean, and how tensor cores add them up, computed by hand.

The bits that sums keep are those that others found on GPUs (MMA-Sim, arXiv 2511.10909); sums below were added up by
hand with 13 and with 25 bits behind the point.
"""

from __future__ import annotations

from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest

from tests.backends.ptxvm.test_matrices import a_place, b_place, c_place
from tests.backends.ptxvm.text import HEADER, entry
from vmc.backends import ptxvm
from vmc.backends.ptxvm.ops.sums import Sums

TYPES = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}
LANES = range(32)


def mma(target: str, kinds: tuple[str, str], a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """D [16, 8] of codes A [16, 32], B [32, 8] and numbers C, each put into the registers that the PTX ISA names."""
    factors = [
        np.ascontiguousarray([[a[a_place(lane, i, 4)] for i in range(16)] for lane in LANES]).view(np.uint32),
        np.ascontiguousarray([[b[b_place(lane, i, 4)] for i in range(8)] for lane in LANES]).view(np.uint32),
        np.array([[c[c_place(lane, i)] for i in range(4)] for lane in LANES], np.float32),
    ]
    ends = [0, *np.cumsum([4, 2, 4])]
    lines = ["mov.u32 %t, %tid.x;"]
    for index, (first, last) in enumerate(pairwise(ends)):
        lines += [f"ld.param.u64 %p, [p{index}]; mul.wide.u32 %o, %t, {4 * (last - first)}; add.s64 %p, %p, %o;"]
        lines += [f"ld.global.b32 %r{n}, [%p+{4 * (n - first)}];" for n in range(first, last)]
    words = [", ".join(f"%r{n}" for n in range(*pair)) for pair in pairwise(ends)]
    lines.append(
        f"mma.sync.aligned.m16n8k32.row.col.f32.{kinds[0]}.{kinds[1]}.f32 "
        f"{{%r10, %r11, %r12, %r13}}, {{{words[0]}}}, {{{words[1]}}}, {{{words[2]}}};"
    )
    lines += ["ld.param.u64 %p, [p3]; mul.wide.u32 %o, %t, 16; add.s64 %p, %p, %o;"]
    lines += [f"st.global.b32 [%p+{4 * n}], %r{10 + n};" for n in range(4)]
    text = entry("\n".join(lines), ["u64"] * 4, ".reg .b32 %r<14>, %t; .reg .b64 %p, %o;")
    out = np.zeros((32, 4), np.float32)
    ptxvm.parse(text.replace(HEADER, HEADER.replace("sm_90", target))).launch(
        "k", (1,), (32,), [*factors, ptxvm.Unset(out)]
    )
    d = np.zeros((16, 8), np.float32)
    for lane in LANES:
        for i in range(4):
            d[c_place(lane, i)] = out[lane, i]
    return d


def codes(kind: str, values: np.ndarray) -> np.ndarray:
    return values.astype(TYPES[kind]).view(np.uint8)


@pytest.mark.parametrize("target", ["sm_89", "sm_90", "sm_120a"])
@pytest.mark.parametrize("kinds", [("e4m3", "e4m3"), ("e4m3", "e5m2"), ("e5m2", "e4m3"), ("e5m2", "e5m2")])
def test_factors_of_two_kinds_are_multiplied_by_the_places_of_their_registers(
    target: str, kinds: tuple[str, str]
) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(-4, 5, (16, 32)), rng.integers(-4, 5, (32, 8))
    c = rng.integers(-100, 100, (16, 8)).astype(np.float32)
    d = mma(target, kinds, codes(kinds[0], a.astype(float)), codes(kinds[1], b.astype(float)), c)
    np.testing.assert_array_equal(d, a @ b + c)


@pytest.mark.parametrize("target", ["sm_89", "sm_90", "sm_120a"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_code_is_the_number_infinity_or_nan_of_the_open_compute_project(target: str, kind: str) -> None:
    every = np.arange(256, dtype=np.uint8).view(TYPES[kind]).astype(np.float32)
    one = codes(kind, np.eye(32, 8))
    for first in range(0, 256, 128):
        a = np.zeros((16, 32), np.uint8)
        a[:, :8] = np.arange(first, first + 128, dtype=np.uint8).reshape(16, 8)
        finite = np.isfinite(every[a[:, :8]])
        b = np.where(one != 0, one, np.uint8(0))
        d = mma(target, (kind, kind), a, b, np.zeros((16, 8), np.float32))
        whole = finite.all(axis=1)
        np.testing.assert_array_equal(d[whole], every[a[:, :8]][whole])
        assert not np.isfinite(d[~finite]).any()
    assert np.isnan(every[[0x7F, 0xFF]]).all() and (kind == "e5m2") == bool(np.isinf(every[0x7C]))


def test_the_nan_of_e4m3_is_the_last_code_and_the_code_before_is_a_number() -> None:
    a, b = np.zeros((16, 32), np.uint8), np.zeros((32, 8), np.uint8)
    a[0, 0], a[1, 0], b[0, 0] = 0x7F, 0x7E, 0x38
    d = mma("sm_89", ("e4m3", "e4m3"), a, b, np.zeros((16, 8), np.float32))
    assert np.isnan(d[0, 0]) and d[1, 0] == 448


def summed(target: str, products: dict[int, float], c: float) -> float:
    """An element of D, of products of 1 and of so much at places along K, and C."""
    a, b = np.zeros((16, 32)), np.zeros((32, 8))
    for k, value in products.items():
        a[0, k], b[k, 0] = value, 1
    sums = np.zeros((16, 8), np.float32)
    sums[0, 0] = c
    return float(mma(target, ("e5m2", "e5m2"), codes("e5m2", a), codes("e5m2", b), sums)[0, 0])


@pytest.mark.parametrize(
    ("products", "c", "thirteen", "more"),
    [
        ({0: 2.0**-13}, 1.0, 1 + 2.0**-13, 1 + 2.0**-13),
        ({0: 2.0**-14}, 1.0, 1.0, 1 + 2.0**-14),
        ({0: 2.0**-14, 1: 2.0**-14}, 1.0, 1.0, 1 + 2.0**-13),  # each is cut off, before they are added
        ({0: 1.5 * 2.0**-13}, -1.0, -(1 - 2.0**-13), -(1 - 1.5 * 2.0**-13)),  # towards zero
        ({}, 1 + 2.0**-14, 1.0, 1 + 2.0**-14),  # the sum so far as well
        ({0: 2.0**-14, 1: 2.0**-14, 16: 1.0}, 0.0, 1 + 2.0**-13, 1 + 2.0**-13),  # 16 at once, then the others
        ({0: 2.0**-14, 16: 2.0**-14, 17: 1.0}, 0.0, 1.0, 1 + 2.0**-13),
    ],
)
def test_sums_keep_thirteen_bits_on_ada_and_more_on_blackwell(
    products: dict[int, float], c: float, thirteen: float, more: float
) -> None:
    assert summed("sm_89", products, c) == thirteen
    assert summed("sm_120a", products, c) == more
    assert summed("sm_90", products, c) == more


def test_numbers_below_the_normal_range_have_the_exponent_of_the_least_normal_one() -> None:
    """2**-16 * 2**13 = 2**-3 counts as a product with the exponent -14 + 13 = -1: what is below 2**-14 is cut off."""
    sums = Sums(16, 13, 13)
    a, b = np.zeros((1, 1, 16)), np.zeros((1, 16, 1))
    a[0, 0, :2], b[0, :2, 0] = (2.0**-16, 2.0**-15), (2.0**13, 1.0)
    assert sums(a, b, np.zeros((1, 1, 1)), ("e5m2", "e5m2"))[0, 0, 0] == 2.0**-3
    a[0, 0, 0] = 2.0**-14
    b[0, 0, 0] = 2.0**11
    assert sums(a, b, np.zeros((1, 1, 1)), ("e5m2", "e5m2"))[0, 0, 0] == 2.0**-3 + 2.0**-15
