"""Expanded casts against `DType.encode` and `decode`: every code of every narrow type, and the neighbours of midpoints.

The expansion is executed with nothing but primitive casts, which is asserted on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vmc.ir.builder import Builder, argument
from vmc.ir.core import TileType, Value
from vmc.ir.math.casts import expand_cast, is_primitive
from vmc.ir.types import ALL_DTYPES, ALL_SMALL, ROUNDINGS, DType, dtype

NARROW = tuple(kind for kind in ALL_DTYPES if kind.width <= 16)
FLOATS = tuple(kind for kind in ALL_DTYPES if kind.is_float)
WIDE = tuple(map(dtype, ("f16", "bf16", "f32", "f64")))


def cast(codes: Any, source: DType, target: DType, rounding: str, saturate: bool | None, noise: Any) -> Any:
    """The codes that the expansion gives; None if the cast is primitive."""
    operands = [argument(TileType(source, codes.shape))]
    if rounding == "stochastic":
        operands.append(argument(TileType(dtype("u32"), codes.shape)))
    outer = Builder()
    outer("cast", *operands, dtype=target, rounding=rounding, saturate=saturate)
    build = Builder()
    result = expand_cast(build, outer.ops[0])
    if result is None:
        return None
    values: dict[Value, Any] = dict(zip(operands, (source.from_codes(codes), noise), strict=False))
    for op in build.ops:
        if op.name == "cast":
            types = op.operands[0].tile.dtype, op.result.tile.dtype
            assert is_primitive(*types, str(op.attrs["rounding"]), bool(op.attrs["saturate"])), types
        arrays = [values[operand] for operand in op.operands]
        with np.errstate(all="ignore"):
            values.update(zip(op.results, op.definition.evaluate(None, op, arrays), strict=True))  # type: ignore[arg-type]
    assert result.tile == TileType(target, codes.shape)
    return target.to_codes(values[result])


def compare(codes: Any, source: DType, target: DType, rounding: Any, saturate: bool | None = None) -> None:
    if saturate is False and not target.has_nan and not (target.is_int and source.is_int):
        return
    noise = np.random.default_rng(6).integers(0, 1 << 32, codes.size, np.uint32) if rounding == "stochastic" else None
    got = cast(codes, source, target, rounding, saturate, noise)
    if got is None:
        return
    values = source.decode(codes)
    want = target.encode(values, rounding, saturate=saturate, random_bits=noise)
    wrong = np.flatnonzero(got != want)
    if target.is_float and target.has_nan:
        wrong = wrong[~(np.isnan(target.decode(got[wrong])) & np.isnan(target.decode(want[wrong])))]
    if wrong.size:
        i = wrong[0]
        detail = f"code {codes[i]:#x} ({values[i]!r}) gives {got[i]:#x}, not {want[i]:#x}"
        pytest.fail(f"{source} -> {target} {rounding} saturate={saturate}: {detail}; {wrong.size} of {codes.size}")


@pytest.mark.parametrize("source", NARROW, ids=str)
def test_every_code_of_a_narrow_type_becomes_what_decode_and_encode_make_of_it(source: DType) -> None:
    rng = np.random.default_rng(7)
    codes = source.codes() if source.width <= 8 else rng.choice(source.codes(), 3000)
    for target in ALL_DTYPES:
        compare(codes, source, target, "nearest_even")
    for target in (dtype("f32"), dtype("f64")):
        compare(source.codes(), source, target, "nearest_even")


@pytest.mark.parametrize("target", FLOATS, ids=str)
@pytest.mark.parametrize("source", ["f16", "bf16"])
def test_every_half_float_is_encoded_in_every_mode(source: str, target: DType) -> None:
    kind = dtype(source)
    for rounding in ROUNDINGS:
        for saturate in (None, True):
            compare(kind.codes()[:: 1 if rounding == "nearest_even" else 7], kind, target, rounding, saturate)


def neighbours(target: DType, source: DType) -> Any:
    """Codes of a wide float at every value of a small type, at the midpoints, and beside them; and at the extremes."""
    values = target.decode(target.codes()).astype(np.float64)
    values = np.unique(values[np.isfinite(values)])
    if values.size > 256:  # pairs of neighbours from everywhere
        start = np.sort(np.random.default_rng(11).choice(values.size - 1, 300, replace=False))
        values = np.unique(values[np.concatenate([start, start + 1])])
    points = np.concatenate([values, (values[1:] + values[:-1]) / 2, [values[-1] * 1.25, -values[-1] * 1.25]])
    native = source.from_codes(source.encode(points))
    with np.errstate(all="ignore"):
        around = [
            native,
            np.nextafter(native, native.dtype.type(np.inf)),
            np.nextafter(native, native.dtype.type(-np.inf)),
        ]
        info = np.finfo(native.dtype)
        ends = np.array(
            [0, -0.0, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, info.smallest_subnormal], info.dtype
        )
    rng = np.random.default_rng(8)
    random = rng.integers(0, 1 << source.width, 500, np.uint64).astype(source.code_dtype)
    return np.concatenate([source.to_codes(np.concatenate([*around, ends])), random])


@pytest.mark.parametrize(
    "target", [kind for kind in ALL_SMALL if kind.is_float] + [dtype("f16"), dtype("bf16")], ids=str
)
@pytest.mark.parametrize("source", ["f32", "f64"])
def test_midpoints_and_their_neighbours_round_as_the_mode_says(source: str, target: DType) -> None:
    kind = dtype(source)
    codes = neighbours(target, kind)
    for rounding in ROUNDINGS:
        for saturate in (None, True, False):
            compare(codes, kind, target, rounding, saturate)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("target", [kind for kind in ALL_DTYPES if kind.is_int], ids=str)
def test_floats_become_integers(target: DType, rounding: str) -> None:
    rng = np.random.default_rng(9)
    near = rng.integers(-20, 300, 400) / 4
    edges = np.array([float(target.min), float(target.max), float(target.max) + 1]) + np.array(
        [[-1], [-0.5], [0], [0.5], [1]]
    )
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e300, -1e300, 2.0**31, 2.0**63, -(2.0**63), 2.0**64])
    values = np.concatenate([near, edges.ravel(), special, rng.normal(0, float(target.max), 300)])
    for source in (*WIDE, dtype("f8e5m2"), dtype("f6e3m2")):
        with np.errstate(all="ignore"):
            compare(source.encode(values), source, target, rounding)


@pytest.mark.parametrize("source", ["i32", "u32", "i64", "u64", "i16", "u16"])
def test_wide_integers_become_floats_and_integers_in_every_mode(source: str) -> None:
    kind = dtype(source)
    rng = np.random.default_rng(10)
    random = rng.integers(0, 1 << kind.width, 400, np.uint64) >> rng.integers(0, kind.width, 400).astype(np.uint64)
    powers = [(1 << n) + d for n in range(kind.width) for d in (-1, 0, 1)]
    listed = np.array([code % (1 << kind.width) for code in (*powers, 0, -1, -2, 3 << 52, (1 << 53) + 3)], np.uint64)
    codes = np.concatenate([random, listed]).astype(kind.code_dtype)
    for target in ALL_DTYPES:
        for rounding in ROUNDINGS:
            for saturate in (None, True):
                compare(codes, kind, target, rounding, saturate)


def test_primitive_casts_have_no_expansion() -> None:
    for source, target in (
        ("f16", "f32"),
        ("f32", "f64"),
        ("f32", "f16"),
        ("i8", "f32"),
        ("i64", "f64"),
        ("u4", "i32"),
    ):
        assert (
            cast(np.zeros(1, dtype(source).code_dtype), dtype(source), dtype(target), "nearest_even", None, None)
            is None
        )
