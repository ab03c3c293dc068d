"""Float arithmetic against exact rationals rounded once, on f16, bf16, f32 and f64."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

FOREIGN = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}
TYPES = list(FOREIGN)
PRECISION = {"f16": (11, -24), "bf16": (8, -133), "f32": (24, -149), "f64": (53, -1074)}
LARGEST = {"f16": 16, "bf16": 128, "f32": 128, "f64": 1024}


def rounded(exact, name):
    """A rational rounded to nearest even in the type, as a Python float."""
    digits, least = PRECISION[name]
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    step = Fraction(2) ** max(exponent - digits + 1, least)
    nearest = round(size / step) * step
    if nearest >= Fraction(2) ** LARGEST[name]:
        return math.inf if exact > 0 else -math.inf
    return float(nearest) if exact > 0 else -float(nearest)


def values(codes, name):
    """Codes as Python floats, read by NumPy and ml_dtypes."""
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes quiet
        return np.asarray(codes).view(FOREIGN[name]).astype(np.float64).tolist()


def same(a, b):
    """Equal, sign of zero included; any NaN equals any NaN."""
    return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))


def special(name, x, y):
    """IEEE 754 by Python's own floats, where an operand is not finite or the result is a zero or by zero; else None."""
    if name == "div":
        if y == 0:
            return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1, y)
        return x / y if x == 0 or not (math.isfinite(x) and math.isfinite(y)) else None
    plain = {"add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y}[name]
    if not (math.isfinite(x) and math.isfinite(y)) or (name == "mul" and 0 in (x, y)):
        return plain()
    return plain() if plain() == 0 and name != "mul" else None


EXACT = {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y}


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", EXACT)
def test_arithmetic_rounds_the_exact_result_once(name, type, evaluate, samples):
    a, b = samples(type, 3000, "a"), samples(type, 3000, "b")
    (result,) = evaluate(name, (type, a), (type, b))
    for x, y, got in zip(values(a, type), values(b, type), values(result, type), strict=True):
        expected = special(name, x, y)
        if expected is None:
            expected = rounded(EXACT[name](Fraction(x), Fraction(y)), type)
            if expected == 0:
                expected = math.copysign(0.0, x) * math.copysign(1, y)
        assert same(got, expected), (name, type, x, y, got, expected)


@pytest.mark.parametrize("type", TYPES)
def test_square_roots_are_the_nearest_numbers(type, evaluate, samples):
    a = samples(type, 3000)
    (result,) = evaluate("sqrt", (type, a))
    for x, got in zip(values(a, type), values(result, type), strict=True):
        if x != x or x < 0:
            assert got != got
        elif x == 0 or math.isinf(x):
            assert same(got, x)
        else:
            digits = PRECISION[type][0]
            scale = 2 * (digits + 1200)
            root = Fraction(math.isqrt(int(Fraction(x) * 2**scale)) * 2 + 1, 2 ** (scale // 2 + 1))
            assert same(got, rounded(root, type)), x


@pytest.mark.parametrize("type", ["f32", "f64"])
def test_fma_rounds_once(type, evaluate, samples):
    a, b, c = (samples(type, 2000, name) for name in "abc")
    (result,) = evaluate("fma", (type, a), (type, b), (type, c))
    columns = (values(codes, type) for codes in (a, b, c, result))
    for x, y, z, got in zip(*columns, strict=True):
        if not all(map(math.isfinite, (x, y, z))):
            product = 0.0 if math.isfinite(x) and math.isfinite(y) else x * y
            assert same(got, product + z), (x, y, z)
            continue
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        assert (rounded(exact, type) == got) if exact else got == 0, (x, y, z)


ROUNDINGS = {"floor": math.floor, "ceil": math.ceil, "trunc": math.trunc, "round": round}


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", ROUNDINGS)
def test_rounding_to_integers_keeps_sign_and_specials(name, type, evaluate, samples):
    a = samples(type, 3000)
    (result,) = evaluate(name, (type, a))
    for x, got in zip(values(a, type), values(result, type), strict=True):
        expected = math.copysign(float(ROUNDINGS[name](x)), x) if math.isfinite(x) else x
        assert same(got, expected), x


def smaller(x, y):
    if x != x or y != y:
        return math.nan
    if x == y:
        return x if math.copysign(1, x) < 0 else y
    return x if x < y else y


@pytest.mark.parametrize("type", TYPES)
def test_min_and_max_propagate_nan_and_order_zeros(type, evaluate, samples):
    a, b = samples(type, 3000, "a"), samples(type, 3000, "b")
    (low,), (high,) = (evaluate(name, (type, a), (type, b)) for name in ("min", "max"))
    rows = zip(*(values(codes, type) for codes in (a, b, low, high)), strict=True)
    for x, y, got_low, got_high in rows:
        assert same(got_low, smaller(x, y)), (x, y)
        assert same(got_high, -smaller(-x, -y)), (x, y)


@pytest.mark.parametrize("type", TYPES)
def test_neg_and_abs_change_the_sign_alone(type, evaluate, samples):
    a = samples(type, 3000)
    (negated,), (magnitude,) = (evaluate(name, (type, a)) for name in ("neg", "abs"))
    for x, minus, size in zip(*(values(codes, type) for codes in (a, negated, magnitude)), strict=True):
        assert same(minus, -x) and same(size, abs(x))


COMPARISONS = {
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
}


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_with_nan_are_false_but_for_ne(name, type, evaluate, samples):
    a, b = samples(type, 3000, "a"), samples(type, 3000, "b")
    (result,) = evaluate(name, (type, a), (type, b))
    expected = [COMPARISONS[name](x, y) for x, y in zip(values(a, type), values(b, type), strict=True)]
    assert result.tolist() == expected
