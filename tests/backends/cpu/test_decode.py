"""Codes taken out of storages by vectors: every storage that relayout makes, others that suit them, and any other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.cpu.byte_products import SOURCE, Product, check, codes_of
from tests.generators.storages import storages, vectors_of_atoms
from vmc.backends import cpu
from vmc.backends.cpu.decode import atom_fields, is_decodable
from vmc.backends.cpu.levels import LEVELS, TABLE
from vmc.backends.cpu.target import missing
from vmc.ir.core import Storage
from vmc.ir.layout import BIT, Digit, Layout, Plane
from vmc.ir.passes.relayout import COLUMNS, cuts, storage_of
from vmc.ir.storage import block_positions

BLOCKS = {"BM": 16, "BK": 32, "BN": 32}
MADE = [(width, cut) for width in range(1, 9) for cut in cuts(width, 32)]
EXECUTABLE = [level.name for level in TABLE if not missing(level)]


def read_back(storage: Storage, width: int, options: cpu.Options | None = None, **blocks: int) -> None:
    """Fails unless the product with the identity, in native code, is the codes themselves."""
    product = Product(SOURCE, options, storage, T=f"u{width}", **{**BLOCKS, **blocks})
    assert product.storage == storage
    codes = codes_of(np.random.default_rng(width), width, 64, 64)
    np.testing.assert_array_equal(product({"q": np.eye(64, dtype=np.int8), "w": codes}), codes)


@pytest.mark.parametrize(("width", "cut"), MADE, ids=[f"u{width}: {cut}" for width, cut in MADE])
def test_every_cut_is_decoded(width: int, cut: object) -> None:
    read_back(storage_of(cut, width), width)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("level", EXECUTABLE)
def test_every_width_is_decoded_at_every_level(level: str, width: int) -> None:
    read_back(storage_of(cuts(width, 32)[0], width), width, LEVELS[level].options(), BM=8)


@pytest.mark.parametrize("width", [1, 3, 5, 6, 7])
def test_codes_are_shifted_and_masked_where_no_matrix_moves_bits(width: int) -> None:
    read_back(storage_of(cuts(width, 32)[0], width), width, cpu.Options(features="-gfni"))


PINNED = [(4, (4,), 8, 16), (6, (4, 2), 16, 32), (3, (2, 1), 32, 64), (8, (8,), 4, 16), (7, (4, 2, 1), 32, 48)]


@pytest.mark.parametrize(("width", "planes", "rows", "columns"), PINNED)
def test_blocks_of_other_sizes_are_decoded(width: int, planes: tuple[int, ...], rows: int, columns: int) -> None:
    storage = vectors_of_atoms(rows, columns, planes)
    assert is_decodable(storage, width)
    read_back(storage, width, BN=max(16, columns))


@pytest.mark.parametrize("columns", [4, 8, 12, 24])
def test_blocks_that_a_vector_of_columns_does_not_divide_are_not_decoded_in_vectors(columns: int) -> None:
    storage = vectors_of_atoms(8, columns, (4,))
    assert not is_decodable(storage, 4)
    read_back(storage, 4, cpu.Options(opt_level=1), BN=48)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 8).flatmap(lambda width: st.tuples(st.just(width), storages(width, 2))))
def test_a_storage_of_any_other_kind_is_read_element_by_element(case: tuple[int, Storage]) -> None:
    width, storage = case
    read_back(storage, width, cpu.Options(opt_level=1))


@pytest.mark.parametrize(("width", "cut"), MADE, ids=[f"u{width}: {cut}" for width, cut in MADE])
def test_the_fields_of_an_atom_are_its_bits(width: int, cut: object) -> None:
    """Each field, taken as its definition says, gives the bits of every code of the atom."""
    storage = storage_of(cut, width)  # type: ignore[arg-type]
    assert is_decodable(storage, width)
    places = block_positions(storage, width).reshape(*storage.block, width)
    for row in range(0, storage.block[0], 4):
        fields = atom_fields(storage, width, row)
        assert fields is not None and sum(field.bits for field in fields) == width
        for i, j in [(0, 0), (1, 0), (3, 15), (2, 7)]:
            found = {
                field.low + bit: 8 * (field.byte + 4 * j + i) + field.shift + bit
                for field in fields
                for bit in range(field.bits)
            }
            assert [found[bit] for bit in range(width)] == list(places[row + i, j])


def rows_of_rows(rows: int, columns: int, bits: int) -> Storage:
    """A block whose codes lie one after the other, row by row."""
    digits = (Digit(rows, columns * bits, BIT), Digit(columns, bits, BIT), Digit(bits, 1, BIT))
    return Storage((rows, columns), Layout((rows, columns), (Plane(bits, digits),)), rows * columns * bits)


def test_storages_whose_atoms_are_no_runs_of_bytes_have_no_fields() -> None:
    assert atom_fields(rows_of_rows(4, COLUMNS, 4), 4, 0) is None
    assert not is_decodable(rows_of_rows(4, COLUMNS, 8), 8)
    assert not is_decodable(Storage((4,), Layout((4,), (Plane(8, (Digit(4, 8, BIT), Digit(8, 1, BIT))),)), 32), 8)


def test_codes_that_lie_row_by_row_in_blocks_are_read() -> None:
    read_back(rows_of_rows(8, 16, 4), 4)


@pytest.mark.parametrize(("k", "n"), [(1, 1), (31, 16), (33, 47), (77, 45), (96, 33), (5, 100)])
@pytest.mark.parametrize("width", [1, 3, 4, 8])
def test_slices_past_the_last_rows_and_columns_are_zeros(width: int, k: int, n: int) -> None:
    check(Product(SOURCE, cpu.Options(opt_level=2), T=f"u{width}", **BLOCKS), width, 3, k, n)
