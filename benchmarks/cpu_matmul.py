"""Times vmc's matrix products with low-bit weights against ggml, ONNX Runtime, OpenVINO and torch, in one run.

    python benchmarks/cpu_matmul.py --quick
    python benchmarks/cpu_matmul.py --weights 4096x4096 --group 128 --m 1 16 --only 'vmc*' 'ggml*'

Every contender's product is compared with float64 first; one that is wrong is named and left out, and the command ends
with exit code 1. Tables go to the terminal; JSON, a summary in Markdown and a picture to benchmarks/results/. See
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from benchmarks.matmul import ggml, onnx_runtime, openvino_runtime, torch_ops, vmc_kernels
from benchmarks.matmul.bandwidth import make_reader
from benchmarks.matmul.checking import Accuracy, accuracy
from benchmarks.matmul.contender import Contender, Missing, Product, Stored
from benchmarks.matmul.machine import cores, describe, last_level_cache, parse_size
from benchmarks.matmul.problem import Array, Shape, Weights, make_activations, make_weights
from benchmarks.matmul.report import print_case
from benchmarks.matmul.results import Case, Entry, rows_of
from benchmarks.matmul.timing import Lane, Plan, copies_for, measure
from benchmarks.matmul.writing import write_json, write_summary

LIBRARIES: tuple[Callable[[int], list[Contender]], ...] = (
    torch_ops.contenders,
    vmc_kernels.contenders,
    ggml.contenders,
    onnx_runtime.contenders,
    openvino_runtime.contenders,
)

RESULTS = Path(__file__).resolve().parent / "results"
MOST_COLD = 2 << 30
READ = "read"
READ_STRETCH = 128 << 20


@dataclass(frozen=True)
class Settings:
    """What to measure: weights (K, N), groups, numbers of rows, "cold" or "hot", and how."""

    weights: tuple[tuple[int, int], ...]
    groups: tuple[int, ...]
    rows: tuple[int, ...]
    memories: tuple[str, ...]
    threads: int
    cold_bytes: int
    only: tuple[str, ...]
    plan: Plan

    def shapes(self) -> list[Shape]:
        return [Shape(k, n, group) for k, n in self.weights for group in self.groups]


@dataclass(frozen=True, eq=False)
class Ready:
    """A contender whose weights are stored and whose products are right, with the error at each number of rows."""

    contender: Contender
    stored: Stored
    accuracy: dict[int, Accuracy]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0, or 1 if a contender was wrong or failed."""
    options = parser().parse_args(arguments)
    console = Console(width=max(Console().width, 150))
    settings = settings_of(options)
    contenders = list(chosen(settings, console))
    if options.list:
        console.print("\n".join(contender.name for contender in contenders), highlight=False)
        return 0
    bench = Bench(settings, contenders, console)
    cases = [case for shape in settings.shapes() for case in bench.run(shape)]
    write(options.output, settings, cases, console)
    return 1 if bench.wrong else 0


def parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="cpu_matmul.py"
    )
    add = made.add_argument
    add("--quick", action="store_true", help="4096x4096, group 128, M 1 and 16, few rounds: shows that all work")
    add("--weights", nargs="+", metavar="KxN", help="weights' rows and columns (4096x4096 4096x11008)")
    add("--group", nargs="+", type=int, help="weights that share a scale (32 128)")
    add("--m", nargs="+", type=int, help="rows of the activations (1 4 16 128 512)")
    add("--memory", nargs="+", choices=("cold", "hot"), default=["cold", "hot"], help="both")
    add("--only", nargs="+", default=["*"], metavar="PATTERN", help="contenders by name, as a shell would match them")
    add("--threads", type=int, default=cores(), help="of every library (all cores)")
    add("--cold-bytes", type=parse_size, help="read between two uses of one copy (4 x last-level cache, at most 2G)")
    add("--rounds", type=int, help="turns of each contender (20)")
    add("--budget", type=float, help="seconds timed of one contender in one case, after 3 rounds (4)")
    add("--output", type=Path, default=RESULTS, help="folder for the results (benchmarks/results)")
    add("--list", action="store_true", help="name the contenders and stop")
    return made


def settings_of(options: argparse.Namespace) -> Settings:
    quick = options.quick
    return Settings(
        weights=tuple(map(extents, options.weights or (["4096x4096"] if quick else ["4096x4096", "4096x11008"]))),
        groups=tuple(options.group or ([128] if quick else [32, 128])),
        rows=tuple(options.m or ([1, 16] if quick else [1, 4, 16, 128, 512])),
        memories=tuple(options.memory),
        threads=options.threads,
        cold_bytes=options.cold_bytes or ((256 << 20) if quick else min(4 * last_level_cache(), MOST_COLD)),
        only=tuple(options.only),
        plan=Plan(rounds=options.rounds or (3 if quick else 20), budget=options.budget or (0.5 if quick else 4.0)),
    )


def extents(text: str) -> tuple[int, int]:
    """`4096x11008` as (4096, 11008)."""
    k, _, n = text.partition("x")
    return int(k), int(n)


def chosen(settings: Settings, console: Console) -> Iterable[Contender]:
    """The contenders asked for; says which libraries are missing."""
    for contenders in LIBRARIES:
        try:
            yield from (c for c in contenders(settings.threads) if any(fnmatch(c.name, p) for p in settings.only))
        except Missing as missing:
            console.print(f"skipped: {missing}", highlight=False)


class Bench:
    """Stores, checks and times; `wrong` counts the contenders that had to be left out."""

    def __init__(self, settings: Settings, contenders: Sequence[Contender], console: Console) -> None:
        self.settings, self.contenders, self.console = settings, contenders, console
        self.reader = make_reader(max(settings.cold_bytes, READ_STRETCH), READ_STRETCH, settings.threads)
        self.wrong = 0

    def run(self, shape: Shape) -> Iterable[Case]:
        """The cases of one shape of weights, each printed when it is done."""
        weights = make_weights(shape)
        taking = [contender for contender in self.contenders if contender.takes(shape)]
        ready = [found for contender in taking if (found := self.check(contender, weights))]
        for m in self.settings.rows:
            for memory in self.settings.memories:
                case = self.time(ready, shape, m, memory)
                print_case(case, self.console)
                yield case

    def check(self, contender: Contender, weights: Weights) -> Ready | None:
        """Stores the weights and compares the product of every number of rows with float64."""
        try:
            stored = contender.store(weights)
            values = stored.values()
            found = {m: checked(stored, m, values, weights) for m in self.settings.rows}
        except Exception as error:
            self.leave_out(contender, f"failed: {type(error).__name__}: {error}")
            return None
        for m, errors in found.items():
            complaint = errors.complaint(contender)
            if complaint:
                self.leave_out(contender, f"wrong for M={m}: {complaint}")
                return None
        return Ready(contender, stored, found)

    def leave_out(self, contender: Contender, reason: str) -> None:
        self.wrong += 1
        self.console.print(f"{contender.name} left out, {reason}", style="red", highlight=False, markup=False)

    def time(self, ready: Sequence[Ready], shape: Shape, m: int, memory: str) -> Case:
        """Loads the copies that the case needs, and times all contenders interleaved."""
        x, plan = make_activations(m, shape.k), self.settings.plan
        sizes = [each.stored.nbytes for each in ready]
        copies = 1 if memory == "hot" else copies_for(sizes, self.settings.cold_bytes, plan)
        lanes = {each.contender.name: lane(each.stored.load(x, copies)) for each in ready}
        timings = measure(lanes | {READ: Lane(self.reader.calls())}, plan)
        entries = [
            Entry(each.contender, each.stored.nbytes, each.accuracy[m], timings[each.contender.name]) for each in ready
        ]
        return Case(shape, m, memory, self.reader.stretch / timings[READ].median, rows_of(entries, shape, m))


def lane(products: Sequence[Product]) -> Lane:
    return Lane([product.run for product in products], products[0].before)


def checked(stored: Stored, m: int, values: Array, weights: Weights) -> Accuracy:
    x = make_activations(m, weights.shape.k)
    return accuracy(stored.load(x, 1)[0], x, values, weights.values)


def write(folder: Path, settings: Settings, cases: Sequence[Case], console: Console) -> None:
    """Prints the summary, and writes the files of a run, named by its date."""
    stem = folder / f"cpu_matmul-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    shown = {"threads": settings.threads, "cold_bytes": settings.cold_bytes, "rounds": settings.plan.rounds}
    write_json(stem, describe(), cases, shown, console)
    write_summary(stem, cases, console)


if __name__ == "__main__":
    sys.exit(main())
