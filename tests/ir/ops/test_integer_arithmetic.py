"""Integer arithmetic, comparison and bit operations against Python's integers, on every integer type."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.ir.ops import OPS
from vmc.ir.types import ALL_DTYPES

INTEGERS = [type for type in ALL_DTYPES if type.is_int]


def shift_left(a, b, width):
    return a << b if b < width else 0


def shift_right(a, b, width):
    return a >> b if b < width else (-1 if a < 0 else 0)


def count_leading(a, width):
    return width - (a % 2**width).bit_length()


def count_trailing(a, width):
    bits = a % 2**width
    return (bits & -bits).bit_length() - 1 if bits else width


BINARY = {
    "add": lambda a, b, w: a + b,
    "sub": lambda a, b, w: a - b,
    "mul": lambda a, b, w: a * b,
    "mulhi": lambda a, b, w: (a * b) >> w,
    "floordiv": lambda a, b, w: a // b if b else 0,
    "mod": lambda a, b, w: a % b if b else a,
    "min": lambda a, b, w: min(a, b),
    "max": lambda a, b, w: max(a, b),
    "and": lambda a, b, w: a & b,
    "or": lambda a, b, w: a | b,
    "xor": lambda a, b, w: a ^ b,
    "shl": lambda a, b, w: shift_left(a, b % 2**w, w),
    "shr": lambda a, b, w: shift_right(a, b % 2**w, w),
}
UNARY = {
    "neg": lambda a, w: -a,
    "abs": lambda a, w: abs(a),
    "not": lambda a, w: ~a,
    "popcount": lambda a, w: (a % 2**w).bit_count(),
    "clz": count_leading,
    "ctz": count_trailing,
    "sign": lambda a, w: (a > 0) - (a < 0),
}
COMPARISONS = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def value(code, type):
    """The integer that a code stands for."""
    signed = not type.is_uint and code >= 2 ** (type.width - 1)
    return code - 2**type.width if signed else code


def pairs(type, samples):
    """All pairs of codes of a narrow type, random pairs of a wide one."""
    if type.width <= 4:
        codes = np.arange(2**type.width)
        return np.repeat(codes, codes.size), np.tile(codes, codes.size)
    return samples(type, 400, "a"), samples(type, 400, "b")


@pytest.mark.parametrize("type", INTEGERS, ids=lambda type: type.name)
@pytest.mark.parametrize("name", BINARY)
def test_binary_operations_wrap_as_integers_do(name, type, evaluate, samples):
    a, b = pairs(type, samples)
    (result,) = evaluate(name, (type, a), (type, b))
    expected = [
        BINARY[name](value(x, type), value(y, type), type.width) % 2**type.width
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert result.tolist() == expected


@pytest.mark.parametrize("type", INTEGERS, ids=lambda type: type.name)
@pytest.mark.parametrize("name", UNARY)
def test_unary_operations_wrap_as_integers_do(name, type, evaluate, samples):
    a = samples(type, 300)
    (result,) = evaluate(name, (type, a))
    assert result.tolist() == [UNARY[name](value(x, type), type.width) % 2**type.width for x in a.tolist()]


@pytest.mark.parametrize("type", INTEGERS, ids=lambda type: type.name)
@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_are_those_of_integers(name, type, evaluate, samples):
    a, b = pairs(type, samples)
    (result,) = evaluate(name, (type, a), (type, b))
    expected = [COMPARISONS[name](value(x, type), value(y, type)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert result.tolist() == expected


@pytest.mark.parametrize("name", [*BINARY, *UNARY, *COMPARISONS])
def test_operations_on_integers_are_defined_on_every_integer_type(name):
    assert set(INTEGERS) <= set(OPS[name].legal_types())


def test_the_least_value_divided_by_minus_one_wraps_to_itself(evaluate):
    (result,) = evaluate("floordiv", ("i64", [1 << 63]), ("i64", [2**64 - 1]))
    assert result.tolist() == [1 << 63]
