"""Scalars of a kernel read as extents have, for all symbols, the value that the kernel computes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmc.backends.interp.machine import Machine
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Kernel, TileType, Value
from vmc.ir.dims import DimOp, Sym, evaluate
from vmc.ir.passes.extents import at_least_zero, extent_of, is_nonnegative
from vmc.ir.types import dtype

NAMES = ("M", "N")
OPERATIONS = ("add", "sub", "mul", "floordiv", "mod", "min", "max", "neg")


def value_of(build: Builder, value: Value, symbols: dict[str, int]) -> int:
    """What the reference VM computes."""
    machine = Machine(Kernel("k", (), NAMES, Builder().region()), symbols)
    machine._execute(build.ops)
    return int(machine._values[value])


@given(st.data())
def test_an_extent_has_the_value_that_is_computed(data: st.DataObject) -> None:
    build = Builder()
    values = [build("symbol", name=name) for name in NAMES]
    values += [build.index(number) for number in data.draw(st.lists(st.integers(-9, 9), min_size=1, max_size=3))]
    for name in data.draw(st.lists(st.sampled_from(OPERATIONS), max_size=8)):
        operands = [data.draw(st.sampled_from(values)) for _ in range(1 if name == "neg" else 2)]
        values.append(build(name, *operands))
    producers = {result: op for op in build.ops for result in op.results}
    symbols = {name: data.draw(st.integers(0, 20)) for name in NAMES}
    for value in values:
        dim = extent_of(value, producers)
        if dim is not None:
            assert evaluate(dim, symbols) == value_of(build, value, symbols)
            assert not is_nonnegative(dim) or evaluate(dim, symbols) >= 0
            assert evaluate(at_least_zero(dim), symbols) == max(evaluate(dim, symbols), 0)


def test_a_quotient_rounded_up_is_recognized() -> None:
    build = Builder()
    size = build("symbol", name="M")
    value = build("neg", build("floordiv", build("neg", size), build.index(16)))
    producers = {result: op for op in build.ops for result in op.results}
    assert extent_of(value, producers) == DimOp("cdiv", Sym("M"), 16)


@pytest.mark.parametrize("name", ["floordiv", "mod", "mul"])
def test_what_may_wrap_or_divide_by_zero_is_no_extent(name: str) -> None:
    build = Builder()
    value = build(name, build("symbol", name="M"), build("symbol", name="N"))
    assert extent_of(value, {result: op for op in build.ops for result in op.results}) is None


def test_a_scalar_of_the_launch_is_no_extent() -> None:
    assert extent_of(argument(TileType(dtype("i64")), "n"), {}) is None
