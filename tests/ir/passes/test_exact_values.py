"""What `integers` knows of tiles is true of them: intervals contain every element, functions give every element."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.passes.evaluation import random_tile
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Op, Table, TileType, Value
from vmc.ir.passes.evaluator import ConstantEvaluator
from vmc.ir.passes.integers.exact import Exact, holds, integers_of
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.integers.functions import Function
from vmc.ir.types import ALL_SMALL, DType, dtype

N = 48
WIDE = [dtype(name) for name in ("i8", "u8", "i16", "u16", "i32", "i64", "f16", "bf16", "f32", "f64")]
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 127, 128, 255, -1, -8, -128, 0.5, 0.25, 1.75, -6.5, 1e30, 2.0**-30)
STEPS = ("cast",) * 4 + ("add", "sub", "mul", "min", "max", "constant", "select", "flip", "take", "unary")
UNARY = ("neg", "abs", "round", "floor", "ceil", "trunc")


def facts_of(ops: Sequence[Op]) -> Facts:
    """The facts after the operations in order."""
    producers: dict[Value, Op] = {}
    facts = Facts(producers.get)
    for op in ops:
        facts.visit(op)
        producers.update((result, op) for result in op.results)
    return facts


def random_chain(rng: random.Random) -> tuple[Builder, list[Value], list[Value]]:
    """Operations on small tiles, on wide ones, and on constants: the builder, its parameters, and all values."""
    build = Builder()
    params = [argument(TileType(rng.choice(ALL_SMALL), (N,))) for _ in range(2)]
    params += [argument(TileType(rng.choice(WIDE), (N,)))]
    values = list(params)
    for _ in range(14):
        values.append(random_step(build, rng, values))
    return build, params, values


def random_step(build: Builder, rng: random.Random, values: list[Value]) -> Value:
    name = rng.choice(
        ("cast",) * 4 + ("add", "sub", "mul", "min", "max", "constant", "select", "flip", "take", "unary")
    )
    able = [value for value in values if value.tile.dtype in WIDE]
    if name == "cast" or not able:
        return build.cast(rng.choice(values), rng.choice(WIDE), rng.choice(("nearest_even", "floor", "toward_zero")))
    a = rng.choice(able)
    type = a.tile.dtype
    match name:
        case "constant":
            return build.constant(type, rng.choice([n for n in NUMBERS if type.is_float or n == int(n)][:16]), (N,))
        case "flip":
            return build("flip", rng.choice(values), axis=0)
        case "take":
            return look_up(build, rng, values)
        case "unary":
            return build(rng.choice(UNARY if type.is_float else UNARY[:2]), a)
    b = rng.choice([value for value in able if value.tile.dtype == type])
    if rng.random() < 0.5:
        b = build.constant(type, rng.choice([n for n in NUMBERS[:13] if n == int(n)]), (N,))
    return build("select", build("lt", a, b), b, a) if name == "select" else build(name, a, b)


def look_up(build: Builder, rng: random.Random, values: list[Value]) -> Value:
    """A table of any type, by a small unsigned index, if there is one."""
    index = next((value for value in values if value.tile.dtype.is_uint and value.tile.dtype.width <= 6), None)
    type = rng.choice(WIDE)
    if index is None:
        return build.constant(type, 3, (N,))
    codes = type.encode(np.array([rng.randrange(-30, 30) for _ in range(1 << index.tile.dtype.width)]))
    return build("take", build("table", table=Table.of(type, codes)), index, axis=0)


@pytest.mark.parametrize("seed", range(300))
def test_facts_are_true(seed: int) -> None:
    rng = random.Random(seed)
    build, params, values = random_chain(rng)
    facts = facts_of(build.ops)
    machine = ConstantEvaluator()
    machine.values.update((param, random_tile(param.tile.dtype, N, rng)) for param in params)
    machine.run(build.ops)
    for value in values:
        elements = machine.values[value]
        check_exact(facts.exact(value), value.tile.dtype, elements)
        function = facts.function(value)
        if function is not None:
            check_function(function, value.tile.dtype, elements, machine)


def check_exact(exact: Exact | None, type: DType, elements: Any) -> None:
    """Every element is one of the numbers."""
    if exact is None:
        return
    found = integers_of(type.to_values(elements))
    assert found is not None
    shift, integers = found
    assert shift <= exact.shift
    assert all(exact.low <= integer << (exact.shift - shift) <= exact.high for integer in integers)


def check_function(function: Function, type: DType, elements: Any, machine: ConstantEvaluator) -> None:
    """The elements are what the table has for the source's codes, moved."""
    source = function.source.tile.dtype
    made = function.table[source.to_codes(machine.values[function.source])]
    for op in function.moves:
        assert op.name == "flip"
        made = made[::-1]
    np.testing.assert_array_equal(type.to_values(made), type.to_values(elements))


def test_most_chains_have_facts_beyond_the_types() -> None:
    functions, intervals = 0, 0
    for seed in range(60):
        build, _, values = random_chain(random.Random(seed))
        facts = facts_of(build.ops)
        wide = [value for value in values if value.tile.dtype.is_float and value.tile.dtype.width > 8]
        functions += sum(facts.function(value) is not None for value in wide)
        intervals += sum(facts.exact(value) is not None for value in wide if facts.function(value) is None)
    assert functions > 60
    assert intervals > 60


@given(st.integers(-(2**30), 2**30), st.integers(0, 2**30), st.integers(0, 160))
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("name", ["f16", "bf16", "f32", "f64"])
def test_a_type_that_holds_an_interval_has_its_ends_and_their_neighbours(
    name: str, low: int, width: int, shift: int
) -> None:
    type = dtype(name)
    if not holds(type, Exact(shift, low, low + width)):
        return
    for integer in (low, low + 1, low + width, low + width - 1, low + width // 2):
        value = np.ldexp(np.float64(integer if low <= integer <= low + width else low), -shift)
        assert type.decode(type.encode(value)) == value


def test_a_type_has_the_integers_of_its_significand_and_not_the_next() -> None:
    for name, bits in (("f16", 11), ("bf16", 8), ("f32", 24), ("f64", 53)):
        assert holds(dtype(name), Exact(3, -(2**bits), 2**bits))
        assert not holds(dtype(name), Exact(3, 0, 2**bits + 1))


def test_values_beyond_the_range_and_below_the_last_bit_are_not_held() -> None:
    assert not holds(dtype("f16"), Exact(0, 0, 65536))
    assert holds(dtype("f16"), Exact(24, -1, 1))
    assert not holds(dtype("f16"), Exact(25, -1, 1))
    assert not holds(dtype("u8"), Exact(0, -1, 1))
    assert not holds(dtype("i8"), Exact(1, -1, 1))
