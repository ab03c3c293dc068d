"""f16 and bf16: every input of every function of one operand, against SciPy in double precision.

The functions are computed in f32 and rounded once more, so the error stays near half a unit in the last place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from vmc.ir.types import dtype

REFERENCES: dict[str, Callable[[Any], Any]] = {
    **{
        name: getattr(np, name)
        for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan")
    },
    **{name: getattr(np, name) for name in ("sinh", "cosh", "tanh")},
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sigmoid": special.expit,
    "erf": special.erf,
    "erfc": special.erfc,
    "lgamma": lambda x: np.where(np.isinf(x), np.inf, special.gammaln(x)),
    "rsqrt": lambda x: 1 / np.sqrt(x),
}


@pytest.mark.parametrize("kind", ["f16", "bf16"])
@pytest.mark.parametrize("name", REFERENCES)
def test_every_input_is_rounded_nearly_correctly(name: str, kind: str, run_op: Callable[..., Any]) -> None:
    element = dtype(kind)
    codes = element.codes()
    x = element.decode(codes)
    got = element.to_values(run_op(name, kind, element.from_codes(codes)))
    with np.errstate(all="ignore"):
        want = REFERENCES[name](x)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    top = 2.0 ** (element.bias + 1)
    numbers = ~np.isnan(want)
    exact, result = np.clip(want[numbers], -top, top), np.clip(got[numbers], -top, top)
    exponent = np.clip(np.frexp(exact)[1] - 1, element.min_exponent, element.bias)
    unit = np.ldexp(1.0, exponent - element.mantissa_bits)
    error = np.abs(result - exact) / unit
    worst = int(np.argmax(error))
    assert error[worst] < 0.501, (x[numbers][worst], result[worst], exact[worst], error[worst])
