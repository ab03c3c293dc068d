"""Casts between all pairs of types against a search for the nearest value, and bitcasts."""

from __future__ import annotations

import math
from bisect import bisect_left
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from vmc.ir.core import IRError
from vmc.ir.types import ALL_DTYPES

SMALL_FLOATS = [type for type in ALL_DTYPES if type.is_float and type.width <= 8]
INTEGERS = [type for type in ALL_DTYPES if type.is_int]
ROUNDINGS = ("nearest_even", "toward_zero", "floor")


def integer(number, rounding):
    """A finite number as an integer."""
    return {"nearest_even": round, "toward_zero": math.trunc, "floor": math.floor}[rounding](number)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("source", ALL_DTYPES, ids=lambda type: type.name)
def test_casts_to_integers_round_and_saturate_floats_and_wrap_integers(source, rounding, evaluate, samples):
    codes = samples(source, 60)
    numbers = source.decode(codes).tolist()
    for target in INTEGERS:
        (result,) = evaluate("cast", (source, codes), dtype=target, rounding=rounding, saturate=None)
        for number, got in zip(numbers, result.tolist(), strict=True):
            if source.is_int:
                expected = number
            elif number != number:
                expected = 0
            elif math.isinf(number):
                expected = target.max if number > 0 else target.min
            else:
                expected = min(max(integer(number, rounding), target.min), target.max)
            assert got == expected % 2**target.width, (source, target, number)


def nearest(number, table, rounding):
    """The code of a number between the least and the greatest value of a table of (value, code), sorted."""
    place = bisect_left(table, (number, -1))
    if table[place][0] == number:
        return {code for value, code in table if value == number}
    (low, low_code), (high, _) = table[place - 1], table[place]
    if rounding == "floor":
        return {code for value, code in table if value == low}
    if rounding == "toward_zero":
        chosen = low if number > 0 else high
        return {code for value, code in table if value == chosen}
    down, up = Fraction(number) - Fraction(low), Fraction(high) - Fraction(number)
    if down == up:
        even = low if low_code % 2 == 0 else high
        return {code for value, code in table if value == even}
    chosen = low if down < up else high
    return {code for value, code in table if value == chosen}


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("target", SMALL_FLOATS, ids=lambda type: type.name)
def test_casts_to_small_floats_find_the_nearest_value(target, rounding, evaluate, samples):
    values = zip(target.decode(target.codes()).tolist(), target.codes().tolist(), strict=True)
    table = sorted((value, code) for value, code in values if math.isfinite(value))
    for source in ALL_DTYPES:
        codes = samples(source, 40)
        (result,) = evaluate("cast", (source, codes), dtype=target, rounding=rounding, saturate=None)
        for number, got in zip(source.decode(codes).tolist(), result.tolist(), strict=True):
            if number != number or not table[0][0] <= number <= table[-1][0]:
                continue
            if target.name == "f8e8m0" and rounding == "nearest_even":
                continue  # its ties have no even code
            assert got in nearest(number, table, rounding), (source, number)


@pytest.mark.parametrize("target", ["f16", "bf16", "f32", "f64"])
@pytest.mark.parametrize("source", ALL_DTYPES, ids=lambda type: type.name)
def test_casts_to_wide_floats_are_those_of_numpy_and_ml_dtypes(source, target, evaluate, samples):
    codes = samples(source, 300)
    (result,) = evaluate("cast", (source, codes), dtype=dtype_of(target), rounding="nearest_even", saturate=None)
    foreign = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}[target]
    numbers = source.decode(codes)
    with np.errstate(all="ignore"):
        if target in ("f16", "bf16") and numbers.dtype == np.float64:
            numbers = to_odd_float32(numbers)
        elif target in ("f16", "bf16"):
            numbers = to_odd_float32(to_odd_float64(numbers))
        expected = numbers.astype(foreign).astype(np.float64)
        got = result.view(foreign).astype(np.float64)
    assert np.array_equal(got, expected, equal_nan=True)
    assert np.array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(expected)[~np.isnan(got)])


def dtype_of(name):
    return next(type for type in ALL_DTYPES if type.name == name)


def to_odd_float64(integers):
    """64-bit integers as floats rounded to odd, so that another rounding to nearest is the only one that counts."""
    rows = []
    for number in integers.tolist():
        spare = max(abs(number).bit_length() - 53, 0)
        kept = (abs(number) >> spare) << spare
        odd = kept | (1 << spare) if kept != abs(number) else kept
        rows.append(math.copysign(float(odd), number))
    return np.array(rows)


def to_odd_float32(numbers):
    """f64 rounded to odd in f32."""
    near = numbers.astype(np.float32)
    inexact = np.isfinite(numbers) & (near.astype(np.float64) != numbers) & np.isfinite(near)
    toward = np.where(np.abs(near.astype(np.float64)) > np.abs(numbers), np.nextafter(near, np.float32(0)), near)
    odd = (toward.view(np.uint32) | 1).view(np.float32)
    return np.where(inexact, odd, near)


@pytest.mark.parametrize("source", ALL_DTYPES, ids=lambda type: type.name)
def test_a_bitcast_keeps_every_bit(source, evaluate, samples):
    codes = samples(source, 100)
    for target in ALL_DTYPES:
        if target.width == source.width:
            assert np.array_equal(evaluate("bitcast", (source, codes), dtype=target)[0], codes)


@pytest.mark.parametrize("target", ["f4e2m1", "u8"])
def test_a_cast_that_can_only_clamp_may_not_be_told_not_to(target, evaluate):
    with pytest.raises(IRError, match=f"cast from f32 to {target} must saturate"):
        evaluate("cast", ("f32", [0]), dtype=dtype_of(target), rounding="nearest_even", saturate=False)


@pytest.mark.parametrize("source", ["f32", "f16", "i32", "u8"])
def test_stochastic_rounding_goes_up_where_the_random_bits_lie_below_the_fraction(source, evaluate):
    type = dtype_of("f8e4m3")
    number = {"f32": 1.03125, "f16": 1.03125, "i32": 33, "u8": 33}[source]
    code = int(dtype_of(source).encode(number)[()])
    codes, noise = np.full(3, code), np.array([0, (1 << 30) - 1, 1 << 31], np.uint32)
    (result,) = evaluate("cast", (source, codes), ("u32", noise), dtype=type, rounding="stochastic", saturate=None)
    low = int(type.encode(number, "toward_zero")[()])
    assert result.tolist() == [low + 1, low + 1, low]  # a quarter of the step lies below the number
