"""Shuffles of bits after a layout, in storages, as text, and packed and unpacked."""

import numpy as np
import pytest

from vmc.ir.blocks import pack_blocks, unpack_blocks
from vmc.ir.core import IRError, Storage
from vmc.ir.layout import LayoutError, Shuffle, local, row_major, strided
from vmc.ir.storage import block_positions
from vmc.ir.text.parser import parse_storage
from vmc.ir.text.printer import storage_text

ORDER = (3, 1, 0, 2, 5, 4)
SHUFFLE = Shuffle(ORDER, local(24))
STORAGE = Storage((2, 4), row_major(2, 4, bits=3), 32, (1, 0), SHUFFLE)


def test_every_run_of_bits_is_permuted():
    places = np.arange(24)
    assert SHUFFLE(places).tolist() == [6 * (p // 6) + ORDER[p % 6] for p in places]


def test_what_the_runs_become_is_placed_by_the_outer_layout():
    spread = Shuffle((1, 0), strided((2, 4), (1, 2)).reshape(8))
    assert spread(np.arange(8)).tolist() == [2, 0, 6, 4, 3, 1, 7, 5]


def test_positions_of_a_storage_are_shuffled():
    plain = block_positions(Storage((2, 4), row_major(2, 4, bits=3), 32), 3)
    np.testing.assert_array_equal(block_positions(STORAGE, 3), SHUFFLE(plain))


def test_packing_puts_bits_where_the_shuffle_says_and_unpacking_undoes_it():
    codes = np.random.default_rng(2).integers(0, 8, (5, 11)).astype(np.uint8)
    data = pack_blocks(codes, STORAGE, 3)
    bits = np.unpackbits(data, bitorder="little")
    for (row, column), code in np.ndenumerate(codes):
        block = (column // 4) * 3 + row // 2
        for bit in range(3):
            place = ((row % 2) * 4 + column % 4) * 3 + bit
            assert bits[32 * block + 6 * (place // 6) + ORDER[place % 6]] == code >> bit & 1
    np.testing.assert_array_equal(unpack_blocks(data, STORAGE, (5, 11), 3, np.dtype(np.uint8)), codes)


def test_the_text_of_a_shuffled_storage_is_read_back():
    assert parse_storage(storage_text(STORAGE)) == STORAGE


def test_what_is_no_permutation_is_refused():
    with pytest.raises(LayoutError, match="no permutation"):
        Shuffle((0, 0), local(4))
    with pytest.raises(LayoutError, match="runs of 3 bits"):
        Shuffle((0, 1, 2), local(4))
    with pytest.raises(LayoutError, match="no bit 24"):
        SHUFFLE(np.array([24]))
    with pytest.raises(IRError, match="no permutation"):
        parse_storage(storage_text(STORAGE).replace("[3, 1, 0, 2, 5, 4]", "[3, 3, 0, 2, 5, 4]"))
