"""Types of compile-time numbers that meet no other."""

from __future__ import annotations

import numpy as np
import pytest

import vmc


@pytest.mark.parametrize(("number", "value"), [("2.0**-600", 2.0**-600), ("1e39", 1e39), ("-1e-46", -1e-46)])
def test_numbers_that_f32_would_lose_are_f64(number: str, value: float) -> None:
    source = f"kernel k(c: u1[2], y: out f64[2]):\n    y[:] = where(c[:], {number}, 1.0)\n"
    y = np.zeros(2)
    kernel = vmc.compile(source)
    kernel(kernel.pack("c", np.array([1, 0], np.uint8)), y)
    assert y.tolist() == [value, 1.0]


@pytest.mark.parametrize("number", ["0.0", "0.1", "1e-40", "3e38", "inf", "-inf", "nan"])
def test_other_numbers_are_f32(number: str) -> None:
    source = f"kernel k(c: u1[2], y: out f32[2]):\n    y[:] = where(c[:], {number}, 1.0)\n"
    assert vmc.compile(source).name == "k"
