"""Scalars that C code encodes have the bits that vmc's own types give them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmc

tvm_ffi = pytest.importorskip("tvm_ffi")

KINDS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "f32", "f64")
SOURCE = "".join(
    f"kernel fill_{kind}(a: {kind}, y: out {kind}[1]):\n    for i in grid(1):\n        y[i] = a\n\n" for kind in KINDS
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, target: str) -> Path:
    path: Path = tmp_path_factory.mktemp("scalars") / "lib.so"
    vmc.build([SOURCE], path, targets=[target])
    return path


@pytest.fixture(scope="module")
def module(library: Path) -> Any:
    return tvm_ffi.load_module(str(library))


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_kernel_takes_the_same_numbers(library: Path, kind: str) -> None:
    type = vmc.dtype(kind)
    for number in (0, 1, int(type.min) if type.is_int else -0.3, 100):
        y = np.zeros(1, type.array_dtype)
        vmc.load(library).kernels[f"fill_{kind}"](number, y)
        assert y[0] == np.array([number]).astype(type.array_dtype)[0]


def filled(module: Any, kind: str, number: float) -> np.ndarray[Any, Any]:
    y = np.zeros(1, vmc.dtype(kind).array_dtype)
    module[f"fill_{kind}"](number, y)
    return y


@pytest.mark.parametrize("kind", ["f16", "f32", "f64"])
def test_floats_are_rounded_to_nearest_even(module: Any, kind: str) -> None:
    type = np.dtype(vmc.dtype(kind).array_dtype)
    rng = np.random.default_rng(4)
    exact = np.concatenate([rng.integers(0, 1 << 15, 200).astype(np.uint16).view(np.float16).astype(np.float64), [0.0]])
    exact = exact[np.isfinite(exact)]
    ties = (exact + np.nextafter(exact.astype(np.float16), np.float16(np.inf)).astype(np.float64)) / 2
    scaled = rng.standard_normal(300) * 2.0 ** rng.integers(-30, 15, 300)
    tiny = [5e-324, 2.0**-25, 2.0**-24, 3 * 2.0**-26, 6e-8, 1e-45, 7e-46, 2.0**-150, 65504.0, 3.4028234663852886e38]
    most = float(np.finfo(type).max)
    for number in [*exact, *ties, *scaled, *tiny, *(-scaled), -0.0, math.inf, -math.inf, math.nan]:
        if math.isfinite(number) and abs(number) > most:
            with pytest.raises(ValueError, match="outside the range"):
                filled(module, kind, float(number))
            continue
        got, expected = filled(module, kind, float(number)), np.array([number]).astype(type)
        if math.isnan(number):
            assert np.isnan(got[0])
        else:
            assert got.tobytes() == expected.tobytes(), number


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] in "iu"])
def test_integers_are_taken_in_their_range_only(module: Any, kind: str) -> None:
    type = vmc.dtype(kind)
    least, most = int(type.min), min(int(type.max), (1 << 63) - 1)
    for number in {least, most, 0, 1, most // 2}:
        assert filled(module, kind, number)[0] == number
    for number in (least - 1, most + 1):
        if -(1 << 63) <= number < 1 << 63:
            with pytest.raises(ValueError, match="outside the range"):
                filled(module, kind, number)
