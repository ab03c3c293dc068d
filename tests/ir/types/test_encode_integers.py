"""Encoding to integers, and from integers to floats, against Python's unbounded integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from vmc.ir.types import ALL_DTYPES, ROUNDINGS, DType, Rounding, dtype

INTEGERS = [t for t in ALL_DTYPES if t.is_int]
WIDE_FLOATS = [dtype(name) for name in ("f16", "bf16", "tf32", "f32", "f64")]


def bounds(element: DType) -> tuple[int, int]:
    signed = element.name[0] == "i"
    return (-(1 << (element.width - 1)) if signed else 0, (1 << (element.width - signed)) - 1)


def rounded(value: Fraction, mode: Rounding, noise: int) -> int:
    """`value` to a whole number by the definition of `mode`."""
    whole = math.trunc(value)
    up = 1 if value > 0 else -1
    match mode:
        case "nearest_even":
            return round(value)
        case "toward_zero":
            return whole
        case "floor":
            return math.floor(value)
        case "stochastic":
            return whole + up * (math.floor(abs(value - whole) * 2**32) > noise)


@pytest.mark.parametrize("mode", ROUNDINGS)
@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_floats_round_by_the_mode_and_clamp_to_the_range(element: DType, mode: Rounding) -> None:
    rng = np.random.default_rng(1)
    low, high = bounds(element)
    span = float(high - low)
    near = np.arange(-70, 71) / 4 + (low if element.width <= 32 else 0)
    values = np.concatenate([near, rng.uniform(low - 0.1 * span, high + 0.1 * span, 400), [float(low), float(high)]])
    values = np.concatenate([values, np.nextafter(values, 0), [1e300, -1e300, 0.5, -0.5, 5e-324, 2.0**63, 2.0**64]])
    noise = rng.integers(0, 1 << 32, values.shape, dtype=np.uint32)
    expected = [
        min(max(rounded(Fraction(v), mode, int(n)), low), high) % (1 << element.width)
        for v, n in zip(values.tolist(), noise, strict=True)
    ]
    assert element.encode(values, mode, random_bits=noise).tolist() == expected


@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_infinity_clamps_and_nan_becomes_zero(element: DType) -> None:
    codes = element.encode([np.inf, -np.inf, np.nan])
    low, high = bounds(element)
    assert codes.tolist() == [high, low % (1 << element.width), 0]


@pytest.mark.parametrize("element", INTEGERS, ids=str)
@pytest.mark.parametrize("source", [np.int64, np.uint64, np.int8, np.uint16])
def test_integers_wrap_or_clamp_on_request(element: DType, source: type) -> None:
    rng = np.random.default_rng(6)
    info = np.iinfo(source)
    values = np.concatenate([
        rng.integers(info.min, info.max, 300, dtype=source, endpoint=True),
        np.array([info.min, info.max, 0, 1, info.max // 2], source),
    ])  # fmt: skip
    low, high = bounds(element)
    modulus = 1 << element.width
    assert element.encode(values).tolist() == [v % modulus for v in values.tolist()]
    clamped = [min(max(v, low), high) % modulus for v in values.tolist()]
    assert element.encode(values, saturate=True).tolist() == clamped


@pytest.mark.parametrize("name, theirs", [("i2", "int2"), ("i4", "int4"), ("u2", "uint2"), ("u4", "uint4")])
def test_ml_dtypes_wraps_integers_to_the_same_codes(name: str, theirs: str) -> None:
    values = np.arange(-128, 128)
    mask = (1 << dtype(name).width) - 1
    expected = values.astype(getattr(ml_dtypes, theirs)).view(np.uint8) & mask
    np.testing.assert_array_equal(dtype(name).encode(values), expected)


@pytest.mark.parametrize("element", [t for t in INTEGERS if t.width <= 16], ids=str)
def test_every_code_survives_decode_and_encode(element: DType) -> None:
    values = element.decode(element.codes())
    np.testing.assert_array_equal(element.encode(values), element.codes())
    np.testing.assert_array_equal(element.encode(values.astype(np.float32)), element.codes())


def rounded_to_float(value: int, mantissa_bits: int, mode: Rounding, noise: int) -> Fraction:
    """A whole number to `mantissa_bits` + 1 significant bits (no whole number is subnormal in the wide floats)."""
    spacing = Fraction(2) ** (abs(value).bit_length() - 1 - mantissa_bits)
    return rounded(value / spacing, mode, noise) * spacing


@pytest.mark.parametrize("mode", ROUNDINGS)
@pytest.mark.parametrize("element", WIDE_FLOATS, ids=str)
def test_64_bit_integers_round_once_on_the_way_to_a_float(element: DType, mode: Rounding) -> None:
    rng = np.random.default_rng(8)
    lengths = rng.integers(0, 63, 600)
    signed = rng.integers(0, 1 << 62, 600) >> lengths
    kept = element.mantissa_bits + 1
    ties = (rng.integers(1 << kept, 2 << kept, 300) | 1) << rng.integers(0, 62 - kept, 300)
    edges = [0, 1, 2**53 + 1, 2**53 - 1, 2**54 + 2, 2**62 + 2**8, 2**63 - 1, 2**63 - 2**9, 2**24 + 1]
    positive = np.concatenate([signed, ties, ties - 1, ties + 1, edges])
    unsigned = np.array([2**64 - 1, 2**64 - 2**10, 2**64 - 2**10 - 1, 2**63 + 2**10, 2**63 + 2**10 + 1], np.uint64)
    for values in (positive, -positive, unsigned, np.array([-(2**63), 7])):
        noise = rng.integers(0, 1 << 32, values.shape, dtype=np.uint32)
        found = element.decode(element.encode(values, mode, random_bits=noise))
        for value, bits, result in zip(values.tolist(), noise.tolist(), found.tolist(), strict=True):
            exact = rounded_to_float(value, element.mantissa_bits, mode, bits) if value else Fraction(0)
            if abs(exact) <= Fraction(element.max):
                assert Fraction(result) == exact, (value, bits)
            else:
                lowered = mode == "toward_zero" or (mode == "floor" and value > 0)
                assert abs(result) == (element.max if lowered else math.inf)


@pytest.mark.parametrize("element", [t for t in ALL_DTYPES if t.is_float and t.width <= 16], ids=str)
def test_small_integers_encode_as_their_float_values_do(element: DType) -> None:
    values = np.arange(-300, 301)
    for mode in ROUNDINGS:
        noise = np.random.default_rng(3).integers(0, 1 << 32, values.shape, dtype=np.uint32)
        from_integers = element.encode(values, mode, random_bits=noise)
        from_floats = element.encode(values.astype(np.float64), mode, random_bits=noise)
        np.testing.assert_array_equal(from_integers, from_floats)


def test_booleans_encode_as_zero_and_one() -> None:
    assert dtype("u1").encode([True, False]).tolist() == [1, 0]
    assert dtype("f16").encode([True, False]).tolist() == [0x3C00, 0]


def test_float_to_integer_cannot_be_asked_not_to_clamp() -> None:
    with pytest.raises(ValueError, match="u4 has neither infinity nor NaN"):
        dtype("u4").encode([3.5], saturate=False)
    assert dtype("u4").encode([19], saturate=False)[0] == 3


def test_a_whole_number_just_below_a_power_of_two_has_the_fraction_of_its_own_binade() -> None:
    """float64 rounds 2**63 - 1 up to 2**63, from where the discarded part would look half as large."""
    threshold = (1023 << 32) // 1024
    noise = np.array([threshold - 1, threshold], np.uint32)
    codes = dtype("f64").encode(np.full(2, 2**63 - 1), "stochastic", random_bits=noise)
    assert dtype("f64").decode(codes).tolist() == [2.0**63, 2.0**63 - 1024]
