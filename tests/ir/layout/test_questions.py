"""What passes ask: width of accesses, bank conflicts, sectors, views. Oracles count one lane after the other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generators.layouts import WIDTHS, gapped, memories
from vmc.ir.layout import (
    Layout,
    LayoutError,
    bank_conflicts,
    col_major,
    compose,
    contiguous_bits,
    gather_bits,
    inverse,
    lane_addresses,
    local,
    mma_fragment,
    packed,
    planes,
    row_major,
    sectors,
    slice_layout,
    spatial,
    strided,
    swizzle,
    view_compatible,
    warps,
)


@given(gapped(bits=WIDTHS), st.sampled_from([0, 8, 24]))
def test_lanes_load_as_wide_as_the_composition_is_contiguous(layout: Layout, start: int) -> None:
    """Of any layout: all runs of the width are side by side and aligned, on one lane."""
    layout = layout.shifted(bit=start)
    width = contiguous_bits(layout)
    lines = {axis: line.reshape(-1, width) for axis, line in layout.apply_all().items()}
    for axis, line in lines.items():
        assert (line == line[:, :1] + (np.arange(width) if axis == "bit" else 0)).all()
    assert (lines["bit"][:, 0] % width == 0).all()


def test_the_width_of_a_load_is_that_of_memory_after_registers() -> None:
    memory = row_major(16, 16, bits=16)
    fragment = mma_fragment("m16n8k16", "a").with_bits(16)
    assert contiguous_bits(compose(memory, inverse(fragment))) == 32
    rows = spatial(16, 2).local(1, 8).with_bits(16)
    assert contiguous_bits(compose(memory, inverse(rows))) == 128
    columns = spatial(2, 16).local(8, 1).with_bits(16)
    assert contiguous_bits(compose(memory, inverse(columns))) == 16


@pytest.mark.parametrize(
    ("layout", "dim", "width"),
    [
        (col_major(8, 8, bits=16), 1, 16),
        (col_major(8, 8, bits=16), 0, 128),
        (strided((4, 8), (1, 4), bits=4), -2, 16),
        (planes(32, (2, 1)), -1, 32),
        (planes(24, (2, 1)), -1, 8),
        (strided((4, 4), (0, 1), bits=8), -1, 32),
    ],
)
def test_accesses_along_a_dimension(layout: Layout, dim: int, width: int) -> None:
    assert contiguous_bits(layout, dim) == width


@given(memories())
def test_runs_of_contiguous_bits_are_aligned_and_the_next_power_of_two_is_not(layout: Layout) -> None:
    def holds(width: int) -> bool:
        places = layout.apply_all()["bit"]
        if layout.shape[-1] * layout.element_bits % width:
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
    assert addresses.shape == (1, 4, 32)
    assert bank_conflicts(addresses, 32) == 4 * 31
    row = lane_addresses(spatial(1, 32).with_bits(32), row_major(1, 32, bits=32), 32)
    assert bank_conflicts(row, 32) == 0


@pytest.mark.parametrize(("width", "lanes"), [(32, 32), (64, 16), (128, 8)])
def test_bank_conflicts_count_the_fullest_bank(width: int, lanes: int) -> None:
    rng = np.random.default_rng(1)
    addresses = rng.integers(0, 256, (5, 32)) * width
    expected = 0
    for row in addresses.tolist():
        for start in range(0, 32, lanes):
            words = {a // 32 + w for a in row[start : start + lanes] for w in range(width // 32)}
            expected += max(Counter(word % 32 for word in words).values()) - 1
    assert bank_conflicts(addresses, width) == expected


def test_the_swizzle_of_a_128_byte_row_serves_fragments_without_conflicts() -> None:
    """Eight rows of 64 halves, each row's 16-byte pieces read down a column, as ldmatrix does."""
    registers = spatial(8, 1).local(1, 8).with_bits(16)
    tile = slice_layout(row_major(8, 64, bits=16), (0, 8), (8, 8))
    mixed = slice_layout(swizzle(row_major(8, 64, bits=16), 7, 3, 3), (0, 8), (8, 8))
    assert bank_conflicts(lane_addresses(registers, tile, 128), 128) == 7
    assert bank_conflicts(lane_addresses(registers, mixed, 128), 128) == 0


def test_addresses_are_those_of_every_warp_lane_and_access() -> None:
    registers = warps(2, 1) * spatial(4, 2).local(1, 4).with_bits(8)
    memory = row_major(8, 8, bits=8)
    addresses = lane_addresses(registers, memory, 16)
    assert addresses.shape == (2, 2, 8)
    for warp, access, lane in np.ndindex(addresses.shape):
        row, column = 4 * warp + lane // 2, 4 * (lane % 2) + 2 * access
        assert addresses[warp, access, lane] == memory.apply(row, column)["bit"]
    with pytest.raises(LayoutError, match="side by side"):
        lane_addresses(registers, col_major(8, 8, bits=8), 16)


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
        (strided((4,), (2,), bits=4), packed(4, 7), "leaves places empty"),
        (strided((4,), (2,), bits=4), strided((2, 2), (4, 2), bits=4), None),
        (planes(8, (2, 1)), packed(3, 8), None),
    ],
)
def test_a_view_is_legal_where_lanes_and_bits_a_lane_agree(a: Layout, b: Layout, reason: str | None) -> None:
    found = view_compatible(a, b)
    assert (found is None) if reason is None else (found is not None and reason in str(found))


@pytest.mark.parametrize(
    ("a", "b", "example"),
    [
        (spatial(4).local(2), spatial(8), "lane 4 is part of element [4] of the view, and of nothing in the tile"),
        (spatial(8), spatial(4).local(2), "bit 32 of lane 0 is part of element [1] of the view, and of nothing in the"),
        (spatial(2, 4), spatial(1, 4), "lane 4 is part of element [1, 0] of the tile, and of nothing in the view"),
    ],
)
def test_a_view_that_is_not_legal_has_a_place_that_only_one_layout_fills(a: Layout, b: Layout, example: str) -> None:
    found = view_compatible(a.with_bits(32), b.with_bits(32))
    assert found is not None and example in found.example
