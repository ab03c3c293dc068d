"""Blocks: their order does not matter, and what makes it matter is reported."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.core import Access, TensorType
from vmc.ir.types import dtype

ONE = {"sizes": (1,), "steps": (1,), "inbounds": (True,)}
I32 = dtype("i32")
ORDERS = [None, lambda count: range(count - 1, -1, -1), lambda count: np.random.default_rng(3).permutation(count)]


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_blocks_does_not_change_results(order, kernel, launch):
    def body(build, x, y, row, column):
        place = build("add", build("mul", row, build.index(4)), column)
        tile = build("load", x, place, fill=0, **ONE)
        build.many("store", y, build("mul", tile, tile), place, **ONE)

    program = kernel({"x": TensorType(I32, (12,)), "y": TensorType(I32, (12,), Access.OUT)}, (3, 4), body)
    x, y = np.arange(12, dtype=np.int32), np.zeros(12, np.int32)
    launch(program, x, y, order=order)
    assert y.tolist() == (x * x).tolist()


def write_here(build, y, place):
    build.many("store", y, build.constant("i32", 1, (1,)), place, **ONE)


def read_here(build, y, place):
    build("load", y, place, fill=0, **ONE)


def update_here(build, y, place):
    index = build.broadcast(place, (1,))
    build("atomic", y, build.constant("i32", 1, (1,)), index, kind="add")


CONFLICTS = [
    (write_here, write_here, "writes"),
    (write_here, read_here, "reads|writes"),
    (write_here, update_here, "updates|writes"),
    (read_here, update_here, "updates|reads"),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("first", "second", "verb"), CONFLICTS)
def test_two_blocks_that_meet_in_an_element_are_reported(first, second, verb, order, kernel, launch):
    def body(build, y, block):
        first(build, y, block)
        second(build, y, build("mod", build("add", block, build.index(1)), build.index(3)))

    program = kernel({"y": TensorType(I32, (3,), Access.INOUT)}, (3,), body)
    with pytest.raises(ExecutionError, match=rf"block \(\d\) ({verb}) y\[\d\], which block \(\d\)") as caught:
        launch(program, np.zeros(3, np.int32), order=order)
    assert caught.value.span.line > 0


@pytest.mark.parametrize("use", [read_here, update_here])
def test_blocks_may_read_together_and_update_together(use, kernel, launch):
    program = kernel(
        {"y": TensorType(I32, (1,), Access.INOUT)}, (5,), lambda build, y, block: use(build, y, build.index(0))
    )
    y = np.zeros(1, np.int32)
    launch(program, y)
    assert y[0] == (5 if use is update_here else 0)


def test_a_block_may_read_what_it_wrote(kernel, launch):
    def body(build, y, block):
        write_here(build, y, block)
        read_here(build, y, block)
        write_here(build, y, block)

    launch(kernel({"y": TensorType(I32, (4,), Access.OUT)}, (4,), body), np.zeros(4, np.int32))


def test_what_several_blocks_read_is_named_so_when_another_writes_it(kernel, launch):
    def body(build, y, block):
        read_here(build, y, build.index(0))
        last = build("eq", block, build.index(3))
        then, otherwise = type(build)(), type(build)()
        write_here(then, y, then.index(0))
        build.many("if", last, regions=(then.region(), otherwise.region()), results=())

    program = kernel({"y": TensorType(I32, (4,), Access.INOUT)}, (4,), body)
    with pytest.raises(ExecutionError, match=r"block \(3\) writes y\[0\], which another block reads"):
        launch(program, np.zeros(4, np.int32))


def test_blocks_of_narrow_elements_in_one_byte_do_not_disturb_each_other(kernel, launch):
    def body(build, y, block):
        value = build.broadcast(build.cast(block, "u3"), (1,))
        build.many("store", y, value, block, **ONE)

    y = np.zeros(3, np.uint8)
    launch(kernel({"y": TensorType(dtype("u3"), (8,), Access.OUT)}, (8,), body), y, order=ORDERS[2])
    assert int.from_bytes(y.tobytes(), "little") == sum(i << (3 * i) for i in range(8))
