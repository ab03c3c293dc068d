"""What passes ask: width of accesses, bank conflicts, sectors, views. Oracles count one lane after the other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given

from tests.ir.layout.strategies import memories
from vmc.ir.layout import (
    Layout,
    LayoutError,
    bank_conflicts,
    contiguous_bits,
    gather_bits,
    lane_addresses,
    local,
    packed,
    row_major,
    sectors,
    spatial,
    strided,
    swizzle,
    view_compatible,
)


@given(memories())
def test_runs_of_contiguous_bits_are_aligned_and_the_next_power_of_two_is_not(layout: Layout) -> None:
    def holds(width: int) -> bool:
        places = layout.apply_all()["bit"].ravel()
        if places.size % width:
            return False
        runs = places.reshape(-1, width)
        return bool((runs == runs[:, :1] + np.arange(width)).all() and (runs[:, 0] % width == 0).all())

    width = contiguous_bits(layout)
    assert holds(width)
    assert not holds(2 * width)


@pytest.mark.parametrize(
    ("layout", "width"),
    [
        (packed(4, 64), 256),
        (packed(3, 64), 64),
        (packed(3, 8), 8),
        (strided((4, 4), (8, 1), bits=16), 64),
        (swizzle(row_major(8, 64, bits=16), 7, 3, 3), 128),
        (strided((4, 4), (1, 4), bits=8), 8),
    ],
)
def test_contiguous_bits_is_the_vector_width(layout: Layout, width: int) -> None:
    assert contiguous_bits(layout) == width


def test_gather_bits_lists_the_places_of_each_element() -> None:
    assert gather_bits(packed(3, 2)).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(LayoutError, match="memory layout"):
        gather_bits(spatial(4).with_bits(4))


def test_a_column_read_by_a_warp_conflicts_unless_it_is_swizzled() -> None:
    registers = spatial(32, 1).local(1, 4).with_bits(32)
    plain = strided((32, 4), (32, 1), bits=32)
    addresses = lane_addresses(registers, plain, 32)
    assert addresses.shape == (4, 32)
    assert bank_conflicts(addresses, 32) == 4 * 31
    row = lane_addresses(spatial(1, 32).with_bits(32), row_major(1, 32, bits=32), 32)
    assert bank_conflicts(row, 32) == 0


def test_bank_conflicts_count_the_fullest_bank() -> None:
    rng = np.random.default_rng(1)
    addresses = rng.integers(0, 256, (5, 32)) * 32
    expected = 0
    for row in addresses:
        banks = Counter(word % 32 for word in {int(a) // 32 for a in row})
        expected += max(banks.values()) - 1
    assert bank_conflicts(addresses, 32) == expected


def test_sectors_count_the_32_byte_pieces_touched() -> None:
    coalesced = lane_addresses(spatial(32).local(4).with_bits(32), row_major(128, bits=32), 128)
    assert sectors(coalesced, 128) == 16
    scattered = lane_addresses(spatial(32).with_bits(32), strided((32,), (8,), bits=32), 32)
    assert sectors(scattered, 32) == 32


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (local(8).with_bits(4), local(4).with_bits(8), None),
        (spatial(4).local(2).with_bits(4), spatial(4).with_bits(8), None),
        (spatial(8).with_bits(4), spatial(4).with_bits(8), "lane"),
        (spatial(4).local(2).with_bits(4), spatial(4).local(2).with_bits(8), "bits a lane"),
    ],
)
def test_a_view_is_legal_where_lanes_and_bits_a_lane_agree(a: Layout, b: Layout, reason: str | None) -> None:
    found = view_compatible(a, b)
    assert (found is None) if reason is None else (found is not None and reason in str(found))
