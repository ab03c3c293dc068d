"""exp2 in ten operations, how its constants are trained, what evolution finds in minutes, and what kernels gain.

python examples/autonumerics/reproduce.py [--quick] [--rounds N]

The paper's search ran on many machines; here the structure of the long programs is given, and evolution from nothing
is shown for as long as two cores are patient.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import vmc
from autonumerics.programs import Program, program
from autonumerics.search import evolve
from autonumerics.training import Task, refined, trained

HERE = Path(__file__).parent
SQUARES = (("*", 11, 11), ("*", 12, 12), ("*", 13, 13))
START = (100.0, -500_000.0, 6000.0)
KNOWN = (2.4e-8, 1.9e-10, 5.9e-12, 9.3e-14)
"""Errors of these forms that were reached before; the last is the paper's 14 figures with 10 operations."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the four parts; the exit code is 1 where the ten operations miss 14 figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few points, a short evolution")
    parser.add_argument("--rounds", type=int, default=20, help="of each evolution")
    chosen = parser.parse_args(arguments)
    best = constants(256 if chosen.quick else 1024)
    evolution(3 if chosen.quick else chosen.rounds)
    speed(1 << (12 if chosen.quick else 18), 3 if chosen.quick else 21)
    return 0 if best < 2e-13 else 1


def squared(times: int) -> Program:
    """((v + x)/(v - x))**(2**times) with v = a + c/(x**2 + d): 7 + times operations."""
    head = (("*", 0, 0), ("+", 5, 3), ("/", 2, 6), ("+", 1, 7), ("+", 8, 0), ("-", 8, 0), ("/", 9, 10))
    scale = 2.0 ** (3 - times)
    a, c, d = START
    return program(*head, *SQUARES[:times], constants=(a / scale, c / scale**3, d / scale**2))


# Constants


def constants(points: int) -> float:
    """Errors of the programs of 7 to 10 operations, and how CMA-ES and the refinement get there."""
    print(f"2**x on [0, 1], {points} points for training, 10000 for the errors, all in f64")
    print("operations     error   known before   a, c, d")
    task, check = task_of("exp2", points), task_of("exp2", 10_000)
    best = np.inf
    for times in range(4):
        found, _ = refined(task, squared(times))
        best = check.error(found)
        shown = ", ".join(repr(c) for c in found.constants[:3])
        print(f"{7 + times:10d}{best:10.2e}{KNOWN[times]:15.1e}   {shown}")
    rng = np.random.default_rng(0)
    for name, train in ways(rng).items():
        start = time.process_time()
        _, error = train(task, squared(3))
        print(f"ten operations from {START} by {name}: {error:.2e} after {time.process_time() - start:.1f} s")
    return best


def ways(rng: np.random.Generator) -> dict[str, Callable[[Task, Program], tuple[Program, float]]]:
    found: dict[str, Callable[[Task, Program], tuple[Program, float]]] = {
        "CMA-ES here": lambda task, given: trained(task, given, rng, population=128),
        "refinement": refined,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it wants matplotlib
            import cma
    except ImportError:
        print("CMA-ES of the package cma: left out, it is not installed (pip install cma)")
        return found

    def by_package(task: Task, given: Program) -> tuple[Program, float]:
        options = {"popsize": 128, "maxiter": 300, "verbose": -9, "seed": 1}
        strategy: Any = cma.CMAEvolutionStrategy([1.0] * 3, 0.3, options)
        while not strategy.stop():
            points = strategy.ask()
            programs = [replace(given, constants=(*np.multiply(point, START), 1.0)) for point in points]
            strategy.tell(points, list(task.errors(programs)[0]))
        return given, float(strategy.result.fbest)

    return {"CMA-ES of the package cma": by_package, **found}


# Evolution


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "exp2": (lambda x: mp.mpf(2) ** x, 0.0, 1.0),
    "log2(1 + x)/x": (lambda x: mp.log1p(x) / x / mp.log(2), -0.29, 0.41),
    "sin": (mp.sin, 0.05, 1.57),
    "tanh": (mp.tanh, 0.05, 3.0),
    "erf": (mp.erf, 0.05, 2.5),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), -4.0, 4.0),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), 1.0, 4.0),
}
"""What is evolved, and where."""


def task_of(name: str, points: int, type: str = "f64") -> Task:
    function, low, high = FUNCTIONS[name]
    x = np.linspace(low, high, points).astype(np.float32 if type == "f32" else np.float64)
    with mp.workdps(30):
        return Task(x, np.array([float(function(mp.mpf(float(each)))) for each in x]), type)


def evolution(rounds: int) -> None:
    """The fronts found from random programs in f32, beside polynomials of as many operations."""
    print(f"\nevolution from random programs in f32, {rounds} rounds of 10 children a function, relative errors")
    for name in FUNCTIONS:
        start = time.process_time()
        front = evolve(task_of(name, 64, "f32"), np.random.default_rng(1), rounds)
        print(f"{name}, {time.process_time() - start:.0f} s of the processor")
        check = task_of(name, 2000, "f32")
        for member in front:
            peer = polynomial_error(name, member.length // 2)
            program = str(member.program) if member is front[-1] else ""
            print(
                f"{member.length:4d} operations {check.error(member.program):9.1e}   polynomial {peer:9.1e}   {program}"
            )


def polynomial_error(name: str, degree: int) -> float:
    """The relative error of the polynomial of least squares: not far above the least that its degree allows."""
    check = task_of(name, 500)
    function = np.polynomial.Chebyshev.fit(check.x, check.exact, degree, w=1 / abs(check.exact))
    return float(np.max(abs(function(check.x) / check.exact - 1)))


# Speed

KERNELS = """
kernel exact[T: float, B = 1024](x: T[N], y: out T[N]):
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = {0}(x[i*B : +B])

kernel near[T: float, BOUND = 0.001, B = 1024](x: T[N], y: out T[N]):
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = {0}(x[i*B : +B], approx=BOUND)
"""


def speed(count: int, rounds: int) -> None:
    """Nanoseconds of the processor for an element."""
    print(f"\nnanoseconds of a core for an element, {count} elements, median of {rounds}")
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, count)
    y = np.empty_like(x)
    evolved = {name: vmc.compile(HERE / "evolved.vmc", name) for name in ("evolved_exp2", "exp2_full")}
    strict = vmc.compile(KERNELS.format("exp2"), "exact", T="f64")
    row: dict[str, Callable[..., object]] = {"np.exp2": np.exp2, "strict exp2": strict, **evolved}
    times = {name: nanoseconds(partial(call, x, y), count, rounds) for name, call in row.items()}
    print("f64 exp2:  " + ",  ".join(f"{name} {time:.2f}" for name, time in times.items()))
    print("f32         NumPy strict  2**-8 2**-11 2**-16 2**-20")
    for name, numpy in (("exp", np.exp), ("exp2", np.exp2), ("log2", np.log2), ("sin", np.sin), ("tanh", np.tanh)):
        kernels = [vmc.compile(KERNELS.format(name), "exact", T="f32")]
        kernels += [vmc.compile(KERNELS.format(name), "near", T="f32", BOUND=2.0**-bits) for bits in (8, 11, 16, 20)]
        single = rng.uniform(0.1, 10, count).astype(np.float32)
        calls: list[Callable[..., object]] = [numpy, *kernels]
        each_time = [nanoseconds(partial(call, single, np.empty_like(single)), count, rounds) for call in calls]
        print(f"{name:10}" + "".join(f"{each:7.2f}" for each in each_time))


def nanoseconds(call: Callable[[], object], count: int, rounds: int) -> float:
    taken = []
    for _ in range(rounds + 1):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1e9 * float(np.median(taken[1:])) / count


if __name__ == "__main__":
    sys.exit(main())
