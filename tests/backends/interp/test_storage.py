"""Tensors that are not dense: storages in blocks, and the fields of block formats."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.core import Access, Storage, TensorType
from vmc.ir.layout import Digit, Layout, col_major, packed, split
from vmc.ir.types import dtype

ROW = {"sizes": (None, 32), "steps": (1, 1), "inbounds": (True, True)}


def field(name, count, layout, access=Access.IN):
    """A field of `count` elements in each of 3 blocks of 18 bytes."""
    return TensorType(dtype(name), (3, count), access, storage=Storage((1, count), layout.reshape(1, count), 144))


def blocks(access=Access.IN):
    return TensorType(dtype("u8"), (54,), access)


def test_the_fields_of_a_block_are_views_of_its_bytes(kernel, launch):
    scale, codes = field("f16", 1, packed(16, 1)), field("u4", 32, split(32, 4))

    def body(build, data, d, q, block):
        zero = build.index(0)
        one = ROW | {"sizes": (None, 1)}
        first = build("load", build("field", data, type=scale, bit_offset=0), block, zero, fill=0, **one)
        build.many("store", d, first, block, zero, **one)
        rest = build("load", build("field", data, type=codes, bit_offset=16), block, zero, fill=0, **ROW)
        build.many("store", q, rest, block, zero, **ROW)

    data = np.random.default_rng(8).integers(0, 256, 54, np.uint8)
    d, q = np.zeros((3, 1), np.uint16), np.zeros((3, 16), np.uint8)
    params = {
        "data": blocks(),
        "d": TensorType(dtype("f16"), (3, 1), Access.OUT),
        "q": TensorType(dtype("u4"), (3, 32), Access.OUT),
    }
    launch(kernel(params, (3,), body), data, d, q)
    for number in range(3):
        block = data[18 * number : 18 * (number + 1)]
        assert d[number, 0] == int.from_bytes(block[:2].tobytes(), "little")
        nibbles = np.stack([q[number] & 15, q[number] >> 4], axis=1).ravel()
        assert nibbles.tolist() == [*(block[2:] & 15), *(block[2:] >> 4)]


def test_a_field_is_written_and_read_back_through_the_bytes(kernel, launch):
    codes = field("u4", 32, split(32, 4), Access.OUT)

    def body(build, data, block):
        view = build("field", data, type=codes, bit_offset=16)
        build.many("store", view, build.constant("u4", 9, (32,)), block, build.index(0), **ROW)
        build("load", view, block, build.index(0), fill=0, **ROW)
        place = build("add", build("mul", block, build.index(18)), build.index(2))
        one = {"sizes": (1,), "steps": (1,), "inbounds": (True,)}
        build("load", data, place, fill=0, **one)
        build("load", data, build("sub", place, build.index(1)), fill=0, **one)

    data = np.zeros(54, np.uint8)
    with pytest.raises(ExecutionError, match=r"data\[1\] is read and was never written"):
        launch(kernel({"data": blocks(Access.OUT)}, (3,), body), data)
    assert data[2:18].tolist() == [0x99] * 16


def test_a_field_past_the_end_of_the_bytes_is_an_error(kernel, launch):
    def body(build, data, block):
        build("field", data, type=field("u4", 32, split(32, 4)), bit_offset=24)

    with pytest.raises(ExecutionError, match="data has 54 bytes, and 55 are needed"):
        launch(kernel({"data": blocks()}, (1,), body), np.zeros(54, np.uint8))


TWO_PLANES = (Digit(16, 2, "bit"), Digit(2, 32, "bit"), Digit(2, 1, "bit"))
"""All elements' lower two bits, then all elements' upper two bits."""

STORAGES = [
    ("u3", Storage((8, 1), packed(3, 8).reshape(8, 1), 24)),
    ("u4", Storage((4, 4), Layout.of((4, 4), TWO_PLANES, bits=4), 64)),
    ("f16", Storage((3, 2), col_major(3, 2, bits=16), 100)),
    ("u5", Storage((2, 5), col_major(2, 5, bits=5), 53)),
    ("u5", Storage((2, 5), col_major(2, 5, bits=5), 53, (1, 0))),
]


@pytest.mark.parametrize(("name", "storage"), STORAGES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_storage_puts_each_bit_where_its_layout_says(name, storage, kernel, launch):
    type, shape = dtype(name), (7, 5)
    counts = [-(-n // b) for n, b in zip(shape, storage.block, strict=True)]
    size = -(-counts[0] * counts[1] * storage.pitch // 8)
    source, target = np.random.default_rng(9).integers(0, 256, size, np.uint8), np.zeros(size, np.uint8)

    def body(build, x, y, block):
        inside = {"sizes": shape, "steps": (1, 1), "inbounds": (True, True)}
        zero = build.index(0)
        build.many("store", y, build("load", x, zero, zero, fill=0, **inside), zero, zero, **inside)

    dense = TensorType(type, shape, Access.OUT)
    stored = TensorType(type, shape, storage=storage)
    packed_codes = np.zeros(-(-35 * type.width // 8), np.uint8)
    launch(kernel({"x": stored, "y": dense}, (1,), body), source, packed_codes)
    stream, memory = (int.from_bytes(data.tobytes(), "little") for data in (packed_codes, source))
    for i in range(7):
        for j in range(5):
            place = (i // storage.block[0], j // storage.block[1])
            block = place[0] + counts[0] * place[1] if storage.order else place[0] * counts[1] + place[1]
            for bit in range(type.width):
                place = storage.layout.apply(i % storage.block[0], j % storage.block[1], bit)["bit"]
                expected = memory >> (block * storage.pitch + place) & 1
                assert stream >> ((5 * i + j) * type.width + bit) & 1 == expected
    back = TensorType(type, shape, Access.OUT, storage=storage)
    launch(kernel({"x": TensorType(type, shape), "y": back}, (1,), body), packed_codes, target)
    again = np.zeros_like(packed_codes)
    launch(kernel({"x": stored, "y": dense}, (1,), body), target, again)
    assert np.array_equal(again, packed_codes)
