"""Storages that `relayout` makes, for every width; and which tensors get one. What it writes is in `relayout.ir`."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, Module, TensorType, TileType, Value
from vmc.ir.passes import run
from vmc.ir.passes.relayout import ATOM, COLUMNS, PLANES, ROWS, Cut, cuts, relayout, storage_of
from vmc.ir.storage import block_positions
from vmc.ir.types import dtype

WIDTHS = range(1, 9)
ROW_COUNTS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 160)


@pytest.mark.parametrize("rows", ROW_COUNTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_cut_holds_every_bit_in_planes_of_whole_blocks(width: int, rows: int) -> None:
    found = cuts(width, rows)
    assert len({cut.planes for cut in found}) == len(found)
    for cut in found:
        assert set(cut.planes) <= set(PLANES)
        assert list(cut.planes) == sorted(cut.planes, reverse=True)
        assert sum(cut.planes) >= width > sum(cut.planes[:-1])
        assert rows % cut.rows == 0 and cut.rows == 32 // min(cut.planes)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_cheapest_cut_comes_first_and_enough_rows_allow_it(width: int) -> None:
    assert [cut.cost for cut in cuts(width, 32)] == sorted(cut.cost for cut in cuts(width, 32))
    assert {cut.planes for cut in cuts(width, 8)} <= {cut.planes for cut in cuts(width, 32)}
    assert cuts(width, 4) == [] or cuts(width, 4)[0].planes == (8,)
    assert cuts(width, 6) == []


def test_widths_of_whole_planes_are_not_cut_further() -> None:
    assert [cuts(width, 32)[0].planes for width in (1, 2, 4, 8)] == [(1,), (2,), (4,), (8,)]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_bit_of_a_block_is_used_at_most_once_and_all_are_where_the_planes_are_full(width: int) -> None:
    for cut in cuts(width, 32):
        storage = storage_of(cut, width)
        places = block_positions(storage, width)
        assert places.size == cut.rows * COLUMNS * width == len(np.unique(places))
        assert places.min() >= 0 and places.max() < storage.pitch == cut.rows * COLUMNS * sum(cut.planes)
        assert storage.pitch % 512 == 0


@given(st.sampled_from([(width, cut) for width in WIDTHS for cut in cuts(width, 32)]), st.data())
def test_a_bit_lies_where_the_module_says(case: tuple[int, Cut], data: st.DataObject) -> None:
    """Plane p of row 4a + r, column c: vector a // (8 / p), byte 4c + r, from bit p * (a % (8 / p)) on."""
    width, cut = case
    row, column = data.draw(st.integers(0, cut.rows - 1)), data.draw(st.integers(0, COLUMNS - 1))
    atom, inner = divmod(row, ROWS)
    storage = storage_of(cut, width)
    found = block_positions(storage, width).reshape(cut.rows, COLUMNS, width)[row, column]
    expected, start = [], 0
    for plane in cut.planes:
        vector, step = divmod(atom, 8 // plane)
        first = start + 512 * vector + 8 * (4 * column + inner) + plane * step
        expected += range(first, first + min(plane, width - len(expected)))
        start += 8 * ATOM * cut.rows // (ROWS * 8 // plane)
    assert list(found) == expected


# Which tensors


class Weights:
    """A kernel that loads `shape` of `w` at multiples of itself and multiplies by it; parts can be replaced."""

    def __init__(self, type: str = "u4", shape: tuple[int, int] = (32, 16), access: Access = Access.IN) -> None:
        self.b = Builder()
        self.block = argument(TileType(dtype("i64")), "block")
        self.w = argument(TensorType(dtype(type), (320, 320), access), "w")
        self.y = argument(TensorType(dtype("i32"), (320, 320), Access.OUT), "y")
        self.shape = shape

    def load(self, sizes: tuple[int | None, ...] | None = None, steps: tuple[int, ...] = (1, 1)) -> Value:
        sizes = sizes or self.shape
        starts = [self.b("mul", self.block, self.b.index(size)) for size in self.shape]
        return self.b("load", self.w, *starts, fill=0, inbounds=(False, False), sizes=sizes, steps=steps)

    def product(self, weight: Value) -> Value:
        k, n = weight.tile.shape
        left, sums = self.b.constant("i8", 3, (4, k)), self.b.constant("i32", 0, (4, n))
        return self.b("dot", left, self.b.cast(weight, "u8"), sums)

    def stored(self, value: Value, keep: frozenset[str] = frozenset()) -> bool:
        """Whether `w` has a storage after the pass in a kernel that stores the value."""
        zero = self.b.index(0)
        places, whole = (zero, zero), {"inbounds": (False, False), "steps": (1, 1)}
        if value.tile.rank == 1:
            value = self.b("reshape", value, shape=(1, *value.tile.shape))
        self.b.many("store", self.y, value, *places, **whole, sizes=value.tile.shape)
        outer = Builder()
        outer.many("grid", outer.index(4), regions=(self.b.region((self.block,)),))
        kernel = Kernel("k", (self.w, self.y), (), outer.region())
        after = run(Module((kernel,)), (relayout(keep),), verify=True).kernels[0]
        assert after.params[1].tensor.storage is None
        return after.params[0].tensor.storage is not None


@pytest.mark.parametrize("type", ["u1", "i2", "u3", "f4e2m1", "i5", "f6e3m2", "u7", "u8", "f8e4m3"])
def test_the_second_factor_of_a_product_is_stored_in_planes(type: str) -> None:
    sketch = Weights(type)
    weight = sketch.load()
    codes = weight if dtype(type).is_int else sketch.b("bitcast", weight, dtype=dtype(f"u{dtype(type).width}"))
    assert sketch.stored(sketch.product(codes))


def test_a_tensor_that_is_to_be_kept_is_kept() -> None:
    sketch = Weights()
    assert not sketch.stored(sketch.product(sketch.load()), frozenset({"w"}))


def test_elements_of_more_than_eight_bits_are_no_weights() -> None:
    sketch = Weights("i16")
    assert not sketch.stored(sketch.product(sketch.load()))


def test_a_tensor_that_is_written_stays() -> None:
    sketch = Weights(access=Access.INOUT)
    assert not sketch.stored(sketch.product(sketch.load()))


def test_the_first_factor_stays() -> None:
    sketch = Weights("i8")
    right, sums = sketch.b.constant("u8", 3, (16, 16)), sketch.b.constant("i32", 0, (32, 16))
    assert not sketch.stored(sketch.b("dot", sketch.load(), right, sums))


def test_a_weight_that_is_stored_as_well_stays() -> None:
    sketch = Weights()
    weight = sketch.load()
    assert not sketch.stored(
        sketch.b(
            "add",
            sketch.b.cast(weight, "i32"),
            sketch.b.broadcast(sketch.b("reduce", sketch.product(weight), axis=0, kind="sum"), (32, 16)),
        )
    )


def test_two_slices_of_a_tensor_must_both_be_whole_blocks() -> None:
    sketch = Weights(shape=(32, 32))
    both = [sketch.product(sketch.load()), sketch.product(sketch.load((32, 16)))]
    parts = [sketch.b("reduce", product, axis=1, kind="sum") for product in both]
    assert sketch.stored(sketch.b("add", *parts))
    sketch = Weights(shape=(32, 32))
    both = [sketch.product(sketch.load()), sketch.product(sketch.load((32, 8)))]
    parts = [sketch.b("reduce", product, axis=1, kind="sum") for product in both]
    assert not sketch.stored(sketch.b("add", *parts))


def test_slices_of_every_second_row_stay() -> None:
    sketch = Weights()
    assert not sketch.stored(sketch.product(sketch.load(steps=(2, 1))))


@given(st.sampled_from(["u1", "u3", "u4", "u5", "u8"]), st.integers(1, 24), st.integers(1, 12))
def test_slices_are_stored_in_planes_exactly_where_some_cut_fits(type: str, k: int, n: int) -> None:
    rows, columns = 4 * k, 4 * n
    sketch = Weights(type, (rows, columns))
    wanted = columns % COLUMNS == 0 and bool(cuts(dtype(type).width, gcd(rows, 128)))
    assert sketch.stored(sketch.product(sketch.load())) == wanted
