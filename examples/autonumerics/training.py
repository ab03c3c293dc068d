"""Constants by CMA-ES, and errors of populations by the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vmc
from autonumerics.programs import CONSTANTS, LENGTH, Array, Program

EVALUATOR = Path(__file__).with_name("evaluator.vmc")


@cache
def evaluator(name: str, type: str, target: str) -> vmc.Kernel:
    return vmc.compile(EVALUATOR, name, target, T=type, L=LENGTH, C=CONSTANTS)


@dataclass(frozen=True)
class Task:
    """A function on points: `x` in the type that programs compute in, `exact` values in f64."""

    x: Array
    exact: Array
    type: str = "f64"
    target: str = "cpu"

    def errors(self, programs: Sequence[Program]) -> tuple[Array, Array]:
        """The largest relative error of each, and the mean of the squares."""
        worst, square = np.empty(len(programs)), np.empty(len(programs))
        evaluator("relative_errors", self.type, self.target)(*self.arguments(programs), worst, square)
        return worst, square

    def errors_at(self, program: Program, used: Sequence[int], values: Array) -> tuple[Array, Array]:
        """The same of one program with each row of values for the constants that are used."""
        codes = np.ascontiguousarray(np.broadcast_to(program.encoded(), (len(values), LENGTH, 3)))
        constants = np.tile(np.array(program.constants, self.x.dtype), (len(values), 1))
        constants[:, list(used)] = values
        worst, square = np.empty(len(values)), np.empty(len(values))
        evaluator("relative_errors", self.type, self.target)(codes, constants, self.x, self.exact, worst, square)
        return worst, square

    def deviations(self, programs: Sequence[Program]) -> Array:
        """The relative errors [programs, points] with their signs."""
        result = np.empty((len(programs), len(self.x)))
        evaluator("deviations", self.type, self.target)(*self.arguments(programs), result)
        return result

    def arguments(self, programs: Sequence[Program]) -> tuple[NDArray[Any], ...]:
        codes = np.stack([each.encoded() for each in programs])
        constants = np.array([each.constants for each in programs], self.x.dtype)
        return codes, constants, self.x, self.exact

    def error(self, program: Program) -> float:
        return float(self.errors([program])[0][0])


def trained(
    task: Task,
    program: Program,
    rng: np.random.Generator,
    population: int = 16,
    generations: int = 1000,
    spread: float = 0.3,
) -> tuple[Program, float]:
    """The program with better constants, and its largest error: CMA-ES on the constants that occur, each in units of
    what it starts as. First the mean square is made small, which is smooth and leads far down narrow valleys; then,
    from there and with steps as small as what is left, the largest error.
    """
    used = program.used
    best, least = program, task.error(program)
    if not used:
        return best, least
    for smooth in (True, False):
        start = np.array([best.constants[c] for c in used])
        unit = np.where(start == 0, 1.0, abs(start))
        strategy = Strategy(start / unit, spread if smooth else FINE * spread, population, rng)
        level, last_gain = np.inf, 0
        for generation in range(1, generations + 1):
            points = strategy.ask()
            worst, square = task.errors_at(program, used, points * unit)
            judged = square if smooth else worst
            order = np.argsort(judged, kind="stable")
            strategy.tell(order)
            first = int(np.argmin(worst))
            if worst[first] < least:
                best, least = with_constants(program, used, points[first] * unit), float(worst[first])
            if judged[order[0]] < level * (1 - GAIN):
                level, last_gain = judged[order[0]], generation
            if generation - last_gain > max(STALLED, generation // 2) or not 1e-20 < strategy.sigma < 1e6:
                break
    return best, least


def refined(task: Task, program: Program, width: float = 0.7) -> tuple[Program, float]:
    """The program with constants refined to the last digits. In a valley of optima that is narrow and curved, CMA-ES
    crawls: so one constant after another is the outer one, sought by golden sections within factors of e**+-width, and
    the others follow it by Gauss and Newton's method. Each first for the mean square, then for the largest error.
    """
    best, least = program, task.error(program)
    for _ in range(3):
        before = least
        for outer in best.used if np.isfinite(least) else ():
            for found, error in along(task, best, outer, width):
                if error < least:
                    best, least = found, error
        if least > before * 0.9:
            break
    return best, least


def along(task: Task, program: Program, outer: int, width: float) -> Iterator[tuple[Program, float]]:
    """The best of both sections along one constant."""
    inner = [c for c in program.used if c != outer]

    def at(shift: float, minimax: bool) -> tuple[float, Program]:
        moved = with_constants(program, [outer], np.array([program.constants[outer] * np.exp(shift)]))
        return followed(task, moved, inner, minimax)

    middle = golden(lambda shift: at(shift, False)[0], -width, width)
    near = golden(lambda shift: at(shift, True)[0], middle - 0.05, middle + 0.05)
    for shift in (middle, near):
        error, found = at(shift, True)
        yield found, error


def followed(task: Task, program: Program, inner: Sequence[int], minimax: bool) -> tuple[float, Program]:
    """The least mean square, or the least of the largest errors (Lawson 1961), over some constants; and the program."""
    weights = np.ones(len(task.x))
    best, least = program, np.inf
    for _ in range(25 if minimax else 12):
        current = np.array([program.constants[c] for c in inner])
        unit = np.where(current == 0, 1.0, abs(current))
        moved = [current + sign * STEP * unit * axis for axis in np.eye(len(inner)) for sign in (1, -1)]
        deviation = task.deviations([with_constants(program, inner, each) for each in (current, *moved)])
        error = float(abs(deviation[0]).max() if minimax else np.mean(deviation[0] ** 2))
        if error < least:
            best, least = program, error
        slope = (deviation[1::2] - deviation[2::2]).T / (2 * STEP)
        if not inner or not np.isfinite(slope).all() or not np.isfinite(deviation[0]).all():
            break
        size = abs(deviation[0])
        weights = weights * (size / size.max() + 0.05) if minimax and size.max() > 0 else weights
        root = np.sqrt(weights / weights.mean())
        step = np.linalg.lstsq(root[:, None] * slope, -root * deviation[0], rcond=1e-14)[0]
        program = with_constants(program, inner, current + unit * step)
    return least, best


def golden(function: Callable[[float], float], low: float, high: float, turns: int = 30) -> float:
    """Where the function is least, of those places that golden sections look at."""
    ratio = (5**0.5 - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    left, right = function(a), function(b)
    for _ in range(turns):
        if left <= right:
            high, b, right = b, a, left
            a = high - ratio * (high - low)
            left = function(a)
        else:
            low, a, left = a, b, right
            b = low + ratio * (high - low)
            right = function(b)
    return a if left <= right else b


STEP = 1e-5
WIDEST = 1e8
FINE = 1e-6
STALLED = 60
GAIN = 1e-3


def with_constants(program: Program, used: Sequence[int], values: Array) -> Program:
    constants = list(program.constants)
    for place, value in zip(used, values, strict=True):
        constants[place] = float(value)
    return replace(program, constants=tuple(constants))


class Strategy:
    """CMA-ES: asks for points, is told them from the best to the worst (Hansen, "The CMA evolution strategy: a
    tutorial", 2016; its default parameters).
    """

    def __init__(self, mean: Array, sigma: float, population: int, rng: np.random.Generator) -> None:
        n = len(mean)
        self.mean, self.sigma, self.rng, self.population = mean.copy(), sigma, rng, population
        weights = np.log((population + 1) / 2) - np.log(np.arange(1, population // 2 + 1))
        self.weights = weights / weights.sum()
        effective = 1 / (self.weights**2).sum()
        self.effective = effective
        self.c_sigma = (effective + 2) / (n + effective + 5)
        self.damping = 1 + 2 * max(0.0, np.sqrt((effective - 1) / (n + 1)) - 1) + self.c_sigma
        self.c_path = (4 + effective / n) / (n + 4 + 2 * effective / n)
        self.c_one = 2 / ((n + 1.3) ** 2 + effective)
        self.c_mu = min(1 - self.c_one, 2 * (effective - 2 + 1 / effective) / ((n + 2) ** 2 + effective))
        self.length = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
        self.covariance, self.path, self.path_sigma = np.eye(n), np.zeros(n), np.zeros(n)
        self.base = np.eye(n)
        self.generation = 0

    def ask(self) -> Array:
        values, self.axes = np.linalg.eigh(self.covariance)
        if values[-1] > WIDEST * values[0]:
            self.rebase(np.sqrt(np.maximum(values, 1e-15 * values[-1])))
            values = np.ones(len(values))
        self.scales = np.sqrt(values)
        self.steps = self.rng.standard_normal((self.population, len(self.mean))) * self.scales @ self.axes.T
        return self.mean + self.sigma * self.steps @ self.base.T

    def rebase(self, scales: Array) -> None:
        """Takes the covariance into the coordinates: a covariance that is much longer than wide loses its digits."""
        self.base = self.base @ (self.axes * scales)
        self.path = (self.axes.T @ self.path) / scales
        self.path_sigma = self.axes.T @ self.path_sigma
        self.covariance = self.axes = np.eye(len(scales))

    def tell(self, order: NDArray[np.intp]) -> None:
        """The order of what was asked last, from the best to the worst."""
        self.generation += 1
        steps = self.steps[order[: len(self.weights)]]
        move = self.weights @ steps
        self.mean = self.mean + self.sigma * self.base @ move
        white = self.axes @ ((self.axes.T @ move) / self.scales)
        c = self.c_sigma
        self.path_sigma = (1 - c) * self.path_sigma + np.sqrt(c * (2 - c) * self.effective) * white
        norm = np.linalg.norm(self.path_sigma)
        grown = norm / np.sqrt(1 - (1 - c) ** (2 * self.generation)) < (1.4 + 2 / (len(self.mean) + 1)) * self.length
        d = self.c_path
        self.path = (1 - d) * self.path + grown * np.sqrt(d * (2 - d) * self.effective) * move
        self.covariance = (
            (1 - self.c_one - self.c_mu + self.c_one * (1 - grown) * d * (2 - d)) * self.covariance
            + self.c_one * np.outer(self.path, self.path)
            + self.c_mu * (steps.T * self.weights) @ steps
        )
        self.sigma *= float(np.exp(min(1.0, (c / self.damping) * (norm / self.length - 1))))
