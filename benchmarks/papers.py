"""The papers' kernels against the libraries that are their oracles, on one core.

    python benchmarks/papers.py --quick
    python benchmarks/papers.py --papers hamming mfac

A section a paper, a line a kernel: microseconds of both, and how many times as long the library takes. Results are
compared before anything is timed; a kernel whose result is not the library's is named, and the command ends with
exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
if __name__ == "__main__":
    for variable in ("VMC_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"

from rich.console import Console
from rich.table import Table

from benchmarks.matmul.machine import processor
from benchmarks.matmul.timing import Lane, Plan, measure, ratio
from benchmarks.paper.contest import Contest

PAPERS = (
    "autonumerics",
    "berrut",
    "dcdm",
    "deeponet",
    "discquant",
    "fp4_training",
    "hamming",
    "ibp",
    "lipschitz",
    "log_bessel",
    "mfac",
    "private_kde",
    "relaxation",
    "tensor_attention",
)
"""Modules of benchmarks/paper."""

PLAN = Plan(rounds=12, calls=5, budget=3.0)
QUICK = Plan(rounds=3, calls=2, budget=0.2, settle=0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code is 1 where a result was wrong."""
    chosen = parser().parse_args(arguments)
    console = Console(width=130)
    console.print(f"one thread of {processor()}", highlight=False)
    wrong = [name for paper in chosen.papers for name in section(paper, chosen.quick, console)]
    for name in wrong:
        console.print(f"wrong: {name}", highlight=False)
    return 1 if wrong else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="papers.py"
    )
    made.add_argument("--quick", action="store_true", help="small sizes, few rounds: shows that all works")
    made.add_argument("--papers", nargs="+", default=PAPERS, choices=PAPERS, metavar="PAPER", help=" ".join(PAPERS))
    return made


def section(paper: str, quick: bool, console: Console) -> list[str]:
    """Prints the table of one paper and gives the names of contests with wrong results."""
    table = Table(title=paper)
    for column in ("kernel", "library", "vmc µs", "library µs", "library / vmc", "error"):
        table.add_column(column, justify="left" if column in ("kernel", "library") else "right", no_wrap=True)
    wrong = []
    for contest in contests_of(paper, quick):
        contest.ours()
        contest.theirs()
        error = contest.error()
        if not error <= contest.tolerance:
            wrong.append(f"{paper}: {contest.name}: error {error:.3g}")
            continue
        table.add_row(contest.name, contest.library, *times(contest, QUICK if quick else PLAN), f"{error:.1e}")
    console.print(table)
    return wrong


def contests_of(paper: str, quick: bool) -> Iterator[Contest]:
    found: Iterator[Contest] = import_module(f"benchmarks.paper.{paper}").contests(quick)
    return found


def times(contest: Contest, plan: Plan) -> tuple[str, str, str]:
    """The medians in microseconds, and the median of the rounds' ratios."""
    timings = measure({"ours": Lane([contest.ours]), "theirs": Lane([contest.theirs])}, plan)
    ours, theirs = timings["ours"], timings["theirs"]
    return f"{ours.median * 1e6:.1f}", f"{theirs.median * 1e6:.1f}", f"{ratio(ours, theirs):.2f}"


if __name__ == "__main__":
    sys.exit(main())
