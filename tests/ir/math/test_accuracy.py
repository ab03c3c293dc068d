"""Every mathematical function against mpmath, within one unit in the last place, on random and on special inputs.

An error is |result - exact| over the distance of floats at the exact value (at least the least subnormal).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

FLOATS = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
RANDOM = 600

MP: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "lgamma": mpmath.loggamma,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
}
"""The functions of one operand, on finite arguments within `DOMAIN`."""

INF = float("inf")
PERIODIC = ("sin", "cos", "tan")
FLAT = ("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "sigmoid", "erf", "erfc")
POSITIVE, UNIT = (5e-324, INF), (-1.0, 1.0)
DOMAIN = {
    "log": POSITIVE,
    "log2": POSITIVE,
    "log10": POSITIVE,
    "rsqrt": POSITIVE,
    "lgamma": POSITIVE,
    "asin": UNIT,
    "acos": UNIT,
}
DOMAIN |= {"log1p": (float(np.nextafter(-1, 0)), INF)}
"""Closed intervals; elsewhere the result is checked by `test_special_values`."""

# Multiples of pi/2 to within 2**-60: the first is the worst there is among doubles (Muller, Elementary Functions).
HARD_ANGLES = (6381956970095103 * 2.0**797, np.pi, np.pi / 2, 2.0**20, 2.0**20 + 0.5, 355.0, 1e22)
INTERESTING = {
    "f32": {
        "sin": (2.0**12, 3.1415927, 355.0, 16367173.0 * 2.0**72),
        "exp": (88.72284, -87.3365, -103.97),
        "exp2": (127.99999, -126.0, -149.5),
        "tanh": (9.01,),
        "sinh": (89.4159,),
    },
    "f64": {
        "exp": (709.782712893384, -708.3964185322641, -745.1332191019412),
        "exp2": (1023.9999999999999, -1022.0, -1074.5),
        "erfc": (26.54, 27.2),
        "sinh": (710.4758600739439,),
        "sin": HARD_ANGLES,
        "cos": HARD_ANGLES,
        "tan": HARD_ANGLES,
    },
}
"""Thresholds, which are tried together with the floats beside them."""


def ulps(exact: Any, got: float, kind: np.dtype[Any]) -> float:
    """The error; infinity, and whatever exceeds the format, counts as the power of two after the largest float."""
    info = np.finfo(kind)
    largest = mpf(2) ** info.maxexp
    if abs(exact) >= largest:
        exact = mp.sign(exact) * largest
    got_exact = mpf(float(np.sign(got))) * largest if np.isinf(got) else mpf(got)
    exponent = max(int(mp.frexp(exact)[1]) - 1, info.minexp) if exact else info.minexp
    exponent = min(exponent, info.maxexp - 1)
    return float(abs(exact - got_exact) / mpf(2) ** (exponent - info.nmant))


def samples(name: str, kind: np.dtype[Any]) -> Any:
    """Random numbers of every size, more of them where functions do something; and the surroundings of thresholds."""
    rng = np.random.default_rng([ord(letter) for letter in name])
    bits = rng.integers(0, 1 << (8 * kind.itemsize), RANDOM, np.uint64).astype(f"u{kind.itemsize}")
    parts = [bits.view(kind), rng.uniform(-1, 1, RANDOM), rng.uniform(-8, 8, RANDOM), rng.normal(0, 200, RANDOM)]
    parts += [rng.uniform(0.6, 1.6, RANDOM), np.exp(rng.uniform(-40, 40, RANDOM))]
    thresholds = np.array(INTERESTING[{4: "f32", 8: "f64"}[kind.itemsize]].get(name, ()), kind)
    thresholds = np.concatenate([thresholds, np.array([0.25, 0.5, 1, 2], kind)])
    info = np.finfo(kind)
    ends = np.array([info.max, info.tiny, info.smallest_subnormal, info.eps], kind)
    around = [thresholds, ends, -thresholds, -ends]
    with np.errstate(all="ignore"):
        for toward in (np.inf, -np.inf) * 2:
            around += [np.nextafter(part, kind.type(toward)) for part in around[-4:]]
        everything = np.concatenate([part.astype(kind) for part in (*parts, *around)])
    low, high = DOMAIN.get(name, (-INF, INF))
    numbers = everything[np.isfinite(everything)]
    return numbers[(numbers.astype(np.float64) >= low) & (numbers.astype(np.float64) <= high)]


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", MP)
def test_result_is_within_one_unit_in_the_last_place(
    name: str, kind: str, run_op: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    x = samples(name, FLOATS[kind])
    got = run_op(name, kind, x)
    assert got.dtype == FLOATS[kind]
    worst, where = 0.0, 0.0
    with mp.workprec(1400 if name in PERIODIC else 200):
        for value, result in zip(x.tolist(), got.tolist(), strict=True):
            if abs(value) > 1e5 and name in FLAT:
                value = float(np.copysign(1e5, value))  # the limit is reached long before, and mpmath is spared
            exact = MP[name](mpf(value))
            error = ulps(exact, result, FLOATS[kind])
            if not error <= worst:
                worst, where = error, value
    record_property("largest error", worst)
    assert worst < 1, f"{name} of {kind} is off by {worst} units in the last place at {where!r}"


SPECIAL = {
    "exp": {-INF: 0.0, INF: INF, 0.0: 1.0},
    "exp2": {-INF: 0.0, INF: INF, 0.0: 1.0, 5.0: 32.0},
    "expm1": {-INF: -1.0, INF: INF, 0.0: 0.0},
    "log": {0.0: -INF, 1.0: 0.0, INF: INF, -INF: np.nan, -1.0: np.nan},
    "log2": {0.0: -INF, 1.0: 0.0, 8.0: 3.0, INF: INF, -INF: np.nan, -1.0: np.nan},
    "log10": {0.0: -INF, 1.0: 0.0, 1000.0: 3.0, INF: INF, -INF: np.nan, -1.0: np.nan},
    "log1p": {0.0: 0.0, -1.0: -INF, INF: INF, -INF: np.nan, -2.0: np.nan},
    "sin": {0.0: 0.0, INF: np.nan, -INF: np.nan},
    "cos": {0.0: 1.0, INF: np.nan, -INF: np.nan},
    "tan": {0.0: 0.0, INF: np.nan, -INF: np.nan},
    "asin": {0.0: 0.0, 1.5: np.nan, -INF: np.nan, INF: np.nan},
    "acos": {1.0: 0.0, 1.5: np.nan, -INF: np.nan, INF: np.nan},
    "atan": {0.0: 0.0},
    "sinh": {0.0: 0.0, INF: INF, -INF: -INF},
    "cosh": {0.0: 1.0, INF: INF, -INF: INF},
    "tanh": {0.0: 0.0, INF: 1.0, -INF: -1.0},
    "sigmoid": {0.0: 0.5, INF: 1.0, -INF: 0.0},
    "erf": {0.0: 0.0, INF: 1.0, -INF: -1.0},
    "erfc": {0.0: 1.0, INF: 0.0, -INF: 2.0},
    "lgamma": {0.0: INF, 1.0: 0.0, 2.0: 0.0, -1.0: INF, -8.0: INF, INF: INF, -INF: INF},
    "rsqrt": {0.0: INF, 1.0: 1.0, 4.0: 0.5, INF: 0.0, -INF: np.nan, -1.0: np.nan},
}
"""C17 annex F.10, and its spirit for sigmoid and rsqrt. NaN gives NaN always."""
EVEN_AT_ZERO = {"exp", "exp2", "cos", "cosh", "lgamma"}
"""-0.0 gives what 0.0 gives."""
ODD_AT_ZERO = {"expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh", "erf", "rsqrt"}
"""-0.0 gives the negative of what 0.0 gives."""


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32", "f64"])
@pytest.mark.parametrize("name", MP)
def test_special_values(name: str, kind: str, run_op: Callable[..., Any]) -> None:
    from vmc.ir.types import dtype

    table = {**SPECIAL[name], np.nan: np.nan}
    inputs, outputs = list(table), list(table.values())
    if name in ODD_AT_ZERO | EVEN_AT_ZERO:
        inputs, outputs = [*inputs, -0.0], [*outputs, SPECIAL[name][0.0] * (-1 if name in ODD_AT_ZERO else 1)]
    element = dtype(kind)
    x = element.from_codes(element.encode(np.array(inputs)))
    got = element.to_values(run_op(name, kind, x))
    want = np.array(outputs, np.float64)
    assert np.array_equal(got, want, equal_nan=True), dict(zip(inputs, got, strict=True))
    numbers = ~np.isnan(want)
    assert np.array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))
