"""Loops that carry tiles, branches, and what a program reports: failed assertions, bad steps, prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.cpu.execution import assert_same, launch, load, memory, store, tensor, zeros
from vmc.backends import cpu
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, Region, TileType, Value
from vmc.ir.span import Span
from vmc.ir.types import dtype

I64 = TileType(dtype("i64"))
F32 = TileType(dtype("f32"), (6,))


def kernel_of(body: Region, params: list[Value], blocks: int = 1) -> Kernel:
    outer = Builder()
    outer.many("grid", outer.index(blocks), regions=(body,))
    return Kernel("control", tuple(params), (), outer.region())


def loop(yields: Any) -> Kernel:
    """Three turns of a loop over two carried tiles; `yields` maps builder, index and tiles to the next tiles."""
    x, y, z = tensor("x", "f32", (6,)), tensor("y", "f32", (6,), Access.OUT), tensor("z", "f32", (6,), Access.OUT)
    body, inner = Builder(), Builder()
    index, a, b = argument(I64, "i"), argument(F32, "a"), argument(F32, "b")
    region = inner.region((index, a, b), yields(inner, index, a, b))
    first = load(body, x, (6,))
    bounds = [body.index(number) for number in (0, 3, 1)]
    starts = (first, body("neg", first))
    results = body.many("for", *bounds, *starts, regions=(region,), stages=1, unroll=1)
    store(body, y, results[0])
    store(body, z, results[1])
    return kernel_of(body.region((argument(I64, "block"),)), [x, y, z])


def swapped(build: Builder, index: Value, a: Value, b: Value) -> tuple[Value, Value]:
    return b, a


def mixed(build: Builder, index: Value, a: Value, b: Value) -> tuple[Value, Value]:
    return build("add", a, b), build("sub", a, b)


def turned(build: Builder, index: Value, a: Value, b: Value) -> tuple[Value, Value]:
    return build("flip", a, axis=0), build("add", build("flip", b, axis=0), a)


def counted(build: Builder, index: Value, a: Value, b: Value) -> tuple[Value, Value]:
    number = build.broadcast(build.cast(index, "f32"), (6,))
    return build("add", a, number), a


def kept(build: Builder, index: Value, a: Value, b: Value) -> tuple[Value, Value]:
    return a, build("mul", b, b)


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("yields", [swapped, mixed, turned, counted, kept])
def test_carried_tiles_change_all_at_once(yields: Any, level: int) -> None:
    codes = dtype("f32").encode(np.arange(6) + 0.5)
    kernel = loop(yields)
    assert_same(kernel, [memory("f32", codes), zeros(kernel.params[1]), zeros(kernel.params[2])], opt_level=level)


def test_a_tile_that_is_first_needed_inside_a_branch_is_there_after_it() -> None:
    """A table goes into a buffer where it is stored; a branch that is not taken must not be that place."""
    x = tensor("x", "u3", (6,))
    params = [x, *(tensor(f"y{i}", "u3", (6,), Access.OUT) for i in range(2))]
    body = Builder()
    value = body("iota", n=6)
    value = body.cast(value, "u3")
    condition = body.constant("u1", 0)
    yes, no = Builder(), Builder()
    store(yes, params[1], value)
    body.many("if", condition, regions=(yes.region(), no.region()), results=())
    store(body, params[2], value)
    kernel = kernel_of(body.region((argument(I64, "block"),)), params)
    assert_same(kernel, [zeros(param) for param in params])


def asserting(blocks: int, message: str) -> Kernel:
    """Block 7 fails."""
    block = argument(I64, "block")
    body = Builder(Span("a.vmc", 3, 5, 3, 20))
    fine = body("ne", block, body.index(7))
    body.many("assert", body.broadcast(fine, (3,)), message=message)
    return kernel_of(body.region((block,)), [], blocks)


def test_a_failed_assertion_is_an_error_at_its_line() -> None:
    executable = cpu.compile(asserting(100, "not seven"), cpu.Options(opt_level=1))
    for threads in (1, 4):
        with pytest.raises(cpu.ExecutionError, match=r"a\.vmc:3:5: not seven") as caught:
            executable.launch([], max_threads=threads)
        assert caught.value.span.line == 3
    cpu.compile(asserting(7, "not seven"), cpu.Options(opt_level=1)).launch([])


def test_a_step_below_one_is_an_error() -> None:
    step = argument(I64, "step")
    body, inner = Builder(), Builder()
    region = inner.region((argument(I64, "i"),))
    body.many("for", body.index(0), body.index(3), step, regions=(region,), stages=1, unroll=1)
    kernel = kernel_of(body.region((argument(I64, "block"),)), [step])
    executable = cpu.compile(kernel, cpu.Options(opt_level=1))
    launch(executable, kernel, [2], {})
    for bad in (0, -1):
        with pytest.raises(cpu.ExecutionError, match="less than 1"):
            launch(executable, kernel, [bad], {})


def test_a_print_shows_what_the_reference_shows() -> None:
    from vmc.backends import interp

    block = argument(I64, "block")
    body = Builder()
    tile = body.constant("f4e2m1", 1.5, (2, 3))
    body.many("print", tile, block, body.constant("u1", 1), text="tile:")
    body.many("print", text="plain")
    kernel = kernel_of(body.region((block,)), [], 2)
    expected: list[str] = []
    interp.run(kernel, [], {}, emit=expected.append)
    executable = cpu.compile(kernel, cpu.Options(opt_level=1))
    found: list[str] = []
    executable.emit = found.append
    executable.launch([])
    assert found == expected
