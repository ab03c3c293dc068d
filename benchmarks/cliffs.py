"""Looks for sizes at which a product takes longer than the sizes around it let expect.

    python benchmarks/cliffs.py --quick
    python benchmarks/cliffs.py --types u4 u3 f6e3m2 --kernels wa8

Every kernel is compiled once for each type, with the parameters that its file has as defaults, and multiplies for all
M from 1 to 64, and for odd K and N. A case is predicted from its neighbours, M - 1 and M + 1, or K and N at the
multiples of a group below and above, by a line through the logarithms of sizes and times. Those that take more than
1.3 times as long are listed, and the command ends with exit code 1. Weights are hot, the cases take turns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, log
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

import vmc
from benchmarks.matmul.machine import cores, processor
from benchmarks.matmul.timing import Call, Lane, Plan, Timing, measure
from vmc.backends.cpu.threads import set_num_threads

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
KERNELS = {"wa8": "matmul_wa8.vmc", "wa16": "matmul_wa16.vmc"}
GROUP = 128
LIMIT = 1.3
SHOWN = 5
FULL = {
    "types": ["u4", "u3", "f6e3m2", "i8"],
    "k": 4096,
    "n": 4096,
    "odd": [1003, 2049, 4095],
    "odd_m": [1, 4, 16, 64],
    "rounds": 20,
}
QUICK = {"types": ["u4"], "k": 1024, "n": 1024, "odd": [1003], "odd_m": [1, 16], "rounds": 3}


@dataclass(frozen=True, order=True)
class Size:
    """Activations [M, K] times weights [K, N]."""

    m: int
    k: int
    n: int

    def __str__(self) -> str:
        return f"M={self.m} K={self.k} N={self.n}"


@dataclass(frozen=True)
class Case:
    """A size and its neighbours, each with its weight in the prediction; the weights sum to 1."""

    size: Size
    neighbours: Mapping[Size, float]

    def predicted(self, seconds: Mapping[Size, float]) -> float:
        return exp(sum(weight * log(seconds[size]) for size, weight in self.neighbours.items()))


@dataclass(frozen=True)
class Found:
    """A case's seconds beside those predicted."""

    case: Case
    seconds: float
    predicted: float
    spread: float

    @property
    def excess(self) -> float:
        return self.seconds / self.predicted


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0, or 1 if there is a cliff."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parser(QUICK if "--quick" in words else FULL).parse_args(words)
    console = Console()
    set_num_threads(options.threads)
    console.print(f"{processor()}, {options.threads} threads", highlight=False)
    cases = cases_of(options.k, options.n, range(1, options.m + 1), options.odd, options.odd_m)
    plan = Plan(rounds=options.rounds, calls=3, budget=10.0, settle=0.0)
    cliffs = 0
    for name, element in product(options.kernels, options.types):
        found = [*compared(cases, measured(name, element, sizes_of(cases), plan))]
        cliffs += sum(each.excess > LIMIT for each in found)
        print_found(f"{name} {element}", found, console)
    return 1 if cliffs else 0


def parser(defaults: Mapping[str, Any]) -> argparse.ArgumentParser:
    assert __doc__ is not None
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="cliffs.py"
    )
    add = made.add_argument
    add("--quick", action="store_true", help="one type, small weights, few rounds: shows that all works")
    add("--kernels", nargs="+", choices=KERNELS, default=list(KERNELS), help="%(default)s")
    add("--types", nargs="+", help="types of the weights (%(default)s)")
    add("--m", type=int, default=64, help="most rows of the activations (%(default)s)")
    add("--k", type=int, help="rows of the weights while M changes (%(default)s)")
    add("--n", type=int, help="columns of the weights while M changes (%(default)s)")
    add("--odd", type=int, nargs="+", help="odd K and N (%(default)s)")
    add("--odd-m", type=int, nargs="+", help="M for odd K and N (%(default)s)")
    add("--rounds", type=int, help="turns of each case (%(default)s)")
    add("--threads", type=int, default=cores(), help="%(default)s")
    made.set_defaults(**defaults)
    return made


def cases_of(k: int, n: int, rows: Sequence[int], odd: Iterable[int], odd_rows: Iterable[int]) -> list[Case]:
    """Those of every M but the first and the last, and those of odd K, odd N and both."""
    cases = [case(Size(m, k, n), around_row(m), at(k), at(n)) for m in rows[1:-1]]
    for m, length in product(odd_rows, odd):
        cases += [
            case(Size(m, length, n), at(m), around(length), at(n)),
            case(Size(m, k, length), at(m), at(k), around(length)),
            case(Size(m, length, length), at(m), around(length), around(length)),
        ]
    return cases


def case(size: Size, *axes: Mapping[int, float]) -> Case:
    """The case whose neighbours are all combinations of values along the axes."""
    corners = {
        Size(m, k, n): weight_m * weight_k * weight_n
        for (m, weight_m), (k, weight_k), (n, weight_n) in product(*(axis.items() for axis in axes))
    }
    return Case(size, corners)


def at(value: int) -> dict[int, float]:
    """The value itself."""
    return {value: 1.0}


def around_row(m: int) -> dict[int, float]:
    return between(m, m - 1, m + 1)


def around(length: int) -> dict[int, float]:
    """The multiples of a group below and above."""
    low = length // GROUP * GROUP
    return between(length, low, low + GROUP)


def between(value: int, low: int, high: int) -> dict[int, float]:
    """The two with their weights at `value`, by logarithms."""
    weight = log(value / low) / log(high / low)
    return {low: 1 - weight, high: weight}


def sizes_of(cases: Iterable[Case]) -> list[Size]:
    """All that have to be timed."""
    return sorted({size for case in cases for size in (case.size, *case.neighbours)})


def measured(kernel: str, element: str, sizes: Sequence[Size], plan: Plan) -> dict[Size, Timing]:
    """The times of a product of each size."""
    compiled = vmc.compile(EXAMPLES / KERNELS[kernel], T=element, G=GROUP).prepare()
    weights = {shape: packed(compiled, element, *shape) for shape in {(size.k, size.n) for size in sizes}}
    lanes = {str(size): Lane([call(compiled, size, *weights[size.k, size.n])]) for size in sizes}
    timings = measure(lanes, plan)
    return {size: timings[str(size)] for size in sizes}


def packed(kernel: vmc.Kernel, element: str, k: int, n: int) -> tuple[vmc.Packed, np.ndarray]:
    """Random weights [K, N], packed, and their scales."""
    random = np.random.default_rng([k, n])
    codes = random.integers(0, 1 << vmc.dtype(element).width, (k, n), dtype=np.uint8)
    return kernel.pack("w", codes), np.full((-(-k // GROUP), n), 0.01, np.float16)


def call(kernel: vmc.Kernel, size: Size, w: vmc.Packed, scale: np.ndarray) -> Call:
    x = np.random.default_rng(size.m).standard_normal((size.m, size.k)).astype(np.float16)
    y = np.zeros((size.m, size.n), np.float16)
    return lambda: kernel(x, w, scale, y)


def compared(cases: Sequence[Case], timings: Mapping[Size, Timing]) -> Iterable[Found]:
    """Every case beside its prediction."""
    seconds = {size: timing.median for size, timing in timings.items()}
    for each in cases:
        yield Found(each, seconds[each.size], each.predicted(seconds), timings[each.size].spread)


def print_found(title: str, found: Sequence[Found], console: Console) -> None:
    """The cliffs, or where there are none the steepest cases."""
    cliffs = [each for each in found if each.excess > LIMIT]
    steepest = sorted(found, key=lambda each: -each.excess)[: max(SHOWN, len(cliffs))]
    table = Table(title=f"{title}: {len(cliffs)} cliffs in {len(found)} cases")
    for column in ("case", "µs", "predicted", "ratio", "spread"):
        table.add_column(column, justify="left" if column == "case" else "right", no_wrap=True)
    for each in steepest:
        times = (f"{each.seconds * 1e6:,.0f}", f"{each.predicted * 1e6:,.0f}", f"{each.excess:.2f}")
        table.add_row(str(each.case.size), *times, f"{each.spread:.0%}", style="red" if each.excess > LIMIT else None)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
