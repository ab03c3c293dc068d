"""Every constructor against a direct enumeration, and fragments against the formulas of the PTX ISA."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmc.ir.layout import (
    LayoutError,
    Swizzle,
    col_major,
    column_local,
    column_spatial,
    local,
    mma_fragment,
    packed,
    planes,
    replicated,
    row_major,
    spatial,
    split,
    strided,
    swizzle,
    wgmma_accumulator,
)
from vmc.ir.types import dtype

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


@given(SHAPES, st.integers(1, 8))
def test_row_and_column_major_are_numpys_orders(shape: tuple[int, ...], bits: int) -> None:
    numbers = np.arange(int(np.prod(shape)))
    for make, order in ((row_major, "C"), (col_major, "F")):
        places = make(*shape, bits=bits).apply_all()["bit"]
        expected = numbers.reshape(shape, order=order)[..., None] * bits + np.arange(bits)
        assert np.array_equal(places, expected)


@given(SHAPES)
def test_local_and_spatial_number_elements_and_lanes(shape: tuple[int, ...]) -> None:
    numbers = np.arange(int(np.prod(shape)))
    for make, axis, order in (
        (local, "bit", "C"),
        (column_local, "bit", "F"),
        (spatial, "lane", "C"),
        (column_spatial, "lane", "F"),
    ):
        places = make(*shape).apply_all().get(axis, np.zeros(shape, np.int64))
        assert np.array_equal(places, numbers.reshape(shape, order=order))


@given(SHAPES, st.data())
def test_strided_is_a_scalar_product(shape: tuple[int, ...], data: st.DataObject) -> None:
    strides = [data.draw(st.integers(0, 50)) for _ in shape]
    layout = strided(shape, strides)
    for index in np.ndindex(shape):
        assert layout.apply(*index)["bit"] == sum(i * s for i, s in zip(index, strides, strict=True))


def test_packed_takes_a_type_or_its_width() -> None:
    assert packed(dtype("f6e3m2"), 4, 4) == packed(6, 4, 4)


@given(st.integers(1, 8), st.integers(1, 20))
def test_packed_is_the_dense_bitstream(bits: int, count: int) -> None:
    assert packed(bits, count).apply_all()["bit"].ravel().tolist() == list(range(bits * count))


def test_split_puts_halves_side_by_side() -> None:
    places = split(32, 4).apply_all()["bit"][:, 0]
    assert [int(p) for p in places[:16]] == [8 * i for i in range(16)]
    assert [int(p) for p in places[16:]] == [8 * i + 4 for i in range(16)]
    with pytest.raises(LayoutError, match="no halves"):
        split(31, 4)


def test_planes_hold_ranges_of_bits_one_after_the_other() -> None:
    places = planes((4, 2), (2, 1)).apply_all()["bit"]
    assert places[..., :2].ravel().tolist() == list(range(16))
    assert places[..., 2].ravel().tolist() == list(range(16, 24))


@given(SHAPES, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_a_plane_is_a_dense_bitstream_of_its_own(shape: tuple[int, ...], widths: list[int]) -> None:
    layout = planes(shape, widths)
    assert layout.element_bits == sum(widths)
    count = int(np.prod(shape))
    for number, index in enumerate(np.ndindex(shape)):
        places = []
        for plane, width in enumerate(widths):
            start = count * sum(widths[:plane])
            places += [start + number * width + bit for bit in range(width)]
        assert [layout.apply(*index, bit)["bit"] for bit in range(sum(widths))] == places


def test_planes_alike_are_one_list_of_digits_and_others_are_not() -> None:
    assert len(planes(16, (1, 1, 1)).planes) == 1
    assert len(planes(16, (2, 1)).planes) == 2
    with pytest.raises(LayoutError, match="cuts elements into planes"):
        _ = planes(16, (2, 1)).digits


def test_a_replicated_layout_is_held_by_all_its_lanes() -> None:
    layout = replicated(2, 2, lanes=4)
    assert (layout.lanes, layout.bits_per_lane) == (4, 4)
    held = [(int(places["lane"][1, 0]), int(places["bit"][1, 0])) for places in layout.copies()]
    assert held == [(lane, 2) for lane in range(4)]


@given(st.integers(0, 4), st.integers(1, 3), st.integers(0, 3), st.integers(0, 1 << 12))
def test_a_swizzle_is_its_own_inverse(base: int, bits: int, extra: int, place: int) -> None:
    swizzled = Swizzle(base, bits, bits + extra)
    assert swizzled(swizzled(place)) == place
    source = (place >> (base + bits + extra)) & ((1 << bits) - 1)
    assert swizzled(place) == place ^ (source << base)


def test_a_swizzle_in_elements_is_one_in_bits_where_widths_are_powers_of_two() -> None:
    assert swizzle(row_major(8, 64), 3, 3, 3).with_bits(16) == swizzle(row_major(8, 64, bits=16), 7, 3, 3)
    with pytest.raises(LayoutError, match="the swizzle of elements"):
        swizzle(row_major(8, 64), 3, 3, 3).with_bits(3)


def test_a_swizzled_layout_permutes_what_it_swizzles() -> None:
    plain, mixed = row_major(8, 64, bits=16), swizzle(row_major(8, 64, bits=16), 7, 3, 3)
    assert sorted(plain.apply_all()["bit"].ravel()) == sorted(mixed.apply_all()["bit"].ravel())


OPERANDS = [
    ("m16n8k4", 32),
    ("m16n8k8", 32),
    ("m16n8k8", 16),
    ("m16n8k16", 16),
    ("m16n8k16", 8),
    ("m16n8k32", 8),
    ("m16n8k32", 4),
    ("m16n8k64", 4),
]


def lane_and_slot(layout: object, row: int, column: int) -> tuple[int, int]:
    places = layout.apply(row, column)  # type: ignore[attr-defined]
    return places.get("lane", 0), places["bit"]


@pytest.mark.parametrize(
    ("instruction", "bits"),
    [
        ("m16n8k8", 16),
        ("m16n8k16", 16),
        ("m16n8k16", 8),
        ("m16n8k32", 8),
        ("m16n8k4", 32),
        ("m16n8k8", 32),
        ("m16n8k64", 4),
    ],
)
def test_the_a_fragment_is_the_isas(instruction: str, bits: int) -> None:
    """Rows groupID and groupID + 8; columns from threadID_in_group * per_register, the upper half further on."""
    layout = mma_fragment(instruction, "a", bits)
    per_register, columns = 32 // bits, layout.shape[1]
    assert instruction.endswith(f"k{columns}")
    for lane, slot in pairs(range(32), range(layout.bits_per_lane)):
        group, thread = lane >> 2, lane % 4
        register, inner = divmod(slot, per_register)
        row = group + 8 * (register & 1)
        column = thread * per_register + inner + (columns // 2) * (register >> 1)
        assert lane_and_slot(layout, row, column) == (lane, slot)


@pytest.mark.parametrize(
    ("instruction", "bits"),
    [
        ("m16n8k8", 16),
        ("m16n8k16", 16),
        ("m16n8k16", 8),
        ("m16n8k32", 8),
        ("m16n8k4", 32),
        ("m16n8k8", 32),
        ("m16n8k64", 4),
    ],
)
def test_the_b_fragment_is_the_isas(instruction: str, bits: int) -> None:
    """Rows from threadID_in_group * per_register, the upper half further on; column groupID."""
    layout = mma_fragment(instruction, "b", bits)
    per_register, rows = 32 // bits, layout.shape[0]
    assert layout.shape[1] == 8
    for lane, slot in pairs(range(32), range(layout.bits_per_lane)):
        register, inner = divmod(slot, per_register)
        row = (lane % 4) * per_register + inner + (rows // 2) * register
        assert lane_and_slot(layout, row, lane >> 2) == (lane, slot)


@pytest.mark.parametrize("instruction", ["m16n8k8", "m16n8k16", "m16n8k32"])
def test_the_accumulator_is_the_isas(instruction: str) -> None:
    layout = mma_fragment(instruction, "c")
    for lane, slot in pairs(range(32), range(4)):
        assert lane_and_slot(layout, (lane >> 2) + 8 * (slot // 2), (lane % 4) * 2 + slot % 2) == (lane, slot)


def test_the_double_precision_fragments_are_the_isas() -> None:
    a, b, c = (mma_fragment("m8n8k4", operand) for operand in "abc")
    for lane in range(32):
        assert lane_and_slot(a, lane >> 2, lane % 4) == (lane, 0)
        assert lane_and_slot(b, lane % 4, lane >> 2) == (lane, 0)
        for slot in range(2):
            assert lane_and_slot(c, lane >> 2, (lane % 4) * 2 + slot) == (lane, slot)


def test_the_default_width_of_a_fragment_is_the_usual_one() -> None:
    for instruction, bits in (("m16n8k8", 16), ("m16n8k16", 16), ("m16n8k32", 8), ("m16n8k64", 4), ("m16n8k4", 32)):
        assert mma_fragment(instruction, "a") == mma_fragment(instruction, "a", bits)
    assert mma_fragment("m64n24k16", "c") == wgmma_accumulator(24)


def test_the_a_operand_of_wgmma_in_registers_is_the_isas() -> None:
    layout = mma_fragment("m64n8k16", "a")
    for warp, lane, slot in pairs(range(4), range(32), range(8)):
        row = 16 * warp + (lane >> 2) + 8 * ((slot // 2) % 2)
        places = layout.apply(row, 8 * (slot // 4) + 2 * (lane % 4) + slot % 2)
        assert (places["warp"], places["lane"], places["bit"]) == (warp, lane, slot)


def test_the_wgmma_accumulator_is_the_isas() -> None:
    layout = wgmma_accumulator(24)
    for warp, lane, slot in pairs(range(4), range(32), range(12)):
        row = 16 * warp + (lane >> 2) + 8 * ((slot // 2) % 2)
        column = 8 * (slot // 4) + 2 * (lane % 4) + slot % 2
        places = layout.apply(row, column)
        assert (places["warp"], places["lane"], places["bit"]) == (warp, lane, slot)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mma_fragment("m8n8k4", "e"),
        lambda: mma_fragment("m16n8k16", "a", 4),
        lambda: mma_fragment("m16n8k12", "c"),
        lambda: mma_fragment("16x8", "c"),
        lambda: wgmma_accumulator(12),
    ],
)
def test_an_unknown_fragment_is_an_error(make: object) -> None:
    with pytest.raises(LayoutError):
        make()  # type: ignore[operator]
