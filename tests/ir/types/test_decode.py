"""Decoding, every code of every type of up to 16 bits, against the definitions written out in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from vmc.ir.types import ALL_DTYPES, ALL_SMALL, DType, dtype

FLOATS = [t for t in ALL_DTYPES if t.is_float and t.width <= 16]
INTEGERS = [t for t in ALL_DTYPES if t.is_int and t.width <= 16]
IEEE = {"f8e5m2": (5, 2), "f16": (5, 10), "bf16": (8, 7), "tf32": (8, 10), "f32": (8, 23), "f64": (11, 52)}
UNSIGNED = {"f8e8m0": (8, 0), "f8e5m3u": (5, 3)}
ML_DTYPES = {
    "f4e2m1": ml_dtypes.float4_e2m1fn,
    "f6e2m3": ml_dtypes.float6_e2m3fn,
    "f6e3m2": ml_dtypes.float6_e3m2fn,
    "f8e4m3": ml_dtypes.float8_e4m3fn,
    "f8e5m2": ml_dtypes.float8_e5m2,
    "f8e8m0": ml_dtypes.float8_e8m0fnu,
    "bf16": ml_dtypes.bfloat16,
    "f16": np.float16,
    "i2": ml_dtypes.int2,
    "i4": ml_dtypes.int4,
    "i8": np.int8,
    "i16": np.int16,
    "u2": ml_dtypes.uint2,
    "u4": ml_dtypes.uint4,
    "u8": np.uint8,
    "u16": np.uint16,
}


def fields(name: str) -> tuple[int, int]:
    """Exponent and mantissa bits, read off the name."""
    if name in IEEE or name in UNSIGNED:
        return (IEEE | UNSIGNED)[name]
    exponent, mantissa = name[3:].split("m")
    return int(exponent), int(mantissa)


def exact_value(name: str, code: int) -> Fraction | float:
    """The value of a code as the standards state it: a Fraction, or a float for zeros of either sign, infinity, NaN."""
    exponent_bits, mantissa_bits = fields(name)
    if name == "f8e8m0":
        return math.nan if code == 255 else Fraction(2) ** (code - 127)
    mantissa = code % 2**mantissa_bits
    exponent = code // 2**mantissa_bits % 2**exponent_bits
    sign = -1 if name not in UNSIGNED and code // 2 ** (mantissa_bits + exponent_bits) else 1
    bias = 2 ** (exponent_bits - 1) - 1
    if name in IEEE and exponent == 2**exponent_bits - 1:
        return math.nan if mantissa else sign * math.inf
    if (name, code % 128) == ("f8e4m3", 127) or (name, code) == ("f8e5m3u", 255):
        return math.nan
    if exponent == 0 == mantissa:
        return sign * 0.0
    part = Fraction(mantissa, 2**mantissa_bits)
    scale: Fraction = Fraction(2) ** (max(exponent, 1) - bias)
    return sign * (part if exponent == 0 else 1 + part) * scale


def same(found: float, expected: Fraction | float) -> bool:
    if isinstance(expected, Fraction):
        return Fraction(found) == expected
    if math.isnan(expected):
        return math.isnan(found)
    return found == expected and math.copysign(1, found) == math.copysign(1, expected)


@pytest.mark.parametrize("element", FLOATS, ids=str)
def test_every_code_of_a_float_decodes_to_the_value_its_definition_gives(element: DType) -> None:
    values = element.decode(element.codes())
    assert values.dtype == np.float64
    wrong = [code for code, value in enumerate(values.tolist()) if not same(value, exact_value(element.name, code))]
    assert wrong == []


@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_every_code_of_an_integer_decodes_as_two_complement_or_unsigned(element: DType) -> None:
    values = element.decode(element.codes())
    wrap = 1 << element.width if element.name[0] == "i" else 0
    half = 1 << (element.width - 1)
    assert values.dtype == np.int64
    assert values.tolist() == [code - wrap if code >= half else code for code in range(1 << element.width)]


@pytest.mark.parametrize("name", ["tf32", "f32", "f64"])
def test_sampled_codes_of_the_wide_floats_decode_to_the_value_their_definition_gives(name: str) -> None:
    element = dtype(name)
    rng = np.random.default_rng(5)
    top = np.uint64((1 << element.width) - 1)
    codes = rng.integers(0, top, 3000, dtype=np.uint64, endpoint=True)
    small = rng.integers(0, 1 << (element.width - 9), 500, dtype=np.uint64)  # many subnormal
    codes = np.concatenate([codes, small]) >> np.uint64(element.unused_bits) << np.uint64(element.unused_bits)
    values = element.decode(codes.astype(element.code_dtype))
    for code, value in zip(codes.tolist(), values.tolist(), strict=True):
        assert same(value, exact_value(name, code >> element.unused_bits)), hex(code)


@pytest.mark.parametrize("name", ML_DTYPES)
def test_ml_dtypes_reads_every_code_as_the_same_value(name: str) -> None:
    element = dtype(name)
    with np.errstate(invalid="ignore"):  # signalling NaN
        theirs = element.codes().view(ML_DTYPES[name]).astype(np.float64)
    ours = element.decode(element.codes()).astype(np.float64)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


@pytest.mark.parametrize(
    "name, numpy_type", [("u64", np.uint64), ("i64", np.int64), ("u32", np.int64), ("i32", np.int64)]
)
def test_wide_integers_keep_every_bit(name: str, numpy_type: type) -> None:
    element = dtype(name)
    codes = np.array([0, 1, 2 ** (element.width - 1), 2**element.width - 1], element.code_dtype)
    values = element.decode(codes)
    assert values.dtype == (np.uint64 if name == "u64" else np.int64)
    assert values[-1] == (-1 if name[0] == "i" else element.max)
    assert values[2] == (element.min if name[0] == "i" else element.zero_point)


@pytest.mark.parametrize("element", [t for t in ALL_DTYPES if t.width <= 16], ids=str)
def test_codes_survive_the_array_an_executor_holds(element: DType) -> None:
    codes = element.codes()
    tile = element.from_codes(codes)
    assert tile.dtype == element.array_dtype
    np.testing.assert_array_equal(element.to_codes(tile), codes)
    np.testing.assert_array_equal(element.to_values(tile), element.decode(codes))
    if element.is_int:
        np.testing.assert_array_equal(tile, element.decode(codes))


def test_nan_payloads_survive_the_array_an_executor_holds() -> None:
    for name, code in [("f16", 0x7C01), ("f32", 0x7F800001), ("f32", 0xFFC12345), ("f64", 0x7FF0000000000001)]:
        element = dtype(name)
        codes = np.array([code], element.code_dtype)
        assert element.to_codes(element.from_codes(codes))[0] == code
        assert np.isnan(element.to_values(element.from_codes(codes)))[0]


def test_decoding_keeps_the_shape_down_to_a_scalar() -> None:
    assert dtype("f8e4m3").decode(np.zeros((2, 0, 3), np.uint8)).shape == (2, 0, 3)
    assert dtype("f8e4m3").decode(0x38) == 1.0
    assert dtype("i4").decode([[15, 8]]).tolist() == [[-1, -8]]


@pytest.mark.parametrize("element", [t for t in ALL_SMALL if t.width < 8], ids=str)
def test_a_number_that_is_no_code_is_refused(element: DType) -> None:
    for bad in (1 << element.width, -1):
        with pytest.raises(ValueError, match=f"codes of {element.name} lie in 0..{(1 << element.width) - 1}"):
            element.decode([0, bad])
        with pytest.raises(ValueError):
            element.from_codes(np.array([bad], np.int16))


def test_arrays_of_another_dtype_than_the_type_holds_are_refused() -> None:
    with pytest.raises(TypeError, match="codes of u4 must be integers, not float64"):
        dtype("u4").decode([0.5])
    with pytest.raises(TypeError, match="a tile of i4 is held as int8, not uint8"):
        dtype("i4").to_codes(np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match=r"i4 holds -8..7, found 0..9"):
        dtype("i4").to_codes(np.array([0, 9], np.int8))
    with pytest.raises(ValueError, match=r"codes of f6e3m2 lie in 0..63"):
        dtype("f6e3m2").to_codes(np.array([64], np.uint8))
    with pytest.raises(ValueError, match="too many to list"):
        dtype("f32").codes()
