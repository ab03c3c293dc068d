"""Every decoder, executed on all codes in all places with random neighbours, against NumPy and ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest

from vmc.ir.decode import NoDecoderError, decoder
from vmc.ir.types import dtype

INTEGERS = [*(f"u{width}" for width in range(1, 9)), *(f"i{width}" for width in range(2, 9))]
FLOATS = [f"f{width}e{e}m{width - 1 - e}" for width in range(3, 9) for e in range(1, width)]
SCALES = ["f8e8m0", "f8e5m3u"]
OVERFLOWING = ["f7e6m0", "f8e6m1", "f8e7m0", *SCALES]
HALF = {"f16x2": np.float16, "bf16x2": ml_dtypes.bfloat16}


def float_of(type, code):
    """The value of a code, by the meaning of sign, exponent and mantissa alone."""
    magnitude = code & ((1 << type.magnitude_bits) - 1)
    exponent, mantissa = magnitude >> type.mantissa_bits, magnitude & ((1 << type.mantissa_bits) - 1)
    sign = -1.0 if type.has_sign and code >> (type.width - 1) else 1.0
    if type.nan_start is not None and magnitude >= type.nan_start:
        return np.nan
    if type.inf_code is not None and magnitude == type.inf_code:
        return sign * np.inf
    one = 2.0**-type.mantissa_bits
    if exponent == 0 and type.has_zero:
        return sign * mantissa * one * 2.0 ** (1 - type.bias)
    return sign * (1 + mantissa * one) * 2.0 ** (exponent - type.bias)


def value_of(type, code):
    if type.is_float:
        return float_of(type, code)
    return float(code - (1 << type.width) if type.has_sign and code >> (type.width - 1) else code)


def centred(type):
    """The values that a quantized weight has: less the zero point."""
    return [value_of(type, code) - type.zero_point for code in range(1 << type.width)]


def executed(made, codes):
    """The numbers [rows, made.codes] that the program makes of codes [rows, made.codes]: uint16 or uint8 patterns."""
    words = [np.zeros(len(codes), np.uint32) for _ in range(made.words)]
    for number, places in enumerate(made.order):
        for bit, place in enumerate(places):
            words[place // 32] |= (codes[:, number] >> bit & 1).astype(np.uint32) << np.uint32(place % 32)
    registers = made.program(words)
    unit = np.uint8 if made.kind.endswith("x4") else np.uint16
    return np.stack([register.view(unit).reshape(len(codes), -1) for register in registers], axis=1).reshape(
        len(codes), -1
    )


def samples(made, seed=0):
    """Every code in every place: random columns, each a permutation of all codes, four times."""
    rng = np.random.default_rng(seed)
    every = np.tile(np.arange(1 << made.width), 4)
    return np.stack([rng.permutation(every) for _ in range(made.codes)], axis=1)


def check_halves(made, wanted, signed_zeros):
    half = HALF[made.kind]
    codes = samples(made)
    found = executed(made, codes).view(half).astype(np.float64)
    with np.errstate(over="ignore"):
        expected = np.array(wanted).astype(half).astype(np.float64)[codes]
    np.testing.assert_array_equal(found, expected)
    if signed_zeros:
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


@pytest.mark.parametrize("kind", HALF)
@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS, *SCALES])
def test_every_code_of_every_type_becomes_the_half_that_numpy_rounds_it_to(name, kind):
    type = dtype(name)
    made = decoder(type, kind, centred(type))
    check_halves(made, centred(type), signed_zeros=True)


@pytest.mark.parametrize("kind", HALF)
@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_a_number_takes_few_operations_and_none_converts_integers(name, kind):
    type = dtype(name)
    made = decoder(type, kind, centred(type), signed_zeros=False)
    limit = 1.5 if name in ("u4", "u8") and kind == "f16x2" else 2.5
    if kind == "f16x2" and name in OVERFLOWING:
        limit = 3.6
    assert made.operations_per_code <= limit
    check_halves(made, centred(type), signed_zeros=False)
    joins = sum(operation.name.startswith("join") for operation in made.program.operations)
    assert joins == 0 or made.strategy == "widened"


@pytest.mark.parametrize("name", INTEGERS)
def test_whole_numbers_become_bytes(name):
    type = dtype(name)
    for values in ([value_of(type, code) for code in range(1 << type.width)], centred(type)):
        made = decoder(type, "i8x4", values)
        codes = samples(made)
        np.testing.assert_array_equal(executed(made, codes), (np.array(values, np.int64)[codes] % 256).astype(np.uint8))
        assert made.operations_per_code <= 1.5


@pytest.mark.parametrize(
    ("name", "factor"), [("f4e2m1", 2), ("f6e2m3", 8), ("f3e1m1", 1), ("f5e2m2", 4), ("f4e3m0", 4)]
)
def test_small_floats_that_are_whole_multiples_become_bytes(name, factor):
    type = dtype(name)
    values = [factor * float_of(type, code) for code in range(1 << type.width)]
    made = decoder(type, "i8x4", values)
    codes = samples(made)
    np.testing.assert_array_equal(executed(made, codes), (np.array(values, np.int64)[codes] % 256).astype(np.uint8))


def test_bytes_of_small_floats_may_have_an_offset():
    values = [2 * float_of(dtype("f4e2m1"), code) + 12 for code in range(16)]
    made = decoder(dtype("f4e2m1"), "i8x4", values)
    codes = samples(made)
    np.testing.assert_array_equal(executed(made, codes), np.array(values, np.int64)[codes].astype(np.uint8))


@pytest.mark.parametrize("name", ["f4e2m1", "f6e3m2", "f8e1m6", "f5e4m0"])
def test_a_power_of_two_may_be_left_to_the_consumer(name):
    type = dtype(name)
    made, whole = decoder(type, "f16x2", any_scale=True), decoder(type, "f16x2")
    assert len(made.program.operations) == len(whole.program.operations) - made.registers
    scaled = [float_of(type, code) * 2.0**-made.exponent for code in range(1 << type.width)]
    check_halves(made, scaled, signed_zeros=True)


EIGHTHS = {"e4m3x4": ml_dtypes.float8_e4m3fn, "e5m2x4": ml_dtypes.float8_e5m2}


@pytest.mark.parametrize("kind", EIGHTHS)
@pytest.mark.parametrize("name", FLOATS)
def test_small_floats_become_8_bit_floats_times_a_power_of_two_where_those_have_room(name, kind):
    type, (exponent, mantissa) = dtype(name), {"e4m3x4": (4, 3), "e5m2x4": (5, 2)}[kind]
    fits = type.exponent_bits <= exponent and type.mantissa_bits <= mantissa
    # The top exponent of e5m2 holds infinity and NaN; e4m3's NaN is one code only.
    full = kind == "e5m2x4" and name in ("f7e5m1",)
    if not fits or full:
        with pytest.raises(NoDecoderError):
            decoder(type, kind, any_scale=True)
        return
    made = decoder(type, kind, any_scale=True)
    codes = samples(made)
    found = executed(made, codes).view(np.uint8).view(EIGHTHS[kind]).astype(np.float64) * 2.0**made.exponent
    values = np.array([float_of(type, code) * 2.0**-made.exponent for code in range(1 << type.width)])
    with np.errstate(over="ignore"):
        expected = values.astype(EIGHTHS[kind]).astype(np.float64) * 2.0**made.exponent
    np.testing.assert_array_equal(found, expected[codes])
    assert made.operations_per_code <= 0.75 and (made.operations_per_code == 0) == (name[:2] == "f8")


@pytest.mark.parametrize("name", FLOATS)
def test_conversions_of_8_bit_floats_are_used_where_they_take_fewer_operations(name):
    type = dtype(name)
    made, without = (decoder(type, "f16x2", signed_zeros=False, conversions=has) for has in (True, False))
    check_halves(made, centred(type), signed_zeros=False)
    assert made.operations_per_code <= without.operations_per_code
    if made.strategy != "converted":
        assert made.program == without.program
    if name == "f8e4m3":
        assert (made.operations_per_code, without.operations_per_code) == (0.5, 2.25)


def test_any_line_of_the_codes_is_a_decoder():
    values = [0.5 * code - 3.25 for code in range(16)]
    check_halves(decoder(dtype("u4"), "f16x2", values), values, signed_zeros=True)


def test_values_that_no_strategy_makes_are_an_error():
    with pytest.raises(NoDecoderError, match="no strategy decodes these values of u4 to f16x2"):
        decoder(dtype("u4"), "f16x2", [float(code * code) for code in range(16)])
    with pytest.raises(NoDecoderError, match="no decoder of 2 values for u4"):
        decoder(dtype("u4"), "f16x2", [0.0, 1.0])
    with pytest.raises(NoDecoderError, match="for f16 to f16x2"):
        decoder(dtype("f16"), "f16x2")


def test_pack_puts_bits_where_the_order_says():
    made = decoder(dtype("u3"), "f16x2", centred(dtype("u3")))
    codes = samples(made).astype(np.uint32)
    words = made.pack(codes)
    for number, places in enumerate(made.order):
        for bit, place in enumerate(places):
            np.testing.assert_array_equal(words[place // 32] >> place % 32 & 1, codes[:, number] >> bit & 1)
