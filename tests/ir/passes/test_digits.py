"""Rows as three digits stay within the stated bound, on ordinary and on hostile rows, and only in `fast` kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Kernel, Module, TileType, walk
from vmc.ir.passes import integers, run
from vmc.ir.passes.evaluator import ConstantEvaluator
from vmc.ir.passes.integers import few_digits
from vmc.ir.types import DType, dtype

K, N = 40, 24
TYPES = [dtype(name) for name in ("u1", "u4", "u8", "i3", "i8", "f4e2m1", "f5e2m2")]


def product(type: DType, left: str = "f32", fast: bool = True, extents: tuple[int, int] = (1, K)) -> Kernel:
    """x @ (w - zero point) + c."""
    m, k = extents
    build = Builder()
    x, w, c = (
        argument(TileType(t, shape)) for t, shape in ((dtype(left), (m, k)), (type, (k, N)), (dtype("f32"), (m, N)))
    )
    b = build.cast(w, "f32")
    if type.zero_point:
        b = build("sub", b, build.constant("f32", type.zero_point, (k, N)))
    return Kernel("k", (x, w, c), (), build.region((), (build("dot", build.cast(x, "f32"), b, c),)), fast)


def rewritten(kernel: Kernel) -> Kernel:
    return run(Module((kernel,)), (integers,)).kernels[0]


def factors(kernel: Kernel) -> list[str]:
    dots = [op for op in walk(kernel.body) if op.name == "dot"]
    return [" ".join(operand.tile.dtype.name for operand in op.operands[:2]) for op in dots]


def execute(kernel: Kernel, *tiles: Any) -> Any:
    machine = ConstantEvaluator()
    machine.values.update(zip(kernel.params, tiles, strict=True))
    machine.run(kernel.body.ops[:-1])
    return machine.values[kernel.body.yielded[0]]


def weights(type: DType, rng: np.random.Generator, k: int = K) -> tuple[Any, Any]:
    """A tile of random codes, and its values less the zero point."""
    tile = type.from_codes(rng.integers(0, 1 << type.width, (k, N)).astype(type.code_dtype))
    return tile, type.to_values(tile).astype(np.longdouble) - type.zero_point


def check(type: DType, x: Any, seed: int = 0, scale: float = 0.0, products: int = 3) -> None:
    """|result - (c + x @ b)| <= 2^-21 max(max|x|, 2^-106) sum|b| + u |result| + 2^-149."""
    rng = np.random.default_rng(seed)
    rows = np.asarray(x, np.float32)
    kernel = rewritten(product(type, extents=rows.shape))
    assert factors(kernel) == ["i8 u8"] * products
    tile, b = weights(type, rng, rows.shape[1])
    c = (scale * rng.standard_normal((rows.shape[0], N))).astype(np.float32)
    found = execute(kernel, rows, tile, c)
    wide = rows.astype(np.longdouble)
    most = np.maximum(np.abs(wide).max(axis=1, keepdims=True), np.longdouble(2.0) ** -106)
    with np.errstate(over="ignore"):
        bound = np.ldexp(most, -21) * np.abs(b).sum(axis=0) + np.abs(found) * 2.0**-24 + np.longdouble(2.0) ** -149
    error = np.abs(found - (c + wide @ b))
    assert np.isfinite(found).all()
    assert (error <= bound).all(), (type, float((error / bound).max()))


@pytest.mark.parametrize("type", TYPES, ids=str)
@pytest.mark.parametrize("scale", [0.0, 10.0])
def test_random_rows_stay_within_the_bound(type: DType, scale: float) -> None:
    rng = np.random.default_rng(type.width)
    for seed in range(4):
        check(type, rng.standard_normal((7, K)), seed, scale)
        check(type, rng.standard_normal((7, K)) * np.exp2(rng.integers(-60, 60, (7, 1))), seed, scale)


HOSTILE = {
    "zeros": np.zeros((1, K)),
    "negative zeros": np.full((1, K), -0.0),
    "subnormal numbers": np.full((1, K), 2.0**-149) * np.arange(1, K + 1),
    "around the least exponent": np.exp2(-np.arange(100.0, 112.0))[:, None] * np.linspace(-1, 1.9, K),
    "just below powers of two": np.exp2(np.arange(-20.0, 20.0))[:, None] * np.full(K, 1 - 2.0**-24),
    "powers of two": np.exp2(np.arange(-20.0, 20.0))[:, None] * np.full(K, -1.0),
    "all digits at their ends": np.array([[127.5, -127.5, 127.50196, -128.49804] * (K // 4)]) / 128,
    "a huge range": np.exp2(np.linspace(-120, 100, K))[None],
    "one large element": np.where(np.arange(K) == 3, 1e8, 1e-3)[None],
    "ties of the last digit": (np.arange(K)[None] + 0.5) * 2.0**-21 + 1,
    "near the largest number": np.linspace(-1, 1, K)[None] * 3e33,
}


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("type", [dtype("u4"), dtype("i8"), dtype("f4e2m1")], ids=str)
def test_hostile_rows_stay_within_the_bound(title: str, type: DType) -> None:
    check(type, HOSTILE[title])


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("type", [dtype("f5e3m1"), dtype("f6e3m2"), dtype("f7e3m3")], ids=str)
def test_weights_of_two_bytes_stay_within_the_bound_for_few_rows(title: str, type: DType) -> None:
    rows = HOSTILE[title]
    for first in range(0, len(rows), 2):
        check(type, rows[first : first + 2], seed=first, products=6)


def test_weights_of_two_bytes_stay_floats_for_more_rows() -> None:
    kernel = rewritten(product(dtype("f6e3m2"), extents=(3, K)))
    assert factors(kernel) == ["f32 f32"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_any_finite_row_stays_within_the_bound(row: list[float], seed: int) -> None:
    if max(map(abs, row)) < 2.0**110:
        check(dtype("i4"), [row], seed)


def test_numbers_near_the_largest_are_split() -> None:
    kernel = rewritten(product(dtype("u1"), extents=(1, 2)))
    largest = np.finfo(np.float32).max * np.float32(1 - 2.0**-20)
    x = np.array([[largest, -largest / 4]], np.float32)
    codes = np.zeros((2, N), np.uint8)
    codes[1] = 1
    found = execute(kernel, x, codes, np.zeros((1, N), np.float32))
    np.testing.assert_allclose(found, -largest, rtol=2.0**-20)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_a_row_that_is_not_finite_gives_nothing_finite_and_leaves_the_others_alone(special: float) -> None:
    kernel = rewritten(product(dtype("u4"), extents=(3, K)))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, K)).astype(np.float32)
    tile, _ = weights(dtype("u4"), rng)
    c = np.zeros((3, N), np.float32)
    before = execute(kernel, x, tile, c)
    x[1, 5] = special
    after = execute(kernel, x, tile, c)
    assert not np.isfinite(after[1]).any()
    assert np.array_equal(before[[0, 2]], after[[0, 2]])


@pytest.mark.parametrize("left", ["f16", "bf16", "f8e4m3", "f32"])
def test_a_product_of_floats_is_made_of_digits_in_fast_kernels_only(left: str) -> None:
    assert factors(rewritten(product(dtype("u4"), left))) == ["i8 u8"] * 3
    assert factors(rewritten(product(dtype("u4"), left, fast=False))) == ["f32 f32"]
    assert "2^-21" in rewritten(product(dtype("u4"), left)).notes[0].text


def test_weights_of_more_than_two_bytes_or_of_no_number_are_not_multiplied_by_digits() -> None:
    kernel = product(dtype("f8e4m3"))
    assert rewritten(kernel) is kernel


def test_what_is_an_integer_already_needs_no_digits_in_a_fast_kernel() -> None:
    assert factors(rewritten(product(dtype("u4"), "i8"))) == ["i8 u8"]


def test_many_rows_stay_floats_where_no_instruction_sums_four_products() -> None:
    few, many = (product(dtype("u4"), extents=(rows, K)) for rows in (8, 64))
    assert factors(run(Module((few,)), (few_digits,)).kernels[0]) == ["i8 u8"] * 3
    assert factors(run(Module((many,)), (few_digits,)).kernels[0]) == ["f32 f32"]


def test_so_do_integers_times_numbers_of_two_bytes() -> None:
    few, many = (product(dtype("f6e3m2"), "i8", False, (rows, K)) for rows in (8, 64))
    assert factors(run(Module((few,)), (few_digits,)).kernels[0]) == ["i8 u8"] * 2
    assert factors(run(Module((many,)), (few_digits,)).kernels[0]) == ["f32 f32"]
