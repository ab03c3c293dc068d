"""Loops, branches, scalars, symbols, printing, assertions, and arguments that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, TensorType, TileType
from vmc.ir.dims import Sym, binary
from vmc.ir.types import dtype

I64 = TileType(dtype("i64"))
ONE = {"sizes": (None,), "steps": (1,), "inbounds": (True,)}
Y = {"y": TensorType(dtype("i64"), (4,), Access.OUT)}


def put(build, y, value, place=0):
    build.many("store", y, value, build.index(place), **ONE)


def counted(build, low, high, step, start, change):
    """`for index in range(low, high, step): x = change(x, index)`."""
    index, carried = argument(I64), argument(I64)
    inner = Builder()
    region = inner.region((index, carried), (change(inner, carried, index),))
    bounds = [build.index(number) for number in (low, high, step)]
    (result,) = build.many("for", *bounds, build.index(start), regions=(region,), stages=1, unroll=1)
    return result


@pytest.mark.parametrize("bounds", [(0, 5, 1), (3, 20, 4), (5, 5, 1), (9, 2, 3), (-4, 3, 2)])
def test_a_counted_loop_is_a_python_range(bounds, kernel, launch):
    def change(build, carried, index):
        return build("add", build("mul", carried, build.index(3)), index)

    y = np.zeros(4, np.int64)
    launch(kernel(Y, (1,), lambda build, y, block: put(build, y, counted(build, *bounds, 1, change))), y)
    expected = 1
    for index in range(*bounds):
        expected = 3 * expected + index
    assert y[0] == expected


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_below_one_is_an_error(step, kernel, launch):
    program = kernel(Y, (1,), lambda build, y, block: put(build, y, counted(build, 0, 3, step, 1, lambda b, c, i: c)))
    with pytest.raises(ExecutionError, match=f"the step of this loop is {step}"):
        launch(program, np.zeros(4, np.int64))


def test_while_runs_until_its_condition_fails(kernel, launch):
    def body(build, y, block):
        before, inside = argument(I64), argument(I64)
        test, turn = Builder(), Builder()
        condition = test.region((before,), (test("lt", before, test.index(100)),))
        again = turn.region((inside,), (turn("mul", inside, turn.index(3)),))
        (result,) = build.many("while", build.index(1), regions=(condition, again))
        put(build, y, result)

    y = np.zeros(4, np.int64)
    launch(kernel(Y, (1,), body), y)
    assert y[0] == 243


def test_if_executes_one_branch(kernel, launch):
    def body(build, y, block):
        then, otherwise = Builder(), Builder()
        branches = then.region((), (then.index(10),)), otherwise.region((), (otherwise("neg", block),))
        even = build("eq", build("mod", block, build.index(2)), build.index(0))
        (result,) = build.many("if", even, regions=branches, results=(I64,))
        build.many("store", y, result, block, **ONE)

    y = np.zeros(4, np.int64)
    launch(kernel(Y, (4,), body), y)
    assert y.tolist() == [10, -1, 10, -3]


def test_scalars_take_the_type_of_their_parameter_and_symbols_their_value(kernel, launch):
    def body(build, alpha, n, y, block):
        put(build, y, build.cast(build("mul", alpha, build.constant("bf16", 100)), "i64"), 0)
        put(build, y, build.cast(n, "i64"), 1)
        put(build, y, build("symbol", name="N"), 2)

    shape = (binary("+", Sym("N"), 1),)
    params = {
        "alpha": TileType(dtype("bf16")),
        "n": TileType(dtype("u4")),
        "y": TensorType(dtype("i64"), shape, Access.OUT),
    }
    y = np.zeros(4, np.int64)
    launch(kernel(params, (1,), body, ["N"]), 0.5, np.array(17), y, symbols={"N": 3})
    assert y.tolist() == [50, 1, 3, 0]


def test_what_a_program_prints_is_handed_over_line_by_line(kernel, launch):
    def body(build, y, block):
        build.many("print", block, build.constant("f4e2m1", 1.5, (2,)), text="block and tile:")
        build.many("print", text="bare")

    lines = []
    launch(kernel(Y, (2,), body), np.zeros(4, np.int64), emit=lines.append)
    assert lines == ["block and tile: 0 [1.5, 1.5]", "bare", "block and tile: 1 [1.5, 1.5]", "bare"]


def test_an_assertion_that_fails_anywhere_stops_the_program_with_its_message(kernel, launch):
    def body(build, y, block):
        small = build("lt", build("iota", n=4), build.constant("i32", 3, (4,)))
        build.many("assert", build("eq", small, small), message="never")
        build.many("assert", small, message="the index is too large")

    with pytest.raises(ExecutionError, match=r"^test.vmc:6:1: the index is too large$"):
        launch(kernel(Y, (1,), body), np.zeros(4, np.int64))


def test_a_written_tensor_that_shares_memory_with_another_is_refused(kernel):
    from vmc.backends.interp import run

    memory = np.zeros(64, np.uint8)
    params = {"x": TensorType(dtype("i64"), (4,)), "z": TensorType(dtype("i64"), (4,)), **Y}
    program = kernel(params, (1,), lambda build, x, z, y, block: None)
    run(program, [memory[:32], memory[:32], memory[32:]], {})
    with pytest.raises(ValueError, match="z and y share memory"):
        run(program, [memory[:8].repeat(4), memory[:32], memory[24:56]], {})


def divided(build, y, block):
    put(build, y, build("mod", build.index(7), build("sub", block, block)))


def grown(name, type, *numbers):
    def body(build, y, block):
        put(build, y, build.cast(build(name, *(build.constant(type, number) for number in numbers)), "i64"))

    return body


CHECKED = [
    (divided, "division", "mod by zero"),
    (grown("add", "u4", 9, 8), "overflow", "add gives 17, which u4 does not hold"),
    (grown("sub", "u64", 9, 10), "overflow", "sub gives -1, which u64 does not hold"),
    (grown("mul", "i64", 2**62, -3), "overflow", f"mul gives {-3 * 2**62}, which i64 does not hold"),
    (grown("neg", "i8", -128), "overflow", "neg gives 128, which i8 does not hold"),
    (grown("abs", "i32", -(2**31)), "overflow", f"abs gives {2**31}, which i32 does not hold"),
]


@pytest.mark.parametrize(("body", "check", "message"), CHECKED)
def test_what_wraps_or_divides_by_zero_is_reported_where_asked(body, check, message, kernel, launch):
    program, y = kernel(Y, (1,), body), np.zeros(4, np.int64)
    launch(program, y)
    with pytest.raises(ExecutionError, match=message):
        launch(program, y, checks={check})


def test_composite_operations_wrap_on_purpose_and_unknown_checks_are_refused(kernel, launch):
    def body(build, y, block):
        build.many("philox", build.constant("u64", 5), build.constant("u64", 7))

    program, y = kernel(Y, (1,), body), np.zeros(4, np.int64)
    launch(program, y, checks={"overflow"})
    with pytest.raises(ValueError, match="unknown checks: wrap"):
        launch(program, y, checks={"wrap"})


def test_a_barrier_and_a_composite_operation_execute(kernel, launch):
    def body(build, y, block):
        build.many("barrier")
        words = build.many("philox", build.constant("u64", 0), build.constant("u64", 0))
        for place, word in enumerate(words):
            put(build, y, build.cast(word, "i64"), place)

    y = np.zeros(4, np.int64)
    launch(kernel(Y, (1,), body), y)
    assert y.tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize(
    ("arguments", "symbols", "error", "message"),
    [
        ([], {"N": 1}, ValueError, "takes 1 arguments, and got 0"),
        ([np.zeros(8, np.uint8)], {}, ValueError, "values for the symbols N"),
        ([np.zeros((2, 4), np.uint8)], {"N": 1}, TypeError, "y must be a 1-D array of u8"),
        ([np.zeros(8, np.int8)], {"N": 1}, TypeError, "y must be a 1-D array of u8"),
        (
            [np.zeros(16, np.uint8)[::2]],
            {"N": 1},
            ValueError,
            "y is written: its array must be writable and contiguous",
        ),
        ([np.frombuffer(bytes(8), np.uint8)], {"N": 1}, ValueError, "must be writable"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, symbols, error, message, kernel):
    from vmc.backends.interp import run

    program = kernel(
        {"y": TensorType(dtype("i64"), (Sym("N"),), Access.OUT)}, (1,), lambda build, y, block: None, ["N"]
    )
    with pytest.raises(error, match=message):
        run(program, arguments, symbols)
