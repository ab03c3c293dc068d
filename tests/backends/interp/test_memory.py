"""Loads and stores of every type against a bit stream held in one Python integer."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.core import Access, TensorType
from vmc.ir.dims import Sym
from vmc.ir.types import ALL_DTYPES, dtype, packed_size

every_type = pytest.mark.parametrize("type", ALL_DTYPES, ids=lambda type: type.name)


def codes_of(data, width, count):
    """The codes of a dense tensor's bytes."""
    stream = int.from_bytes(data.tobytes(), "little")
    return [(stream >> (place * width)) & (2**width - 1) for place in range(count)]


def random_bytes(type, count, seed=0):
    data = np.random.default_rng(seed).integers(0, 256, packed_size(count, type), np.uint8)
    if type.unused_bits:  # tf32: its low bits are zero
        data = (data.view(np.uint32) >> type.unused_bits << type.unused_bits).view(np.uint8)
    return data


def slices(steps=(1, 1), claimed=(False, False), sizes=(4, 5)):
    return {"sizes": sizes, "steps": steps, "inbounds": claimed}


@every_type
def test_a_tile_loaded_at_one_place_and_stored_at_another_keeps_its_bits(type, kernel, launch):
    def body(build, x, y, row, column):
        top, left = build("mul", row, build.index(4)), build("mul", column, build.index(5))
        tile = build("load", x, top, left, fill=0, **slices())
        build.many("store", y, tile, top, left, **slices())

    source, target = random_bytes(type, 11 * 13), random_bytes(type, 11 * 13, 1)
    untouched = target[-1]
    program = kernel({"x": TensorType(type, (11, 13)), "y": TensorType(type, (11, 13), Access.OUT)}, (3, 3), body)
    launch(program, source, target)
    assert codes_of(target, type.width, 143) == codes_of(source, type.width, 143)
    spare = 8 * target.size - 143 * type.width
    assert target[-1] >> (8 - spare) == untouched >> (8 - spare), "bits past the end were written"


@every_type
def test_elements_outside_the_extents_read_as_the_fill_and_are_not_written(type, kernel, launch):
    def body(build, x, y, block):
        tile = build("load", x, build.index(-2), build.index(3), fill=1 << type.unused_bits, **slices(steps=(2, 3)))
        build.many("store", y, tile, build.index(0), build.index(0), **slices())

    source, target = random_bytes(type, 6 * 7), random_bytes(type, 4 * 5)
    program = kernel({"x": TensorType(type, (6, 7)), "y": TensorType(type, (4, 5), Access.OUT)}, (1,), body)
    launch(program, source, target)
    codes = np.array(codes_of(source, type.width, 42), object).reshape(6, 7)
    for i in range(4):
        for j in range(5):
            row, column = -2 + 2 * i, 3 + 3 * j
            inside = 0 <= row < 6 and column < 7
            expected = codes[row, column] if inside else 1 << type.unused_bits
            assert codes_of(target, type.width, 20)[5 * i + j] == expected


def test_a_dimension_without_a_size_is_dropped_from_the_tile(kernel, launch):
    u8 = dtype("u8")

    def body(build, x, y, block):
        tile = build("load", x, build.index(1), block, fill=0, sizes=(2, None), steps=(1, 1), inbounds=(True, True))
        build.many("store", y, tile, block, build.index(0), sizes=(None, 2), steps=(1, 1), inbounds=(True, True))

    x, y = np.arange(12, dtype=np.uint8).reshape(3, 4), np.zeros((4, 2), np.uint8)
    launch(kernel({"x": TensorType(u8, (3, 4)), "y": TensorType(u8, (4, 2), Access.OUT)}, (4,), body), x, y)
    assert y.tolist() == x[1:].T.tolist()


@pytest.mark.parametrize("name", ["load", "store"])
def test_a_false_claim_of_being_inside_is_an_error_with_the_line(name, kernel, launch):
    f32 = dtype("f32")

    def body(build, x, block):
        claimed = {"sizes": (4,), "steps": (1,), "inbounds": (True,)}
        start = build.index(7)
        if name == "load":
            build("load", x, start, fill=0, **claimed)
        else:
            build.many("store", x, build.constant("f32", 0, (4,)), start, **claimed)

    program = kernel({"x": TensorType(f32, (Sym("N"),), Access.INOUT)}, (1,), body, ["N"])
    launch(program, np.zeros(11, np.float32), symbols={"N": 11})
    verb = {"load": "read", "store": "write"}[name]
    with pytest.raises(ExecutionError, match=rf"{verb} of x\[10\] outside the extents \[10\]") as caught:
        launch(program, np.zeros(10, np.float32), symbols={"N": 10})
    assert caught.value.span.line == (2 if name == "load" else 3)


def test_an_out_tensor_may_not_be_read_before_it_is_written(kernel, launch):
    u4 = dtype("u4")

    def body(build, y, block):
        first = {"sizes": (2,), "steps": (1,), "inbounds": (True,)}
        build.many("store", y, build.constant("u4", 3, (2,)), build.index(0), **first)
        build("load", y, build.index(0), fill=0, **first)
        build("load", y, build.index(1), fill=0, **first)

    program = kernel({"y": TensorType(u4, (5,), Access.OUT)}, (1,), body)
    with pytest.raises(ExecutionError, match=r"y\[2\] is read and was never written") as caught:
        launch(program, np.zeros(3, np.uint8))
    assert str(caught.value).startswith("test.vmc:7:1: ")


def test_an_array_that_is_too_small_is_refused(kernel, launch):
    program = kernel({"x": TensorType(dtype("u3"), (9,))}, (1,), lambda build, x, block: None)
    launch(program, np.zeros(4, np.uint8))
    with pytest.raises(ExecutionError, match="x has 3 bytes, and 4 are needed"):
        launch(program, np.zeros(3, np.uint8))


def test_an_empty_tensor_has_no_elements_to_touch(kernel, launch):
    def body(build, x, y, block):
        tile = build("load", x, build.index(0), fill=7, sizes=(4,), steps=(1,), inbounds=(False,))
        build.many("store", y, tile, build.index(0), sizes=(4,), steps=(1,), inbounds=(False,))

    params = {"x": TensorType(dtype("u8"), (Sym("N"),)), "y": TensorType(dtype("u8"), (4,), Access.OUT)}
    y = np.zeros(4, np.uint8)
    launch(kernel(params, (1,), body, ["N"]), np.zeros(0, np.uint8), y, symbols={"N": 0})
    assert y.tolist() == [7, 7, 7, 7]
