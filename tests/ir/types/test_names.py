"""Which types exist, what they are called, what follows from their records, and what a wrong name is answered with."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import ml_dtypes
import numpy as np
import pytest

from vmc.ir.types import ALL_DTYPES, ALL_SMALL, DType, Kind, UnknownTypeError, dtype

SMALL_FLOATS = [f"f{n}e{x}m{n - 1 - x}" for n in range(3, 9) for x in range(1, n)]
NAMES = [
    *(f"u{n}" for n in (*range(1, 9), 16, 32, 64)),
    *(f"i{n}" for n in (*range(2, 9), 16, 32, 64)),
    *SMALL_FLOATS,
    *("f8e8m0", "f8e5m3u", "f16", "bf16", "tf32", "f32", "f64"),
]


def test_the_table_holds_every_type_once_and_no_other() -> None:
    assert sorted(t.name for t in ALL_DTYPES) == sorted(NAMES)
    assert sorted(t.name for t in ALL_SMALL) == sorted(n for n in NAMES if dtype(n).width <= 8)
    assert all(dtype(t.name) is t and dtype(t) is t for t in ALL_DTYPES)


@pytest.mark.parametrize("name", SMALL_FLOATS)
def test_a_small_float_has_the_fields_its_name_states(name: str) -> None:
    element = dtype(name)
    assert name == f"f{element.width}e{element.exponent_bits}m{element.mantissa_bits}"
    assert element.has_sign and element.bias == 2 ** (element.exponent_bits - 1) - 1


@pytest.mark.parametrize(
    "wrong, suggestion",
    [
        ("i1", "u1"),
        ("u9", "u8"),
        ("int8", "i8"),
        ("uint4", "u4"),
        ("uint16_t", "u16"),
        ("float16", "f16"),
        ("bfloat16", "bf16"),
        ("half", "f16"),
        ("F32", "f32"),
        ("fp8_e4m3", "f8e4m3"),
        ("float8_e4m3fn", "f8e4m3"),
        ("float8_e8m0fnu", "f8e8m0"),
        ("e2m1", "f4e2m1"),
        ("f8e4m2", "f7e4m2"),
        ("f8e5m3", "f8e5m3u"),
        ("tf23", "tf32"),
        ("complex", None),
        ("", None),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(wrong: str, suggestion: str | None) -> None:
    with pytest.raises(UnknownTypeError) as caught:
        dtype(wrong)
    assert caught.value.suggestion == suggestion
    assert isinstance(caught.value, ValueError)
    hint = f"; did you mean '{suggestion}'?" if suggestion else ""
    assert str(caught.value) == f"unknown type '{wrong}'{hint}"


def test_only_names_and_types_name_a_type() -> None:
    with pytest.raises(TypeError, match="named by a string, not int"):
        dtype(8)  # type: ignore[arg-type]


@pytest.mark.parametrize("element", ALL_DTYPES, ids=str)
def test_the_range_is_that_of_the_codes(element: DType) -> None:
    if element.width > 16:
        return
    values = element.decode(element.codes())
    finite = values[np.isfinite(values)]
    assert element.max == finite.max() and element.min == finite.min()
    assert element.smallest_subnormal == finite[finite > 0].min()
    assert element.has_nan == bool(np.isnan(values).any())
    assert element.has_infinity == bool(np.isinf(values).any())


@pytest.mark.parametrize(
    "name, theirs",
    [
        ("f4e2m1", ml_dtypes.float4_e2m1fn),
        ("f6e2m3", ml_dtypes.float6_e2m3fn),
        ("f6e3m2", ml_dtypes.float6_e3m2fn),
        ("f8e4m3", ml_dtypes.float8_e4m3fn),
        ("f8e5m2", ml_dtypes.float8_e5m2),
        ("f8e8m0", ml_dtypes.float8_e8m0fnu),
        ("bf16", ml_dtypes.bfloat16),
        ("f16", np.float16),
        ("f32", np.float32),
        ("f64", np.float64),
    ],
)
def test_the_range_is_that_of_finfo(name: str, theirs: type) -> None:
    info, element = ml_dtypes.finfo(theirs), dtype(name)  # type: ignore[no-untyped-call]
    assert (element.max, element.min) == (float(info.max), float(info.min))
    assert element.smallest_normal == float(info.smallest_normal)
    assert element.smallest_subnormal == float(info.smallest_subnormal)


def test_the_unsigned_scale_with_a_mantissa_has_its_published_range() -> None:
    element = dtype("f8e5m3u")
    assert (element.max, element.min, element.smallest_subnormal) == (114688.0, 0.0, 2.0**-17)


def test_the_zero_point_is_half_the_range_of_an_unsigned_type_and_zero_of_others() -> None:
    assert [dtype(n).zero_point for n in ("u1", "u4", "u64", "i4", "f4e2m1")] == [1, 8, 2**63, 0, 0]


def test_tiles_are_held_in_the_dtype_that_executors_expect() -> None:
    held = {"u1": "u1", "u4": "u1", "i4": "i1", "i3": "i1", "u16": "u2", "i32": "i4", "u64": "u8"}
    held |= {"f16": "f2", "f32": "f4", "f64": "f8", "bf16": "u2", "tf32": "u4"}
    held |= {"f8e4m3": "u1", "f3e1m1": "u1", "f8e8m0": "u1"}
    assert {name: dtype(name).array_dtype for name in held} == {n: np.dtype(code) for n, code in held.items()}
    assert dtype("i4").code_dtype == np.uint8 and dtype("f64").code_dtype == np.uint64


def test_kinds_tell_integers_from_floats_and_unsigned_from_signed() -> None:
    def flags(name: str) -> tuple[bool, bool, bool, bool]:
        element = dtype(name)
        return element.is_int, element.is_uint, element.is_float, element.has_sign

    assert flags("u4") == (True, True, False, False)
    assert flags("i4") == (True, False, False, True)
    assert flags("f16") == (False, False, True, True)
    assert flags("f8e8m0") == (False, False, True, False)


def test_types_are_values_that_copy_pickle_and_hash() -> None:
    for element in ALL_DTYPES:
        for other in (copy.deepcopy(element), pickle.loads(pickle.dumps(element))):
            assert other == element and hash(other) == hash(element)
    assert repr(dtype("u3")) == "dtype('u3')" and str(dtype("u3")) == "u3"
    with pytest.raises(dataclasses.FrozenInstanceError):
        dtype("u3").width = 4  # type: ignore[misc]


def test_a_record_is_all_that_a_new_type_needs() -> None:
    fp7 = DType("f7e3m3ieee", Kind.FLOAT, 7, 3, 3, bias=3, has_sign=True, inf_code=0x38, nan_start=0x39)
    values = fp7.decode(fp7.codes())
    assert fp7.max == 15.0 and np.isinf(values).sum() == 2 and np.isnan(values).sum() == 14
    assert fp7.decode(fp7.encode([15.4, 15.5, -99.0])).tolist() == [15.0, np.inf, -np.inf]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": Kind.INT, "width": 1, "has_sign": True},
        {"kind": Kind.UINT, "width": 65},
        {"kind": Kind.INT, "width": 4},
        {"kind": Kind.FLOAT, "width": 4, "exponent_bits": 3, "mantissa_bits": 2},
        {"kind": Kind.FLOAT, "width": 8, "exponent_bits": 4, "mantissa_bits": 3, "has_sign": True, "nan_start": 0x80},
        {"kind": Kind.FLOAT, "width": 5, "exponent_bits": 2, "mantissa_bits": 3, "inf_code": 9, "nan_start": 8},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="odd: "):
        DType("odd", **fields)  # type: ignore[arg-type]
