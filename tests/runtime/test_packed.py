"""Packed tensors: what they remember, and when they forget."""

from __future__ import annotations

import pickle

import ml_dtypes
import numpy as np
import pytest

import vmc
from tests.runtime import programs


def test_a_copy_remembers_and_what_has_another_size_forgets() -> None:
    packed = vmc.pack(np.arange(16).reshape(4, 4) % 8, "u3")
    for same in (packed.copy(), packed[:], np.zeros_like(packed), pickle.loads(pickle.dumps(packed))):
        assert (same.element, same.extents) == (vmc.dtype("u3"), (4, 4))
    for other in (packed[:3], packed.reshape(2, 3), packed.astype(np.int32)):
        assert other.element is None


def test_arithmetic_gives_plain_arrays() -> None:
    packed = vmc.pack([1, 2, 3], "u3")
    assert type(packed + 1) is np.ndarray
    assert packed.sum() == int(np.asarray(packed).sum())


@pytest.mark.parametrize("name", ["int4", "uint4", "float4_e2m1fn", "float6_e3m2fn", "bfloat16", "float8_e5m2"])
def test_arrays_of_ml_dtypes_are_packed_as_their_types(name: str) -> None:
    ours = {"int4": "i4", "uint4": "u4", "float4_e2m1fn": "f4e2m1", "float6_e3m2fn": "f6e3m2"}
    ours |= {"bfloat16": "bf16", "float8_e5m2": "f8e5m2"}
    values = np.array([0, 1, 2, 3, 1, 2]).astype(getattr(ml_dtypes, name))
    type = vmc.dtype(ours[name])
    np.testing.assert_array_equal(type.decode(vmc.unpack(vmc.pack(values, type))), values.astype(np.float64))


def test_native_arrays_are_packed_by_value() -> None:
    for name, values in (("f16", np.array([1.5, -2], np.float16)), ("i16", np.array([-1, 5], np.int16))):
        packed = vmc.pack(values, name)
        np.testing.assert_array_equal(np.asarray(packed).view(values.dtype), values)


@pytest.mark.parametrize("target", ["cpu", "interp"])
@pytest.mark.parametrize("name", ["u3", "i5", "u8", "f16"])
def test_a_tensor_with_a_layout_of_its_own_is_packed_for_its_kernel(name: str, target: str) -> None:
    kernel = vmc.compile(programs.PINNED, target=target, T=name)
    codes = (np.arange(20 * 11).reshape(20, 11) % 8).astype(vmc.dtype(name).code_dtype)
    x, y = kernel.pack("x", codes), kernel.pack("y", np.zeros_like(codes))
    assert x.nbytes == 3 * 2 * 8 * vmc.dtype(name).width
    kernel(x, y)
    np.testing.assert_array_equal(kernel.unpack("y", y), codes)
    np.testing.assert_array_equal(kernel.unpack("x", np.asarray(x), codes.shape), codes)
    with pytest.raises(vmc.ArgumentError, match="packed in another layout"):
        kernel(vmc.pack(codes, name), y)


def test_a_column_major_block_holds_its_columns_one_after_the_other() -> None:
    kernel = vmc.compile(programs.PINNED, T="u8")
    codes = np.arange(64, dtype=np.uint8).reshape(8, 8)
    np.testing.assert_array_equal(np.asarray(kernel.pack("x", codes)), codes.T.ravel())


def test_layouts_are_read_from_text() -> None:
    assert vmc.layout("local(2,1).spatial(8,4).local(1,2)").shape == (16, 8)


@pytest.mark.parametrize("codes", [np.full(64, 99), np.full(64, 0.5), np.full(64, "a")])
def test_codes_that_are_none_are_argument_errors(codes: np.ndarray) -> None:
    kernel = vmc.compile(programs.COPY, T="u3")
    with pytest.raises(vmc.ArgumentError, match=r"argument `x`: expected x: u3\[N\]: codes of u3"):
        kernel.pack("x", codes)


def test_unpack_wants_a_type_and_a_shape_for_plain_bytes() -> None:
    data = np.zeros(3, np.uint8)
    with pytest.raises(TypeError, match="type and the shape"):
        vmc.unpack(data)
    with pytest.raises(ValueError, match="9 codes of u3 take 4 bytes, found 3"):
        vmc.unpack(data, "u3", (3, 3))
    assert vmc.unpack(data, "u3", 8).shape == (8,)
