"""What a kernel loses when other processes hold cores: vmc's products against those of the other libraries.

    python benchmarks/busy_neighbours.py
    python benchmarks/busy_neighbours.py --neighbours 0 1 --only 'vmc*u4' 'ggml q4_0'

Times every contender of cpu_matmul.py that is asked for, in turn, beside 0, 1, ... processes that do nothing but count,
and prints medians, how many times as long they are as beside none, and the slowest call. A library whose threads wait
for each other by spinning, or that needs all of them at every step, waits for the scheduler's time slices.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks.cpu_matmul import Settings, chosen, extents, lane
from benchmarks.matmul.machine import cores
from benchmarks.matmul.problem import Shape, make_activations, make_weights
from benchmarks.matmul.timing import Lane, Plan, Timing, measure

LONGEST = 120.0
"""Seconds after which a neighbour ends, should nobody have ended it."""

BURN = "import sys, time; end = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"
PATTERNS = ("vmc * u4", "ggml q4_0", "onnxruntime u4", "openvino u4 int8", "torch int4", "torch dense bf16")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = parser().parse_args(arguments)
    console = Console(width=max(Console().width, 120))
    plan = Plan(rounds=options.rounds, budget=options.budget)
    shape = Shape(*extents(options.weights), options.group)
    settings = Settings((), (), (), (), options.threads, 0, tuple(options.only), plan)
    lanes = prepared(settings, shape, options.m, console)
    found: dict[int, dict[str, Timing]] = {}
    for count in options.neighbours:
        with neighbours(count):
            found[count] = measure(lanes, plan)
    print_table(found, f"{shape} M={options.m}, {options.threads} threads on {cores()} cores", console)
    return 0


def parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="busy_neighbours.py"
    )
    add = made.add_argument
    add("--neighbours", nargs="+", type=int, default=[0, 1, cores()], help="processes beside (0, 1, as many as cores)")
    add("--weights", default="2048x2048", metavar="KxN", help="weights' rows and columns (2048x2048)")
    add("--group", type=int, default=32, help="weights that share a scale (32)")
    add("--m", type=int, default=1, help="rows of the activations (1)")
    add("--only", nargs="+", default=list(PATTERNS), metavar="PATTERN", help=f"contenders by name ({PATTERNS})")
    add("--threads", type=int, default=cores(), help="of every library (all cores)")
    add("--rounds", type=int, default=12, help="turns of each contender (12)")
    add("--budget", type=float, default=1.5, help="seconds timed of one contender, after 3 rounds (1.5)")
    return made


def prepared(settings: Settings, shape: Shape, m: int, console: Console) -> dict[str, Lane]:
    """The calls of each contender that takes the shape; the weights stay in the caches."""
    weights, x = make_weights(shape), make_activations(m, shape.k)
    taking = [contender for contender in chosen(settings, console) if contender.takes(shape)]
    return {contender.name: lane(contender.store(weights).load(x, 1)) for contender in taking}


@contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that keep so many cores busy, for as long as the body runs."""
    command = [sys.executable, "-c", BURN, str(LONGEST)]
    running = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def print_table(found: Mapping[int, Mapping[str, Timing]], title: str, console: Console) -> None:
    """A row for each contender: microseconds, times as long as beside the fewest neighbours, and the slowest call."""
    table = Table(title=title, title_justify="left")
    table.add_column("contender", no_wrap=True)
    least = min(found)
    for count in found:
        for heading in (f"µs beside {count}", *(() if count == least else ("times",)), "slowest"):
            table.add_column(heading, justify="right", no_wrap=True)
    for name in found[least]:
        table.add_row(name, *(cell for count in found for cell in cells(found, count, least, name)))
    console.print(table)


def cells(found: Mapping[int, Mapping[str, Timing]], count: int, least: int, name: str) -> list[str]:
    timing = found[count][name]
    times = [] if count == least else [f"{timing.median / found[least][name].median:.2f}"]
    return [f"{timing.median * 1e6:,.0f}", *times, f"{max(timing.samples) * 1e6:,.0f}"]


if __name__ == "__main__":
    sys.exit(main())
