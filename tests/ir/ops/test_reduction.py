"""Reductions, scans and sorts against plain Python loops, on every type that has arithmetic."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest

from vmc.ir.core import IRError
from vmc.ir.ops import OPS
from vmc.ir.types import ALL_DTYPES, dtype

INTEGERS = [type for type in ALL_DTYPES if type.is_int]
FLOATS = [dtype(name) for name in ("f16", "bf16", "f32", "f64")]
every_type = pytest.mark.parametrize("type", INTEGERS + FLOATS, ids=lambda type: type.name)


def smaller(x, y):
    if x != x or y != y:
        return math.nan
    if x == y:
        return x if math.copysign(1, x) < 0 else y
    return min(x, y)


STEPS = {
    "sum": lambda x, y: x + y,
    "prod": lambda x, y: x * y,
    "min": lambda x, y: smaller(x, y),
    "max": lambda x, y: -smaller(-x, -y),
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
}


def rounded(number, type):
    """A Python number as the type holds it."""
    if type.is_int:
        code = number % 2**type.width
        return code - 2**type.width if not type.is_uint and code >> (type.width - 1) else code
    with np.errstate(all="ignore"):
        return float(type.decode(type.encode(number)))


def agree(actual, expected):
    """Equal, sign of zero included; any NaN equals any NaN."""
    pairs = zip(np.ravel(actual).tolist(), np.ravel(np.array(expected, object)).tolist(), strict=True)
    return all(
        (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
        if isinstance(a, float)
        else a == b
        for a, b in pairs
    )


def kinds(type):
    return [kind for kind in STEPS if type.is_int or kind not in ("and", "or", "xor")]


def step(kind, type):
    return lambda x, y: rounded(STEPS[kind](x, y), type)


@every_type
def test_reductions_of_integers_and_extremes_are_exact(type, evaluate, samples):
    codes = samples(type, 84).reshape(3, 7, 4)
    numbers = type.decode(codes)
    for kind in kinds(type):
        if type.is_float and kind in ("sum", "prod"):
            continue
        for axis in range(3):
            (result,) = evaluate("reduce", (type, codes), kind=kind, axis=axis)
            lines = np.moveaxis(numbers, axis, -1).reshape(-1, numbers.shape[axis])
            expected = [reduce(step(kind, type), line) for line in lines.tolist()]
            assert agree(type.decode(result), expected), (kind, axis)


@pytest.mark.parametrize("type", FLOATS, ids=lambda type: type.name)
def test_float_sums_and_products_keep_the_stated_bound(type, evaluate):
    random = np.random.default_rng(7)
    codes = type.encode(random.normal(size=(50, 33)))
    numbers = type.decode(codes)
    unit = {"f64": 2.0**-53, "f32": 2.0**-24}.get(type.name, 2.0**-24)
    final = {"f16": 2.0**-11, "bf16": 2.0**-8}.get(type.name, 0.0)
    (total,) = evaluate("reduce", (type, codes), kind="sum", axis=1)
    for line, got in zip(numbers.tolist(), type.decode(total).tolist(), strict=True):
        exact = math.fsum(line)
        assert abs(got - exact) <= 32 * unit * math.fsum(map(abs, line)) + (unit + final) * abs(exact)
    (product,) = evaluate("reduce", (type, codes[:, :6]), kind="prod", axis=1)
    for line, got in zip(numbers[:, :6].tolist(), type.decode(product).tolist(), strict=True):
        exact = math.prod(line)
        least = type.smallest_subnormal
        assert abs(got - exact) <= abs(exact) * ((1 + unit) ** 6 - 1 + final) + least


def test_f16_sums_are_rounded_once_at_the_end(evaluate):
    codes = dtype("f16").encode([2048.0] + [1.0] * 8)
    (result,) = evaluate("reduce", ("f16", codes), kind="sum", axis=0)
    assert dtype("f16").decode(result) == 2056.0


@every_type
def test_arg_finds_the_first_extreme_and_the_first_nan_wins(type, evaluate, samples):
    codes = samples(type, 300).reshape(20, 15)
    numbers = type.decode(codes)
    for kind, best in (("min", min), ("max", max)):
        (result,) = evaluate("arg", (type, codes), kind=kind, axis=1)
        for line, got in zip(numbers.tolist(), result.tolist(), strict=True):
            nans = [place for place, number in enumerate(line) if number != number]
            assert got == (nans[0] if nans else line.index(best(line)))


@every_type
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
def test_scans_round_every_step_in_order(type, exclusive, reverse, evaluate, samples):
    codes = samples(type, 84).reshape(3, 7, 4)
    identity = {"sum": 0, "prod": 1, "and": -1, "or": 0, "xor": 0}
    for kind in kinds(type):
        (result,) = evaluate("scan", (type, codes), kind=kind, axis=1, exclusive=exclusive, reverse=reverse)
        for i in range(3):
            for k in range(4):
                line = type.decode(codes)[i, :, k].tolist()[:: -1 if reverse else 1]
                steps = [line[0]]
                for number in line[1:]:
                    steps.append(step(kind, type)(steps[-1], number))
                least, most = (-math.inf, math.inf) if type.is_float else (type.min, type.max)
                first = rounded(identity.get(kind, most if kind == "min" else least), type)
                expected = [first, *steps[:-1]] if exclusive else steps
                assert agree(type.decode(result)[i, :, k], expected[:: -1 if reverse else 1]), (kind, line)


@every_type
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable_with_nan_last(type, descending, evaluate, samples):
    codes = samples(type, 120).reshape(40, 3)
    values, places = evaluate("sort", (type, codes), axis=0, descending=descending)
    for column in range(3):
        line = type.decode(codes)[:, column].tolist()
        numbers = [place for place, number in enumerate(line) if number == number]
        ordered = sorted(numbers, key=lambda place: -line[place] if descending else line[place])
        expected = ordered + [place for place, number in enumerate(line) if number != number]
        assert places[:, column].tolist() == expected
        assert values[:, column].tolist() == codes[expected, column].tolist()


@pytest.mark.parametrize("bits", ["0", "1", "0110010", "0000", "11111"])
def test_nonzero_gives_the_places_of_ones_in_order_and_their_number(bits, evaluate):
    places, count = evaluate("nonzero", ("u1", [int(bit) for bit in bits]))
    expected = [place for place, bit in enumerate(bits) if bit == "1"]
    assert count == len(expected)
    assert places.tolist() == expected + [0] * (len(bits) - len(expected))


@pytest.mark.parametrize("name", ["reduce", "arg", "scan", "sort"])
def test_operations_along_an_axis_are_defined_where_arithmetic_is(name):
    assert set(OPS[name].legal_types()) == set(INTEGERS + FLOATS)


@pytest.mark.parametrize(
    ("name", "type", "attrs", "message"),
    [
        ("reduce", "f8e4m3", {"kind": "sum", "axis": 0}, "reduce sum is not defined on f8e4m3"),
        ("reduce", "f32", {"kind": "xor", "axis": 0}, "reduce xor is not defined on f32"),
        ("reduce", "f32", {"kind": "mean", "axis": 0}, "unknown kind of reduce 'mean'"),
        ("arg", "f32", {"kind": "sum", "axis": 0}, "unknown kind of arg 'sum'"),
        ("reduce", "f32", {"kind": "sum", "axis": 1}, "has no axis 1"),
        ("scan", "f32", {"kind": "sum", "axis": -1, "exclusive": False, "reverse": False}, "has no axis -1"),
        ("sort", "f6e3m2", {"axis": 0, "descending": False}, "sort is not defined on f6e3m2"),
        ("sort", "f32", {"axis": 0, "descending": 1}, "descending of sort must be bool, and is 1"),
        ("nonzero", "u2", {}, "nonzero takes u1, and got u2"),
        ("sort", "f32", {"axis": True, "descending": True}, "axis of sort must be int, and is True"),
    ],
)
def test_what_is_not_defined_is_refused(name, type, attrs, message, evaluate):
    with pytest.raises(IRError, match=message):
        evaluate(name, (type, [1, 2]), **attrs)
