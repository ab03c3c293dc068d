"""Writes `approximations.py`: polynomials and quotients of polynomials for approximations of few digits.

    python -m vmc.ir.math.make_approximations

A core g(t) on an interval is approximated by P(t)/Q(t), Q(0) = 1, so that the largest weighted error is least: least
squares whose weights grow where the error is large (Lawson 1961), made linear by the last denominator (Sanathanan and
Koerner 1963). Functions that end flat are cut off where the error of the cut equals that of the quotient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Function = Callable[[Array], Array]

HALF_LN2 = math.log(2) / 2 * 1.0002
POINTS = 600
TURNS = 150
HEAD = '''"""Cores of approximations. Written by `make_approximations`; change that, not this.

For each function by name of the entry: the coefficients of P and of Q, lowest first, and where the argument is cut off.
"""

from __future__ import annotations

Core = tuple[tuple[float, ...], tuple[float, ...], float]
'''


@dataclass(frozen=True)
class Family:
    """g and its weight on [low, high]; `sizes` are the numbers of coefficients of P and of Q but its 1."""

    name: str
    about: str
    core: Function
    weight: Function
    low: float
    high: float
    sizes: tuple[tuple[int, int], ...]
    cuts: tuple[float, ...] = ()
    """Arguments to try as the last one, for odd functions of t = x**2 that approach 1."""


def fit(g: Array, w: Array, t: Array, p: int, q: int) -> tuple[Array, Array, float]:
    """P, Q and the largest weighted error on the points; infinity where every Q found has a zero."""
    lawson, below = np.ones(len(t)), np.ones(len(t))
    best: tuple[Array, Array, float] = (np.zeros(p), np.zeros(q + 1), math.inf)
    powers = t[:, None] ** np.arange(max(p, q + 1))
    for _ in range(TURNS):
        scale = (np.sqrt(lawson) * w / below)[:, None]
        matrix = np.concatenate([powers[:, :p], -g[:, None] * powers[:, 1 : q + 1]], axis=1) * scale
        solution = np.linalg.lstsq(matrix, g * scale[:, 0], rcond=None)[0]
        above, denominator = solution[:p], np.concatenate([[1.0], solution[p:]])
        below = powers[:, : q + 1] @ denominator
        error = abs(w * (powers[:, :p] @ above / below - g))
        largest = float(error.max())
        if (below > 0).all() and largest < best[2]:
            best = above, denominator, largest
        below = np.where(below > 0, below, 1.0)
        lawson = lawson * (error / largest + 1e-3)
        lawson /= lawson.sum()
    return best


def chebyshev(low: float, high: float) -> Array:
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)


def divided(function: Function, limit: float) -> Function:
    """function(t)/t, `limit` at 0."""

    def quotient(t: Array) -> Array:
        return np.where(abs(t) < 1e-9, limit, function(t) / np.where(t == 0, 1, t))

    return quotient


def erf(x: Array) -> Array:
    return np.array([math.erf(each) for each in x])


def odd(function: Function, limit: float) -> Function:
    """function(x)/x as a function of x**2."""
    return lambda z: divided(function, limit)(np.sqrt(z))


def ones(t: Array) -> Array:
    return np.ones_like(t)


QUOTIENTS = ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4))
FAMILIES = (
    Family(
        "exp",
        "e**r = 1 + r P(r), |r| <= ln(2)/2",
        divided(np.expm1, 1.0),
        lambda r: abs(r) / np.exp(r),
        -HALF_LN2,
        HALF_LN2,
        tuple((n, 0) for n in range(1, 6)),
    ),
    Family(
        "exp2",
        "2**r = 1 + r P(r), |r| <= 1/2",
        divided(lambda r: np.expm1(r * math.log(2)), math.log(2)),
        lambda r: abs(r) / np.exp2(r),
        -0.5001,
        0.5001,
        tuple((n, 0) for n in range(1, 6)),
    ),
    Family(
        "log",
        "log(1 + f) = f P(f), sqrt(1/2) <= 1 + f <= sqrt(2)",
        divided(np.log1p, 1.0),
        lambda f: 1 / divided(np.log1p, 1.0)(f),
        math.sqrt(0.5) - 1.0001,
        math.sqrt(2) - 0.9999,
        tuple((n, 0) for n in range(2, 9)),
    ),
    Family(
        "log2",
        "log2(1 + f) = f P(f), sqrt(1/2) <= 1 + f <= sqrt(2)",
        divided(lambda f: np.log1p(f) / math.log(2), 1 / math.log(2)),
        lambda f: math.log(2) / divided(np.log1p, 1.0)(f),
        math.sqrt(0.5) - 1.0001,
        math.sqrt(2) - 0.9999,
        tuple((n, 0) for n in range(2, 9)),
    ),
    Family(
        "sin",
        "sin(r) = r P(r**2), |r| <= pi/2, absolute",
        odd(np.sin, 1.0),
        np.sqrt,
        0.0,
        (math.pi / 2 * 1.0001) ** 2,
        tuple((n, 0) for n in range(2, 6)),
    ),
    Family(
        "tanh",
        "tanh(x) = x P(x**2)/Q(x**2) up to a cut",
        odd(np.tanh, 1.0),
        lambda z: 1 / odd(np.tanh, 1.0)(z),
        0.0,
        0.0,
        QUOTIENTS,
        tuple(np.arange(1.5, 8.5, 0.125)),
    ),
    Family(
        "erf",
        "erf(x) = x P(x**2)/Q(x**2) up to a cut",
        odd(erf, 2 / math.sqrt(math.pi)),
        lambda z: 1 / odd(erf, 2 / math.sqrt(math.pi))(z),
        0.0,
        0.0,
        QUOTIENTS,
        tuple(np.arange(1.0, 4.0, 0.0625)),
    ),
)


def best_of(family: Family, p: int, q: int) -> tuple[Array, Array, float, float]:
    """P, Q, the error, and the cut (infinity for none)."""
    if not family.cuts:
        t = chebyshev(family.low, family.high)
        return *fit(family.core(t), family.weight(t), t, p, q), math.inf
    found = []
    for cut in family.cuts:
        t = chebyshev(0.0, cut * cut)
        above, below, error = fit(family.core(t), family.weight(t), t, p, q)
        if math.isinf(error):
            continue
        end = cut * np.polyval(above[::-1], cut * cut) / np.polyval(below[::-1], cut * cut)
        found.append((max(error, abs(1 - float(end))), cut, above, below))
    error, cut, above, below = sorted(found, key=lambda each: float(each[0]))[0]
    return above, below, error, cut


def text() -> str:
    parts = [HEAD]
    for family in FAMILIES:
        entries = ""
        for p, q in family.sizes:
            above, below, error, cut = best_of(family, p, q)
            name = f"{family.name}_{p}" + (f"_{q}" if q else "")
            numbers = ", ".join(show(each) for each in (above, below[1:]))
            end = 'float("inf")' if math.isinf(cut) else repr(float(cut))
            entries += f'    # 2**{math.log2(error):.1f}\n    "{name}": ({numbers}, {end}),\n'
            print(f"{name:10} 2**{math.log2(error):.1f}", flush=True)
        parts.append(f"\n# {family.about}\n{family.name.upper()}: dict[str, Core] = {{\n{entries}}}\n")
    return "".join(parts)


def show(numbers: Array) -> str:
    """Rounded to f32."""
    listed = [repr(float(np.float32(each))) for each in numbers]
    return "(" + ", ".join(listed) + ("," if len(listed) == 1 else "") + ")"


if __name__ == "__main__":
    Path(__file__).with_name("approximations.py").write_text(text())
