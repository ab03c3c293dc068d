"""`vmc.ir.exact.fma` against exact rational arithmetic, and against the C library's fma where there is one."""

from __future__ import annotations

import ctypes
import ctypes.util
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from vmc.ir.exact import fma

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
TINIEST = {F32: Fraction(1, 2**149), F64: Fraction(1, 2**1074)}
DIGITS = {F32: 24, F64: 53}
LIMIT = {F32: Fraction(2) ** 128, F64: Fraction(2) ** 1024}


def rounded(value: Fraction, dtype: np.dtype[Any]) -> float:
    """A nonzero rational to nearest even in a format, by the definition of rounding."""
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    step = max(Fraction(2) ** (exponent - DIGITS[dtype] + 1), TINIEST[dtype])
    result = round(size / step) * step  # Python rounds a Fraction half to even
    if result >= LIMIT[dtype]:
        return math.inf if value > 0 else -math.inf
    return math.copysign(float(result), value)


def reference(a: float, b: float, c: float, dtype: np.dtype[Any]) -> float:
    if not all(map(math.isfinite, (a, b, c))) or a == 0 or b == 0:
        if math.isfinite(a) and math.isfinite(b) and not math.isfinite(c):
            return c
        with np.errstate(all="ignore"):
            return float(np.float64(a) * np.float64(b) + np.float64(c))
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return 0.0 if exact == 0 else rounded(exact, dtype)


def check(a: Any, b: Any, c: Any) -> None:
    dtype = a.dtype
    got = fma(a, b, c)
    assert got.dtype == dtype and got.shape == a.shape
    for x, y, z, r in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist(), strict=True):
        want = reference(x, y, z, dtype)
        same = (math.isnan(want) and math.isnan(r)) or (want == r and math.copysign(1, want) == math.copysign(1, r))
        assert same, f"fma({x.hex()}, {y.hex()}, {z.hex()}) is {r.hex()}, not {want.hex()} in {dtype}"


def any_floats(rng: np.random.Generator, dtype: np.dtype[Any], count: int) -> Any:
    width = dtype.itemsize
    return rng.integers(0, 2 ** (8 * width), count, np.uint64).astype(f"u{width}").view(dtype)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_random_bit_patterns_round_once(dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(1)
    a, b, c = (any_floats(rng, dtype, 20000) for _ in range(3))
    check(a, b, c)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_operands_near_one_round_once_after_cancellation(dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.uniform(0.5, 2, 20000).astype(dtype) for _ in range(2))
    few = (1 + rng.integers(-8, 9, 20000) * np.finfo(dtype).eps).astype(dtype)
    check(a, b, -(a * b))
    check(few, np.roll(few, 1), np.roll(few, 2) * np.where(rng.random(20000) < 0.5, -1, 1).astype(dtype))


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("scale", ["subnormal", "product underflows", "gap", "overflow"])
def test_results_at_the_ends_of_the_range_round_once(dtype: np.dtype[Any], scale: str) -> None:
    rng = np.random.default_rng(3)
    count, info = 10000, np.finfo(dtype)
    sign = np.where(rng.random(count) < 0.5, -1, 1)
    a, b = (rng.uniform(1, 2, count).astype(dtype) for _ in range(2))
    shift = {
        "subnormal": (info.minexp // 2, info.minexp - info.nmant // 2),
        "product underflows": (info.minexp // 2 - info.nmant // 2, info.minexp - info.nmant + 3),
        "gap": (0, info.nmant + 2),
        "overflow": (info.maxexp // 2, info.maxexp - 2),
    }[scale]
    spread = rng.integers(-info.nmant // 2 - 2, info.nmant // 2 + 2, count)
    c = sign * rng.integers(1, 1 << 10, count) / 512
    with np.errstate(all="ignore"):
        check(np.ldexp(a, shift[0]), np.ldexp(b, shift[0] + spread // 2), np.ldexp(c.astype(dtype), shift[1] + spread))
        few = (1 + rng.integers(0, 4, count) * info.eps).astype(dtype)
        other = np.ldexp(np.roll(few, 1), shift[0] - 1)
        check(np.ldexp(few, shift[0]), other, np.ldexp(c, shift[1] - 30).astype(dtype))


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_every_combination_of_special_values(dtype: np.dtype[Any]) -> None:
    info = np.finfo(dtype)
    values = [0.0, 0.5, 1.0, 1 + float(info.eps), float(info.max), float(info.tiny), float(info.smallest_subnormal)]
    values += [float(info.tiny) - float(info.smallest_subnormal), 3 * float(info.smallest_subnormal), math.inf]
    signed = np.array([*values, *(-v for v in values), math.nan], dtype)
    grids = np.meshgrid(signed, signed, signed)
    check(*(grid.ravel() for grid in grids))


def test_ties_after_a_wide_gap_see_the_sticky_bit() -> None:
    one, half = np.float64(1), np.float64(2.0**-53)
    tiny = np.array([2.0**-1074, -(2.0**-1074), 2.0**-500, -(2.0**-107)])
    check(np.full(4, half), np.full(4, one), np.full(4, one))
    check(np.full(4, 1 + 2.0**-52), np.full(4, 2.0**-53), tiny)
    check(np.full(4, 1 + 2.0**-52), np.full(4, 1 + 2.0**-52), tiny)
    check(tiny, np.full(4, one), np.full(4, 1 - 2.0**-53))


def test_broadcasts_and_refuses_other_types() -> None:
    assert fma(np.ones((3, 1)), np.ones(4), np.float64(2)).shape == (3, 4)
    with pytest.raises(TypeError, match="one dtype"):
        fma(np.float32(1), np.float64(1), np.float64(1))
    with pytest.raises(TypeError, match="float16"):
        fma(np.float16(1), np.float16(1), np.float16(1))


@pytest.mark.parametrize("name", ["fma", "fmaf"])
def test_agrees_with_the_c_library(name: str) -> None:
    library = ctypes.util.find_library("m")
    if library is None:
        pytest.skip("there is no C mathematics library to compare with")
    kind, dtype = (ctypes.c_double, F64) if name == "fma" else (ctypes.c_float, F32)
    function = getattr(ctypes.CDLL(library), name)
    function.restype, function.argtypes = kind, [kind] * 3
    rng = np.random.default_rng(4)
    a, b = (any_floats(rng, dtype, 50000) for _ in range(2))
    with np.errstate(all="ignore"):
        c = (-a * b * rng.choice(np.array([1, 0.5, 2, 3, 1e-9]), 50000).astype(dtype)).astype(dtype)
    want = np.array([function(*triple) for triple in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)], dtype)
    assert np.array_equal(fma(a, b, c), want, equal_nan=True)
