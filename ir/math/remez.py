"""Minimax polynomials by Remez' second algorithm in mpmath, with coefficients rounded one after another.

Run by `make_coefficients`, not when vmc runs. `minimax` minimizes the largest weighted error |w(t) (f(t) - p(t))|; the
coefficients are rounded all at once, or from the lowest on with the remaining ones fitted anew to make up for it (which
may fail where 0 lies inside the interval, as the higher powers alone satisfy no Haar condition): the better of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpmath import mp, mpf  # type: ignore[import-untyped]

Real = Any
Function = Callable[[Real], Real]
GRID_POINTS_PER_COEFFICIENT = 24
WEIGHT_FLOOR = mpf("1e-3")


@dataclass
class Problem:
    """A function and a weight on an interval, sampled on a Chebyshev grid."""

    function: Function
    weight: Function
    low: Real
    high: Real
    count: int
    points: list[Real] = field(init=False)
    values: list[Real] = field(init=False)
    weights: list[Real] = field(init=False)

    def __post_init__(self) -> None:
        total = GRID_POINTS_PER_COEFFICIENT * (self.count + 1)
        middle, half = (mpf(self.low) + self.high) / 2, (mpf(self.high) - self.low) / 2
        self.points = [middle - half * mp.cos(mp.pi * i / total) for i in range(total + 1)]
        self.values = [self.function(t) for t in self.points]
        weights = [abs(self.weight(t)) for t in self.points]
        self.weights = [
            max(w, max(weights) * WEIGHT_FLOOR) for w in weights
        ]  # a weight of 0 would allow no alternation


def round_to(value: Real, digits: int) -> Real:
    """Rounded to nearest with so many bits."""
    if value == 0:
        return mpf(0)
    _, exponent = mp.frexp(value)
    step = mp.ldexp(1, int(exponent) - digits)
    return mp.nint(value / step) * step


def evaluate(coefficients: Sequence[Real], t: Real) -> Real:
    """The polynomial's value."""
    return mp.polyval(list(reversed(coefficients)), t)


def minimax(problem: Problem, digits: Sequence[int]) -> tuple[list[Real], float]:
    """Coefficients, lowest first, the i-th rounded to digits[i] bits; and the largest weighted error."""
    fixed: list[Real] = []
    for place in range(problem.count):
        fixed.append(round_to(exchange(problem, fixed)[0], digits[place]))
    direct = [round_to(c, bits) for c, bits in zip(exchange(problem, []), digits, strict=True)]
    error, best = min((max(map(abs, errors(problem, candidate))), candidate) for candidate in (fixed, direct))
    return best, float(error)


def errors(problem: Problem, coefficients: Sequence[Real]) -> list[Real]:
    """The weighted errors on the grid."""
    triples = zip(problem.points, problem.values, problem.weights, strict=True)
    return [w * (f - evaluate(coefficients, t)) for t, f, w in triples]


def exchange(problem: Problem, fixed: list[Real]) -> list[Real]:
    """The best free coefficients above the fixed ones."""
    free = problem.count - len(fixed)
    last = len(problem.points) - 1
    reference = [1 + round((last - 2) * i / free) for i in range(free + 1)]
    best: tuple[Real, list[Real]] | None = None
    for _ in range(20):
        coefficients, level = solve(problem, fixed, reference)
        error = errors(problem, [*fixed, *coefficients])
        largest = max(map(abs, error))
        if best is None or largest < best[0]:
            best = largest, coefficients
        found = alternation(error, free + 1)
        if len(found) < free + 1 or largest <= abs(level) * mpf("1.001"):
            break
        reference = found
    assert best is not None
    return best[1]


def solve(problem: Problem, fixed: list[Real], reference: list[int]) -> tuple[list[Real], Real]:
    """Coefficients whose weighted errors at the reference points are equal with alternating signs; and that error."""
    free, base = len(reference) - 1, len(fixed)
    matrix, right = mp.matrix(free + 1), mp.matrix(free + 1, 1)
    for row, point in enumerate(reference):
        t, w = problem.points[point], problem.weights[point]
        for column in range(free):
            matrix[row, column] = w * t ** (base + column)
        matrix[row, free] = (-1) ** row
        right[row] = w * (problem.values[point] - (evaluate(fixed, t) if fixed else 0))
    solution = mp.lu_solve(matrix, right)
    return [solution[i] for i in range(free)], solution[free]


def alternation(error: Sequence[Real], count: int) -> list[int]:
    """Indices of `count` extrema of alternating sign, the largest there are, in order."""
    extrema: list[int] = []
    for i, e in enumerate(error):
        if extrema and (error[extrema[-1]] > 0) == (e > 0):
            if abs(e) > abs(error[extrema[-1]]):
                extrema[-1] = i
        else:
            extrema.append(i)
    while len(extrema) > count:
        drop_end = 0 if abs(error[extrema[0]]) < abs(error[extrema[-1]]) else len(extrema) - 1
        extrema.pop(drop_end)
    return extrema
