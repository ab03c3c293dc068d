"""Approximations keep the bounds that are recorded: 16-bit floats on every input, f32 on a sample, against SciPy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ir.math.test_half_floats import REFERENCES
from vmc.ir.builder import Builder, argument
from vmc.ir.core import IRError, TileType
from vmc.ir.math import approximate
from vmc.ir.math.approximate import ENTRIES, FUNCTIONS, choose, function_of
from vmc.ir.math.approximation_bounds import BOUNDS
from vmc.ir.math.expression import Expression
from vmc.ir.math.functions import FUNCTIONS as STRICT
from vmc.ir.types import dtype

DOCUMENT = Path(__file__).parents[3] / "docs" / "math.md"
Run = Callable[..., Any]


def counted(function: str, x: Any) -> Any:
    """The inputs that the bounds speak of."""
    if function in ("sin", "cos"):
        return abs(x) <= approximate.FARTHEST_ANGLE
    return (abs(x) >= 2.0**-126) | np.isnan(x) if function in ("log", "log2", "rsqrt") else np.full(x.shape, True)


def distance(name: str, kind: str, x: Any, got: Any) -> Any:
    """The errors as `approximate` defines them."""
    function, element = function_of(name), dtype(kind)
    with np.errstate(all="ignore"):
        exact = REFERENCES[function](x)
        gap = abs(np.clip(got, -element.max, element.max) - np.clip(exact, -element.max, element.max))
    assert np.array_equal(np.isnan(got), np.isnan(exact) | ~counted(function, x) & (function in ("sin", "cos")))
    if function not in ("sin", "cos"):
        half = 2.0 ** (element.min_exponent - element.mantissa_bits - 1)
        gap = np.maximum(gap - max(2.0**-125, half), 0) / np.maximum(abs(exact), 2.0**-126)
    return np.where(counted(function, x) & ~np.isnan(exact), gap, 0)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
@pytest.mark.parametrize("name", ENTRIES)
def test_every_input_of_16_bits_is_within_the_bound(name: str, kind: str, run_op: Run) -> None:
    element = dtype(kind)
    codes = element.codes()
    x = element.decode(codes)
    got = element.to_values(run_op("approximate", kind, element.from_codes(codes), entry=name))
    assert distance(name, kind, x, got).max() <= BOUNDS[name][kind]


@pytest.mark.parametrize("name", ENTRIES)
def test_f32_is_within_the_bound_and_not_far_below(name: str, run_op: Run) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1 << 32, 60_000, dtype=np.uint64).astype(np.uint32)
    x = np.concatenate([codes.view(np.float32), rng.uniform(-20, 20, 60_000).astype(np.float32), special()])
    got = run_op("approximate", "f32", x, entry=name)
    with np.errstate(invalid="ignore"):  # NaNs that signal
        wide, result = x.astype(np.float64), got.astype(np.float64)
    largest = distance(name, "f32", wide, result).max()
    assert 0.5 * BOUNDS[name]["f32"] - 2.0**-22 <= largest <= BOUNDS[name]["f32"]


def special() -> Any:
    """Zeros, infinities, NaNs of several bits, the ends of the exponents, and where reductions change."""
    codes = [
        0,
        1,
        0x7FFFFF,
        0x800000,
        0x7F7FFFFF,
        0x7F800000,
        0x7F800001,
        0x7FC00000,
        0x7FFFFFFF,
        0x3F3504F3,
        0x3FB504F3,
    ]
    bits = np.array(codes + [code | 0x80000000 for code in codes], np.uint32)
    edges = np.array([88.0, 88.7, 88.73, 89.0, 127.5, 127.99, 128.0, 125.5, 126.0, 126.3, 8192.0], np.float32)
    steps = np.array([np.nextafter(e, np.float32(to)) for e in edges for to in (-np.inf, np.inf)], np.float32)
    return np.concatenate([bits.view(np.float32), edges, -edges, steps, -steps])


def test_sines_beyond_the_farthest_angle_are_nan_instead_of_wrong(run_op: Run) -> None:
    x = np.array([8192.0, np.nextafter(np.float32(8192), np.float32(9000)), 1e30, np.inf, -np.inf], np.float32)
    for name in ("sin_3", "cos_3"):
        assert np.isnan(run_op("approximate", "f32", x, entry=name)).tolist() == [False, True, True, True, True]


def test_exact_values_are_kept_where_models_rely_on_them(run_op: Run) -> None:
    for name in ENTRIES:
        zero = run_op("approximate", "f32", np.zeros(1, np.float32), entry=name)[0]
        if function_of(name) in ("exp", "exp2"):
            assert zero == 1.0 and run_op("approximate", "f32", np.array([-np.inf], np.float32), entry=name)[0] == 0.0
        if function_of(name) in ("sin", "tanh", "erf"):
            assert zero == 0.0


def test_the_cheapest_within_the_bound_is_chosen() -> None:
    for kind in ("f32", "f16", "bf16"):
        for function in FUNCTIONS:
            for bits in range(1, 26):
                name = choose(function, dtype(kind), 2.0**-bits)
                good = [each for each in ENTRIES if function_of(each) == function and BOUNDS[each][kind] <= 2.0**-bits]
                assert name == (good[0] if good else None)
    assert choose("exp", dtype("f64"), 0.1) is None


def test_later_entries_of_a_function_take_more_operations_and_fewer_than_the_strict_function() -> None:
    counts: dict[str, list[int]] = {}
    for name in ENTRIES:
        counts.setdefault(function_of(name), []).append(operations(lambda x, name=name: approximate.apply(name, x)))
    for function, rising in counts.items():
        assert rising == sorted(set(rising))
        strict = next(each for each in STRICT if each.name == function)
        assert rising[-1] < operations(strict.apply) or function == "rsqrt"  # without its root and division


def operations(expansion: Callable[[Expression], Expression]) -> int:
    build = Builder()
    expansion(Expression(build, argument(TileType(dtype("f32")))))
    return sum(op.name != "constant" for op in build.ops)


def test_the_document_lists_every_entry_with_its_bounds() -> None:
    row = re.compile(r"^\| `(\w+)` \| (\d+) \| 2\^(-[\d.]+) \| 2\^(-[\d.]+) \| 2\^(-[\d.]+) \|$", re.MULTILINE)
    listed = {name: tuple(numbers) for name, *numbers in row.findall(DOCUMENT.read_text("utf-8"))}
    assert listed == {
        name: (
            str(operations(lambda x, name=name: approximate.apply(name, x))),
            *(f"{np.log2(BOUNDS[name][kind]):.1f}" for kind in ("f32", "f16", "bf16")),
        )
        for name in ENTRIES
    }


def test_an_unknown_entry_or_a_wide_type_is_refused() -> None:
    x = argument(TileType(dtype("f32")))
    with pytest.raises(IRError, match="no approximation `exp_99`"):
        Builder()("approximate", x, entry="exp_99")
    with pytest.raises(IRError, match="f16, bf16 or f32"):
        Builder()("approximate", argument(TileType(dtype("f64"))), entry="exp_3")
