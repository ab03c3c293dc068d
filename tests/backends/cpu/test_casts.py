"""Casts between all pairs of types, in all modes, against the reference VM, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, assert_sketch
from tests.backends.cpu.samples import sample
from vmc.ir.ops.convert import ROUNDINGS
from vmc.ir.types import ALL_DTYPES, ALL_SMALL, DType, dtype

WIDE = [type for type in ALL_DTYPES if type.width > 8]


def legal(source: DType, target: DType, saturate: bool | None) -> bool:
    """Whether a cast may be asked not to saturate."""
    return saturate is not False or target.has_nan or (source.is_int and target.is_int)


def codes_of(source: DType, count: int) -> np.ndarray:
    return source.codes() if source.width <= 8 else sample(source, count)


def check(
    source: DType, targets: list[DType], codes: np.ndarray, rounding: str, saturate: bool | None, level: int = 1
) -> None:
    """Casts codes to each target type in one kernel."""
    sketch = Sketch()
    value = sketch.take(source, codes.shape)
    stochastic = rounding == "stochastic"
    noise = [sketch.take("u32", codes.shape)] if stochastic else []
    for target in targets:
        if legal(source, target, saturate):
            sketch.give(sketch.b("cast", value, *noise, dtype=target, rounding=rounding, saturate=saturate))
    random = np.random.default_rng(1).integers(0, 1 << 32, codes.shape, np.uint32)
    assert_sketch(sketch, [codes, random] if stochastic else [codes], opt_level=level)


@pytest.mark.parametrize("source", ALL_DTYPES, ids=str)
def test_casts_to_nearest_even_agree_on_every_pair_of_types(source: DType) -> None:
    check(source, list(ALL_DTYPES), codes_of(source, 1500), "nearest_even", None)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("source", WIDE, ids=str)
def test_casts_of_wide_types_agree_in_every_rounding(source: DType, rounding: str) -> None:
    targets = [
        *WIDE,
        *map(dtype, ("u1", "i3", "u4", "i8", "f3e1m1", "f4e2m1", "f6e3m2", "f8e4m3", "f8e5m2", "f8e8m0", "f8e5m3u")),
    ]
    check(source, targets, codes_of(source, 600), rounding, None)


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("source", [*WIDE, dtype("u5"), dtype("i8"), dtype("f8e5m2"), dtype("f8e8m0")], ids=str)
def test_casts_saturate_or_not_as_asked(source: DType, saturate: bool) -> None:
    targets = [*WIDE, *map(dtype, ("u1", "i3", "u4", "i8", "u8", "f4e2m1", "f8e4m3", "f8e5m2", "f8e8m0", "f8e5m3u"))]
    check(source, targets, codes_of(source, 600), "nearest_even", saturate)


@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_all_values_of_half_precision_round_rightly_to_every_narrow_type(name: str) -> None:
    source = dtype(name)
    check(source, list(ALL_SMALL), source.codes(), "nearest_even", None, level=2)


@pytest.mark.slow
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_all_values_of_half_precision_round_rightly_in_every_mode(name: str, rounding: str) -> None:
    for saturate in (None, True, False):
        check(dtype(name), list(ALL_DTYPES), dtype(name).codes(), rounding, saturate)


@pytest.mark.slow
@pytest.mark.parametrize("saturate", [None, True, False])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_casts_agree_on_every_pair_in_every_mode(rounding: str, saturate: bool | None) -> None:
    for source in ALL_DTYPES:
        check(source, list(ALL_DTYPES), codes_of(source, 2000), rounding, saturate)


def test_a_double_is_rounded_to_half_once() -> None:
    """Halfway cases that rounding by way of f32 gets wrong."""
    halves = np.arange(1, 2000, dtype=np.float64) * 2.0**-10 + 2.0**-11
    values = np.concatenate([halves + 2.0**-40, halves - 2.0**-40, -halves + 2.0**-45])
    for target in ("f16", "bf16", "f8e5m2"):
        check(dtype("f64"), [dtype(target)], dtype("f64").encode(values), "nearest_even", None, level=3)


@pytest.mark.parametrize("name", ["i32", "u32", "i64", "u64"])
def test_a_wide_integer_is_rounded_to_a_float_once(name: str) -> None:
    """Integers just beside the middle of two neighbours, which rounding twice gets wrong."""
    source = dtype(name)
    rng = np.random.default_rng(3)
    top = rng.integers(1, 256, 900).astype(np.uint64) << np.uint64(source.width - 9)
    near = top + (np.uint64(1) << np.uint64(source.width - 10)) + rng.integers(-1, 2, 900).astype(np.uint64)
    codes = (near & np.uint64((1 << (source.width - 1)) - 1)).astype(source.code_dtype)
    targets = [dtype(target) for target in ("f16", "bf16", "tf32", "f32", "f64", "f8e8m0")]
    for rounding in ("nearest_even", "toward_zero", "floor"):
        check(source, targets, codes, rounding, None)
