"""Storages, fields and views: bits that a layout puts in unusual places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.cpu.execution import assert_same, load, memory, store, tensor, zeros
from tests.backends.cpu.samples import sample
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, Storage, TensorType, TileType, Value
from vmc.ir.dims import Sym
from vmc.ir.layout import parse
from vmc.ir.types import ALL_SMALL, dtype

I64 = TileType(dtype("i64"))


def one_block(body: Builder, params: list[Value], symbols: tuple[str, ...] = ()) -> Kernel:
    """The kernel of one block with a body."""
    outer = Builder()
    outer.many("grid", outer.index(1), regions=(body.region((argument(I64, "block"),)),))
    return Kernel("test", tuple(params), symbols, outer.region())


STORAGES = [
    ("u4", Storage((32,), parse("strided([2, 16], [1, 2], bits=4)").reshape(32), 128)),
    ("u4", Storage((2, 8), parse("col_major(2, 8, bits=4)"), 64)),
    ("u5", Storage((2, 5), parse("col_major(2, 5, bits=5)"), 53)),
    ("u4", Storage((2, 8), parse("col_major(2, 8, bits=4)"), 64, (1, 0))),
    ("u4", Storage((16,), parse("planes(16, widths=(2, 2))"), 64)),
    ("u3", Storage((8,), parse("planes(8, widths=(2, 1))"), 24)),
    ("f16", Storage((4, 2), parse("col_major(4, 2, bits=16)"), 144)),
    ("i32", Storage((3,), parse("row_major(3, bits=32)"), 101)),
    ("f64", Storage((2,), parse("row_major(2, bits=64)"), 136)),
]
"""A type, and where its elements lie: halves in nibbles, columns first, gaps, unaligned words."""


@pytest.mark.parametrize(("name", "storage"), STORAGES, ids=str)
def test_elements_of_a_storage_are_read_and_written_where_it_says(name: str, storage: Storage) -> None:
    rank = len(storage.block)
    shape = (Sym("N"),) if rank == 1 else (5, Sym("N"))
    blocks = [-(-extent // size) for extent, size in zip((5, 41)[-rank:], storage.block, strict=True)]
    x = argument(TensorType(dtype(name), shape, Access.IN, storage=storage), "x")
    y = argument(TensorType(dtype(name), shape, Access.INOUT, storage=storage), "y")
    z = tensor("z", name, (6, 50)[-rank:], Access.OUT)
    body = Builder()
    value = load(body, x, (6, 50)[-rank:])
    store(body, z, value)
    store(body, y, body("flip", value, axis=rank - 1))
    size = -(-int(np.prod(blocks)) * storage.pitch // 8)
    rng = np.random.default_rng(4)
    arguments = [rng.integers(0, 256, size, np.uint8) for _ in range(2)]
    kernel = one_block(body, [x, y, z], ("N",))
    assert_same_bytes(kernel, [*arguments, zeros(z)], {"N": 41})


def assert_same_bytes(kernel: Kernel, arguments: list[Any], symbols: dict[str, int]) -> None:
    """As `assert_same`, but every byte counts: the gaps of a storage keep what they held."""
    from tests.backends.cpu.execution import copies, run
    from vmc.backends import interp

    expected = copies(arguments)
    interp.run(kernel, expected, symbols)
    for found, wanted in zip(run(kernel, arguments, symbols, opt_level=2), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_fields_of_a_block_format_are_read_in_place() -> None:
    """A block of q4_0: an f16 scale, then 32 nibbles, the low ones first."""
    count = 5
    halves = parse("strided([2, 16], [1, 2], bits=4)").reshape(32)
    memory_ = tensor("x", "u8", (18 * count,))
    scales = TensorType(dtype("f16"), (count,), Access.IN, storage=Storage((1,), parse("row_major(1, bits=16)"), 144))
    codes = TensorType(dtype("u4"), (32 * count,), Access.IN, storage=Storage((32,), halves, 144))
    d_out, q_out = tensor("d", "f16", (count,), Access.OUT), tensor("q", "u4", (32 * count,), Access.OUT)
    body = Builder()
    store(body, d_out, load(body, body("field", memory_, type=scales, bit_offset=0), (count,)))
    store(body, q_out, load(body, body("field", memory_, type=codes, bit_offset=16), (32 * count,)))
    kernel = one_block(body, [memory_, d_out, q_out])
    bytes_ = np.random.default_rng(1).integers(0, 256, 18 * count, np.uint8)
    bytes_[1::18] &= 0x3F
    assert_same(kernel, [bytes_, zeros(d_out), zeros(q_out)], opt_level=2)


@pytest.mark.parametrize("old", [type for type in ALL_SMALL if type.is_uint], ids=str)
def test_views_of_the_last_axis_agree_with_the_reference(old: Any) -> None:
    body = Builder()
    params = [tensor("x", old, (3, 48))]
    value = load(body, params[0], (3, 48))
    for new in (*(type for type in ALL_SMALL if type.is_uint), dtype("i16"), dtype("f16"), dtype("u32"), dtype("f64")):
        if 48 * old.width % new.width == 0:
            shape = (3, 48 * old.width // new.width)
            params.append(tensor("y", new, shape, Access.OUT))
            store(body, params[-1], body("view", value, dtype=new, shape=shape, layout=None))
    assert_same(one_block(body, params), [memory(old, sample(old, 144)), *map(zeros, params[1:])])


def test_a_view_with_layouts_re_reads_the_bits_of_each_lane() -> None:
    """Eight u4 in each of four lanes are four u8 in the same lanes."""
    before, after = parse("spatial(4).local(8)"), parse("spatial(4).local(4)")
    params = [tensor("x", "u4", (32,)), tensor("y", "u8", (16,), Access.OUT)]
    body = Builder()
    value = body("relayout", load(body, params[0], (32,)), layout=before)
    store(body, params[1], body("view", value, dtype=dtype("u8"), shape=(16,), layout=after))
    assert_same(one_block(body, params), [memory("u4", sample("u4", 32)), zeros(params[1])])
