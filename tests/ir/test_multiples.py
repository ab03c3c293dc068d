"""What integer scalars are known to be multiples of, against all values that they take."""

from __future__ import annotations

from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, TensorType, TileType, Value
from vmc.ir.dims import DimOp, Sym
from vmc.ir.multiples import Multiples, is_index
from vmc.ir.types import dtype

I64 = TileType(dtype("i64"))


def known(build: Builder, value: Value) -> int:
    return Multiples(build.region()).of(value)


@pytest.mark.parametrize(
    ("operation", "expected"), [("add", 4), ("sub", 4), ("min", 4), ("max", 4), ("mul", 96), ("floordiv", 1)]
)
def test_operations_on_multiples(operation: str, expected: int) -> None:
    build, x = Builder(), argument(I64, "x")
    twelve, eight = (build("mul", x, build.index(number)) for number in (12, 8))
    assert known(build, build(operation, twelve, eight)) == expected


def test_zero_is_a_multiple_of_everything_and_a_parameter_of_one() -> None:
    build, x = Builder(), argument(I64, "x")
    zero = build.index(0)
    assert known(build, zero) == 0
    assert known(build, x) == 1
    assert known(build, build("add", zero, build("mul", x, build.index(40)))) == 40
    assert known(build, build("neg", build("mul", x, build.index(-6)))) == 6


@pytest.mark.parametrize(("start", "step", "expected"), [(0, 32, 32), (16, 32, 16), (96, 64, 32), (5, 10, 5)])
def test_the_index_of_a_loop_is_a_multiple_of_what_divides_its_start_and_its_step(
    start: int, step: int, expected: int
) -> None:
    build, index, stop = Builder(), argument(I64, "index"), argument(I64, "stop")
    body = Builder().region((index,))
    build.many("for", build.index(start), stop, build.index(step), regions=(body,), stages=1, unroll=1)
    assert known(build, index) == expected


def test_a_slice_is_as_coarse_as_its_start_and_its_size_and_single_elements_are_not() -> None:
    build, x = Builder(), argument(I64, "x")
    source = argument(TensorType(dtype("u4"), (640, 640), Access.IN), "w")
    start = build("mul", x, build.index(48))
    for sizes, steps in (((32, 64), (1, 1)), ((None, 64), (1, 1)), ((32, 64), (1, 2))):
        build("load", source, start, build.index(0), fill=0, inbounds=(False, False), sizes=sizes, steps=steps)
    region = build.region()
    loads = [op for op in region.ops if op.name == "load"]
    assert [Multiples(region).granularity(op) for op in loads] == [(16, 64), (1, 64), (16, 1)]


def test_only_scalars_of_64_bits_are_indices() -> None:
    assert is_index(argument(I64))
    assert not is_index(argument(TileType(dtype("i32"))))
    assert not is_index(argument(TileType(dtype("i64"), (2,))))
    assert not is_index(argument(TensorType(dtype("i64"), (2,), Access.IN)))


@given(st.data())
def test_what_is_known_divides_every_value(data: st.DataObject) -> None:
    """Expressions of two unknowns, executed for some values of them."""
    build, unknowns = Builder(), [argument(I64, "a"), argument(I64, "b")]
    numbers = [data.draw(st.integers(-50, 50)) for _ in unknowns]
    values: list[tuple[Value, int]] = list(zip(unknowns, numbers, strict=True))
    for constant in data.draw(st.lists(st.integers(-40, 40), min_size=1, max_size=4)):
        values.append((build.index(constant), constant))
    meaning = {"add": int.__add__, "sub": int.__sub__, "mul": int.__mul__, "min": min, "max": max}
    for _ in range(data.draw(st.integers(1, 8))):
        operation = data.draw(st.sampled_from(sorted(meaning)))
        (left, a), (right, b) = (data.draw(st.sampled_from(values)) for _ in range(2))
        values.append((build(operation, left, right), meaning[operation](a, b)))
    multiples = Multiples(build.region())
    for value, number in values:
        assert gcd(number, multiples.of(value)) == multiples.of(value)


def test_a_tested_condition_says_what_symbols_are_multiples_of_inside() -> None:
    build = Builder()
    k, zero = build("symbol", name="K"), build.index(0)
    by_8 = build("eq", build("mod", k, build.index(8)), zero)
    by_64 = build("eq", build("mod", k, build.index(64)), zero)
    odd = build("eq", build("mod", k, build.index(8)), build.index(1))
    both = build("and", build("and", by_8, by_64), odd)
    multiples = Multiples(build.region())
    half = DimOp("//", Sym("K"), 2)
    assert multiples.of_extent(Sym("K")) == 1
    with multiples.assuming(both):
        assert multiples.of_extent(Sym("K")) == 64
        assert multiples.of_extent(DimOp("*", Sym("K"), 3)) == 192
        assert (multiples.of_extent(Sym("M")), multiples.of_extent(half), multiples.of_extent(12)) == (1, 1, 12)
    with multiples.assuming(odd):
        assert multiples.of_extent(Sym("K")) == 1
    assert multiples.of_extent(Sym("K")) == 1
