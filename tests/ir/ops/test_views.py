"""Views and relayouts of tiles that have layouts, against bits moved one by one."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import Machine
from vmc.ir.builder import make_op
from vmc.ir.core import IRError, Kernel, Region, TileType, Value
from vmc.ir.layout import column_local, local, packed, replicated, spatial, split
from vmc.ir.types import dtype


def view(codes, source, result):
    """The codes of a view between two tile types, executed."""
    array = source.dtype.from_codes(np.asarray(codes).astype(source.dtype.code_dtype))
    attrs = {"dtype": result.dtype, "shape": result.shape, "layout": result.layout}
    op = make_op("view", [Value(source)], attrs)
    assert op.result.tile == result
    (values,) = op.definition.evaluate(Machine(Kernel("test", (), (), Region((), ())), {}), op, [array])
    return result.dtype.to_codes(values)


def tile(type, shape, layout):
    return TileType(dtype(type), shape, layout)


def private_bits(codes, type):
    """What every lane holds: {(coordinates of all axes): bit}."""
    layout = type.layout if type.layout.element_bits else type.layout.with_bits(type.dtype.width)
    held = {}
    for index in np.ndindex(*type.shape):
        for bit in range(type.dtype.width):
            place = tuple(sorted((axis, at) for axis, at in layout.apply(*index, bit).items() if at))
            held[place] = (int(codes[index]) >> bit) & 1
    return held


VIEWS = [
    (tile("u4", (8, 8), local(2, 1).spatial(4, 8)), tile("u8", (4, 8), spatial(4, 8))),
    (tile("u8", (4, 8), spatial(4, 8)), tile("u2", (4, 32), spatial(4, 8).local(1, 4))),
    (tile("u3", (8, 4), spatial(4, 4).local(2, 1)), tile("f6e3m2", (4, 4), spatial(4, 4))),
    (tile("u16", (4, 4), local(1, 2).spatial(4, 2)), tile("u4", (16, 4), column_local(4, 2).spatial(4, 2))),
    (tile("u4", (8,), split(8, 4)), tile("u8", (4,), packed(8, 4))),
    (tile("f32", (6,), packed(32, 6)), tile("u1", (192,), packed(1, 192))),
]


@pytest.mark.parametrize(("source", "result"), VIEWS, ids=lambda type: type.dtype.name)
def test_a_view_with_layouts_leaves_every_bit_in_its_lane(source, result):
    random = np.random.default_rng(6)
    codes = random.integers(0, 1 << source.dtype.width, source.shape, np.uint64)
    seen = view(codes, source, result)
    assert private_bits(seen, result) == private_bits(codes, source)
    back = view(seen, result, source)
    assert np.array_equal(back, codes)


def test_a_view_of_what_several_lanes_hold_reads_any_of_the_copies():
    source, result = tile("u8", (4,), replicated(4, lanes=2)), tile("u4", (8,), replicated(8, lanes=2))
    assert view([0x21, 0x43, 0x65, 0x87], source, result).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


REFUSED = [
    (tile("u4", (8, 4), spatial(8, 4)), tile("u8", (4, 4), spatial(4, 4)), "has 32 of the axis lane, the other 16"),
    (tile("u4", (8,), None), tile("u8", (4,), local(4)), "needs an operand with a layout"),
    (tile("u4", (8,), local(8)), tile("u8", (4,), local(2, 2)), r"a layout of the shape \[2, 2\] on u8\[4\]"),
    (tile("u4", (8,), local(8)), tile("u8", (4,), packed(4, 4)), "a layout of elements of 4 bits on u8"),
    (tile("u4", (8,), local(8)), tile("u8", (5,), local(5)), "32 bits are not 40 bits"),
]


@pytest.mark.parametrize(("source", "result", "message"), REFUSED)
def test_a_view_that_moves_bits_between_lanes_is_refused(source, result, message):
    with pytest.raises(IRError, match=message):
        view(np.zeros(source.shape), source, result)


def test_relayout_keeps_the_values_and_takes_the_layout():
    layout = spatial(4).local(2)
    op = make_op("relayout", [Value(TileType(dtype("u4"), (8,)))], {"layout": layout})
    assert op.result.tile == TileType(dtype("u4"), (8,), layout)
    codes = np.arange(8, dtype=np.uint8)
    (values,) = op.definition.evaluate(Machine(Kernel("test", (), (), Region((), ())), {}), op, [codes])
    assert np.array_equal(values, codes)
    with pytest.raises(IRError, match=r"a layout of the shape \[8\] on u4\[4\]"):
        make_op("relayout", [Value(TileType(dtype("u4"), (4,)))], {"layout": layout})
