"""Packing by blocks, against the definition of a storage: one bit of one element at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generators.storages import blocks_in, positions, storages, vectors_of_atoms
from vmc.ir.blocks import pack_blocks, unpack_blocks
from vmc.ir.core import Storage
from vmc.ir.layout import row_major
from vmc.ir.types import ALL_DTYPES, DType, dtype

Codes = npt.NDArray[Any]
SMALL = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PLANES = {1: (1,), 2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (8,)}


def random_codes(type: DType, shape: tuple[int, ...], seed: int = 0) -> Codes:
    bits = np.random.default_rng(seed).integers(0, 1 << 64, shape, dtype=np.uint64)
    return (bits >> np.uint64(64 - type.width)).astype(type.code_dtype)


def defined_bytes(codes: Codes, storage: Storage, width: int) -> bytes:
    """The bytes of a tensor, as one big integer to which every set bit of every code is added."""
    total = 0
    for index in np.ndindex(*codes.shape):
        for bit, place in enumerate(positions(storage, width, codes.shape, index)):
            total |= (int(codes[index]) >> bit & 1) << place
    return total.to_bytes((blocks_in(storage, codes.shape) * storage.pitch + 7) // 8, "little")


@st.composite
def cases(draw: Any) -> tuple[DType, Storage, tuple[int, ...]]:
    type = draw(st.sampled_from(ALL_DTYPES))
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.lists(st.integers(0, 9), min_size=rank, max_size=rank)))
    return type, draw(storages(type.width, rank)), shape


@SMALL
@given(cases(), st.integers(0, 2**32))
def test_every_bit_of_every_element_lies_where_the_storage_says(
    case: tuple[DType, Storage, tuple[int, ...]], seed: int
) -> None:
    type, storage, shape = case
    codes = random_codes(type, shape, seed)
    data = pack_blocks(codes, storage, type.width)
    assert data.dtype == np.uint8
    assert data.tobytes() == defined_bytes(codes, storage, type.width)


@settings(SMALL, max_examples=400)
@given(cases(), st.integers(0, 2**32))
def test_unpacking_undoes_packing_and_reads_no_other_bits(
    case: tuple[DType, Storage, tuple[int, ...]], seed: int
) -> None:
    type, storage, shape = case
    codes = random_codes(type, shape, seed)
    data = pack_blocks(codes, storage, type.width)
    ones = np.full(shape, (1 << type.width) - 1, type.code_dtype)
    noise = random_codes(dtype("u8"), data.shape, seed) & ~pack_blocks(ones, storage, type.width)
    for stored in (data, data | noise):
        again = unpack_blocks(stored, storage, shape, type.width, codes.dtype)
        assert again.dtype == codes.dtype
        np.testing.assert_array_equal(again, codes)


@pytest.mark.parametrize("width", PLANES)
def test_vectors_of_atoms_hold_four_rows_of_every_column_in_each_byte(width: int) -> None:
    storage = vectors_of_atoms(32, 16, PLANES[width])
    codes = random_codes(dtype(f"u{width}"), (70, 35))
    data = pack_blocks(codes, storage, width)
    assert data.tobytes() == defined_bytes(codes, storage, width)
    bits = PLANES[width][0]
    atoms = [codes[4 * a : 4 * a + 4, :16].T.astype(int) % (1 << bits) << a * bits for a in range(8 // bits)]
    np.testing.assert_array_equal(data[:64].reshape(16, 4), sum(atoms))


LARGE = [
    ("u3", vectors_of_atoms(32, 16, (2, 1))),
    ("u8", Storage((8, 4), row_major(8, 4, bits=8), 259, (1, 0))),
    ("f16", Storage((8, 4), row_major(8, 4, bits=16), 514)),
    ("u32", Storage((8, 4), row_major(8, 4, bits=32), 1024, (1, 0))),
]


@pytest.mark.parametrize(("name", "storage"), LARGE, ids=[name for name, _ in LARGE])
def test_large_tensors_are_packed_part_by_part(name: str, storage: Storage) -> None:
    type = dtype(name)
    codes = random_codes(type, (1203, 977))
    data = pack_blocks(codes, storage, type.width)
    np.testing.assert_array_equal(unpack_blocks(data, storage, codes.shape, type.width, codes.dtype), codes)


def test_packed_data_begin_at_a_cache_line() -> None:
    storage = vectors_of_atoms(32, 16, (2, 1))
    for rows in (1, 40, 500):
        assert pack_blocks(np.zeros((rows, 64), np.uint8), storage, 3).ctypes.data % 64 == 0


def test_blocks_that_reach_into_the_next_are_refused() -> None:
    storage = Storage((4, 4), row_major(4, 4, bits=4), 63)
    with pytest.raises(ValueError, match="blocks of 64 bits lie 63 bits apart"):
        pack_blocks(np.zeros((4, 4), np.uint8), storage, 4)
