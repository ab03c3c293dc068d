"""Dense packing against one big integer: code i shifted left by i * width."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmc.ir.types import ALL_DTYPES, DType, dtype, pack, packed_size, unpack

TYPES = st.sampled_from(ALL_DTYPES)


def as_bytes(codes: list[int], width: int) -> bytes:
    total = sum(code << (place * width) for place, code in enumerate(codes))
    return total.to_bytes((len(codes) * width + 7) // 8, "little")


def random_codes(element: DType, count: int, seed: int) -> npt.NDArray[np.unsignedinteger]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 1 << 64, count, dtype=np.uint64) >> np.uint64(64 - element.width)).astype(
        element.code_dtype
    )


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TYPES, st.integers(0, 70), st.integers(0, 2**32))
def test_packed_bytes_are_those_of_one_big_integer(element: DType, count: int, seed: int) -> None:
    codes = random_codes(element, count, seed)
    data = pack(codes, element)
    assert data.dtype == np.uint8
    assert data.tobytes() == as_bytes(codes.tolist(), element.width)
    assert data.size == packed_size(count, element.name)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TYPES, st.lists(st.integers(0, 9), max_size=3), st.integers(0, 2**32))
def test_unpack_undoes_pack_in_any_shape(element: DType, shape: list[int], seed: int) -> None:
    codes = random_codes(element, int(np.prod(shape)), seed).reshape(shape)
    again = unpack(pack(codes, element), element, tuple(shape))
    assert again.dtype == element.code_dtype
    np.testing.assert_array_equal(again, codes)


@pytest.mark.parametrize("element", ALL_DTYPES, ids=str)
def test_all_ones_fill_their_bits_and_leave_the_padding_zero(element: DType) -> None:
    for count in (1, 7, 8, 9):
        codes = np.full(count, (1 << element.width) - 1, element.code_dtype)
        assert int.from_bytes(pack(codes, element).tobytes(), "little") == (1 << (count * element.width)) - 1


def test_unpacking_does_not_read_the_padding_bits() -> None:
    assert unpack(np.array([0b11111_101], np.uint8), "u3", 1).tolist() == [5]


def test_packing_reads_strided_codes_in_row_major_order() -> None:
    codes = np.arange(24, dtype=np.uint8).reshape(4, 6).T[::2]
    assert pack(codes, "u5").tobytes() == as_bytes(codes.ravel().tolist(), 5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"codes of u3 lie in 0..7, found 8"):
        pack([1, 8], "u3")
    with pytest.raises(ValueError, match=r"codes of i4 lie in 0..15, found -1"):
        pack(np.array([-1], np.int8), "i4")
    with pytest.raises(ValueError, match="5 codes of u3 take 2 bytes, found 3"):
        unpack(np.zeros(3, np.uint8), "u3", 5)
    with pytest.raises(TypeError, match="packed data must be uint8, not int64"):
        unpack(np.zeros(2, np.int64), "u3", 5)


def test_packing_accepts_a_type_or_its_name() -> None:
    np.testing.assert_array_equal(pack([1, 2, 3], dtype("u3")), pack([1, 2, 3], "u3"))
