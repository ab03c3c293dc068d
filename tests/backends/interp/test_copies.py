"""Shared memory and asynchronous copies, which arrive as late as the program allows."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.core import Access, Space, TensorType
from vmc.ir.types import ALL_DTYPES, dtype, pack, unpack

F32 = dtype("f32")
WHOLE = {"sizes": (4,), "steps": (1,), "inbounds": (True,)}


def shared(type, *shape):
    return TensorType(dtype(type), shape, Access.INOUT, Space.SHARED)


def copy(build, target, source, start, sizes=(4,), target_sizes=(4,), into=(0,), fill=0):
    starts = [build.index(number) for number in (*start, *into)]
    inside = {"steps": (1,) * len(sizes), "inbounds": (False,) * len(sizes)}
    build.many("copy_async", target, source, *starts, sizes=sizes, fill=fill, target_sizes=target_sizes, **inside)


def wait(build, pending=0):
    build.many("wait_group", pending=pending)


def params(type="f32", count=8):
    return {"x": TensorType(dtype(type), (count,)), "y": TensorType(dtype(type), (4,), Access.OUT)}


@pytest.mark.parametrize("type", ALL_DTYPES, ids=lambda type: type.name)
def test_a_copy_that_was_waited_for_has_arrived(type, kernel, launch):
    def body(build, x, y, block):
        buffer = build("alloc", type=shared(type, 2, 4))
        copy(build, buffer, x, (6,), target_sizes=(None, 4), into=(1, 0), fill=1 << type.unused_bits)
        build.many("commit_group")
        wait(build)
        row = {"sizes": (None, 4), "steps": (1, 1), "inbounds": (True, True)}
        tile = build("load", buffer, build.index(1), build.index(0), fill=0, **row)
        build.many("store", y, tile, build.index(0), **WHOLE)

    codes = (np.arange(8).astype(np.uint64) & np.uint64(2**type.width - 1)) << type.unused_bits
    y = pack(np.zeros(4, np.uint8), type)
    launch(kernel(params(type), (1,), body), pack(codes, type), y)
    one = 1 << type.unused_bits
    assert unpack(y, type, (4,)).tolist() == [codes[6], codes[7], one, one]


def late(build, x, use, pending):
    """Two groups of one copy each; waits until `pending` are left, then uses both targets."""
    first, second = build("alloc", type=shared("f32", 4)), build("alloc", type=shared("f32", 4))
    for buffer in (first, second):
        copy(build, buffer, x, (0,))
        build.many("commit_group")
    wait(build, pending)
    for buffer in (first, second):
        use(build, buffer)


def read(build, buffer):
    build("load", buffer, build.index(0), fill=0, **WHOLE)


def write(build, buffer):
    build.many("store", buffer, build.constant("f32", 0, (4,)), build.index(0), **WHOLE)


@pytest.mark.parametrize("use", [read, write])
@pytest.mark.parametrize("pending", [0, 1, 2])
def test_only_the_groups_waited_for_have_arrived(pending, use, kernel, launch):
    program = kernel({"x": TensorType(F32, (4,))}, (1,), lambda build, x, block: late(build, x, use, pending))
    x = np.arange(4, dtype=np.float32)
    if pending == 0:
        launch(program, x)
        return
    with pytest.raises(ExecutionError, match="target of a copy that was not waited for") as caught:
        launch(program, x)
    names = [op.name for op in program.body.ops[-2].regions[0].ops]
    used = [line for line, name in enumerate(names, 1) if name in ("load", "store")]
    assert caught.value.span.line == used[2 - pending]


def test_a_copy_never_committed_does_not_arrive_with_a_wait(kernel, launch):
    def body(build, x, block):
        buffer = build("alloc", type=shared("f32", 4))
        copy(build, buffer, x, (0,))
        wait(build)
        read(build, buffer)
        build.many("commit_group")

    from vmc.ir.core import IRError

    with pytest.raises(IRError, match=r"load: .* is used before the copy to it was waited for"):
        kernel({"x": TensorType(F32, (4,))}, (1,), body)


def test_two_copies_under_way_to_one_element_are_an_error(kernel, launch):
    def body(build, x, block):
        buffer = build("alloc", type=shared("f32", 4))
        copy(build, buffer, x, (0,))
        copy(build, buffer, x, (0,), sizes=(1,), target_sizes=(1,), into=(3,))
        build.many("commit_group")
        wait(build)

    with pytest.raises(ExecutionError, match=r"\[3\] is the target of a copy that was not waited for"):
        launch(kernel({"x": TensorType(F32, (4,))}, (1,), body), np.zeros(4, np.float32))


def test_a_copy_past_the_end_of_its_target_is_an_error(kernel, launch):
    def body(build, x, block):
        copy(build, build("alloc", type=shared("f32", 4)), x, (0,), into=(1,))
        build.many("commit_group")
        wait(build)

    with pytest.raises(ExecutionError, match=r"\[4\] outside the extents \[4\]"):
        launch(kernel({"x": TensorType(F32, (4,))}, (1,), body), np.zeros(4, np.float32))


def test_shared_memory_is_fresh_in_every_block_and_may_not_be_read_before_it_is_written(kernel, launch):
    def body(build, x, block):
        buffer = build("alloc", type=shared("f32", 4))
        then, otherwise = type(build)(), type(build)()
        write(then, buffer)
        read(otherwise, buffer)
        first = build("eq", block, build.index(0))
        build.many("if", first, regions=(then.region(), otherwise.region()), results=())

    with pytest.raises(ExecutionError, match=r"\[0\] is read and was never written"):
        launch(kernel({"x": TensorType(F32, (4,))}, (2,), body), np.zeros(4, np.float32))
