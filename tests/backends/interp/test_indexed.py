"""Gather, scatter and atomics against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.core import Access, Table, TensorType
from vmc.ir.ops import OPS
from vmc.ir.types import ALL_DTYPES, dtype, pack, unpack

every_type = pytest.mark.parametrize("type", ALL_DTYPES, ids=lambda type: type.name)
ALL = {"steps": (1,), "inbounds": (True,)}


def table(build, type, codes):
    type = dtype(type)
    return build("table", table=Table.of(type, np.asarray(codes).astype(type.code_dtype)))


def numbers(build, values, type="i64"):
    return table(build, type, np.asarray(values, np.int64).view(np.uint64) & np.uint64(2 ** dtype(type).width - 1))


def random_codes(type, count):
    codes = np.random.default_rng(2).integers(0, 1 << min(type.width, 63), count, np.uint64)
    return codes >> type.unused_bits << type.unused_bits


@every_type
@pytest.mark.parametrize("index", ["i32", "i64"])
@pytest.mark.parametrize(("fill", "masked"), [(None, False), (None, True), (0, False), (1, True)])
def test_gather_reads_element_by_element(type, index, fill, masked, kernel, launch):
    random = np.random.default_rng(1)
    fill = fill if fill is None else fill << type.unused_bits
    low, high = (0, 6) if fill is None else (-2, 9)
    rows, columns = random.integers(low, high - 1, (2, 40)), random.integers(low, high, (2, 40))
    mask = random.integers(0, 2, (2, 40))

    def body(build, x, y, block):
        places = [numbers(build, rows, index), numbers(build, columns, index)]
        places += [numbers(build, mask, "u1")] if masked else []
        tile = build("gather", x, *places, fill=fill)
        build.many("store", y, build("reshape", tile, shape=(80,)), build.index(0), sizes=(80,), **ALL)

    codes = random_codes(type, 30)
    data, target = pack(codes, type), pack(np.zeros(80, np.uint64), type)
    params = {"x": TensorType(type, (5, 6)), "y": TensorType(type, (80,), Access.OUT)}
    launch(kernel(params, (1,), body), data, target)
    expected = []
    for i, j, wanted in zip(rows.flat, columns.flat, mask.flat, strict=True):
        inside = 0 <= i < 5 and 0 <= j < 6
        expected.append(codes[6 * i + j] if inside and (wanted or not masked) else fill or 0)
    assert unpack(target, type, (80,)).tolist() == expected


@every_type
def test_scatter_writes_where_the_mask_lets_it(type, kernel, launch):
    random = np.random.default_rng(1)
    places, mask, codes = random.permutation(20)[:12], random.integers(0, 2, 12), random_codes(type, 12)

    def body(build, y, block):
        where, kept = numbers(build, places), numbers(build, mask, "u1")
        build.many("scatter", y, table(build, type, codes), where, kept)

    target = pack(np.zeros(20, np.uint64), type)
    launch(kernel({"y": TensorType(type, (20,), Access.OUT)}, (1,), body), target)
    expected = [0] * 20
    for place, code, kept in zip(places, codes, mask, strict=True):
        expected[place] = int(code) if kept else 0
    assert unpack(target, type, (20,)).tolist() == expected


def scatter_kernel(kernel, codes, places):
    def body(build, y, block):
        build.many("scatter", y, table(build, "u8", codes), numbers(build, places))

    return kernel({"y": TensorType(dtype("u8"), (4,), Access.OUT)}, (1,), body)


def test_two_different_values_scattered_to_one_place_are_an_error(kernel, launch):
    y = np.zeros(4, np.uint8)
    launch(scatter_kernel(kernel, [5, 6, 5], [1, 2, 1]), y)
    assert y.tolist() == [0, 5, 6, 0]
    with pytest.raises(ExecutionError, match="different values to one element") as caught:
        launch(scatter_kernel(kernel, [5, 6, 7], [1, 2, 1]), y)
    assert caught.value.span.line == 3


@pytest.mark.parametrize("place", [-1, 4])
def test_a_scatter_or_gather_outside_the_extents_is_an_error(place, kernel, launch):
    with pytest.raises(ExecutionError, match=rf"write of y\[{place}\] outside the extents \[4\]"):
        launch(scatter_kernel(kernel, [5], [place]), np.zeros(4, np.uint8))

    def body(build, x, block):
        build("gather", x, numbers(build, [place]), fill=None)

    with pytest.raises(ExecutionError, match=rf"read of x\[{place}\] outside the extents \[4\]"):
        launch(kernel({"x": TensorType(dtype("u8"), (4,))}, (1,), body), np.zeros(4, np.uint8))


STEPS = {
    "add": lambda old, new: old + new,
    "min": min,
    "max": max,
    "and": lambda old, new: old & new,
    "or": lambda old, new: old | new,
    "xor": lambda old, new: old ^ new,
    "exchange": lambda old, new: new,
}


@pytest.mark.parametrize("type", OPS["atomic"].legal_types(), ids=lambda type: type.name)
@pytest.mark.parametrize("kind", STEPS)
def test_atomics_combine_elements_that_meet_one_after_the_other(kind, type, kernel, launch):
    if type.is_float and kind in ("and", "or", "xor"):
        return
    random = np.random.default_rng(4)
    places, mask = random.integers(0, 5, 60), random.integers(0, 4, 60) > 0
    kept = [int(place) if keep else 99 for place, keep in zip(places, mask, strict=True)]
    start = random.integers(0, 1000, 5)
    operands = random.integers(0, 1 << (type.width - 1), 60, np.uint64) if type.is_int else random.integers(-99, 99, 60)
    codes = type.encode(operands)

    def body(build, y, old, block):
        where, keep = numbers(build, kept), numbers(build, mask, "u1")
        result = build("atomic", y, table(build, type, codes), where, keep, kind=kind)
        build.many("store", old, result, build.index(0), sizes=(60,), **ALL)

    memory, before = type.encode(start), np.zeros(60, type.code_dtype)
    params = {"y": TensorType(type, (5,), Access.INOUT), "old": TensorType(type, (60,), Access.OUT)}
    launch(kernel(params, (1,), body), memory, before)
    state, expected = start.tolist(), []
    for place, keep, operand in zip(places.tolist(), mask.tolist(), type.decode(codes).tolist(), strict=True):
        expected.append(state[place] if keep else 0)
        if keep:
            state[place] = (
                STEPS[kind](state[place], int(operand)) % 2**type.width
                if type.is_int
                else STEPS[kind](state[place], operand)
            )
            if type.is_int and not type.is_uint and state[place] >> (type.width - 1):
                state[place] -= 2**type.width
    assert type.decode(memory).tolist() == state
    assert type.decode(before).tolist() == expected


def test_an_atomic_on_memory_never_written_is_an_error(kernel, launch):
    def body(build, y, block):
        build("atomic", y, build.constant("i32", 1, (1,)), numbers(build, [2]), kind="add")

    with pytest.raises(ExecutionError, match=r"y\[2\] is updated and was never written"):
        launch(kernel({"y": TensorType(dtype("i32"), (4,), Access.OUT)}, (1,), body), np.zeros(4, np.int32))
