"""Functions of compile-time numbers are numbers of f64, whatever the kernel computes in."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import vmc

SOURCE = "kernel k(y: out {type}[1]):\n    for i in grid(1):\n        y[0] = {type}(1) * {expression}\n"


def value_of(expression: str, type: str = "f64") -> float:
    kernel = vmc.compile(SOURCE.format(type=type, expression=expression), target="interp")
    y = np.zeros(1, {"f64": np.float64, "f16": np.float16}[type])
    kernel(y)
    return float(y[0])


@pytest.mark.parametrize("name", ["sqrt", "exp", "exp2", "log", "log2", "sin", "cos", "tanh", "erf"])
def test_nothing_is_lost_to_a_narrower_type(name: str) -> None:
    others = {"exp2": lambda x: mpmath.power(2, x), "log2": lambda x: mpmath.log(x, 2)}
    exact = (others[name] if name in others else getattr(mpmath, name))(mpmath.mpf(0.7))
    assert abs(value_of(f"{name}(0.7)") / float(exact) - 1) < 4e-16


def test_it_takes_the_type_of_what_it_meets() -> None:
    assert value_of("sqrt(2.0)", "f16") == float(np.float16(np.sqrt(2.0)))


def test_numbers_are_computed_with_further() -> None:
    assert value_of("floor(2.5) * sqrt(4.0)") == 4.0


def test_a_function_without_a_value_there_is_not_a_number() -> None:
    assert np.isnan(value_of("log(-1.0)"))
