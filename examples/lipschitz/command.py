"""The command line: a table of bounds over radii."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from networks.kernels import Layers
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lipschitz.bounds import WAYS, Lipschitz
from lipschitz.study import rows, train


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    layers = Layers(options.target)
    network, x, labels = train(layers, (64, *options.hidden, 10))
    found = list(rows(Lipschitz(layers, network), x[: options.points], labels[: options.points], *_work(options)))
    table = Table(title=f"Local Lipschitz constants, digits, hidden layers {options.hidden}", box=SIMPLE_HEAD)
    for heading in ("radius", "unstable", "sampled", "searched", *WAYS, "recurjac / ours", "seconds"):
        table.add_column(heading, justify="right")
    for row in found:
        figures = (row.sampled, row.searched, *(row.bounds[way] for way in WAYS))
        ratio = row.bounds["recurjac"] / row.bounds["chords"]
        spent = f"{row.seconds['chords']:.3f}, search {row.seconds['search']:.2f}"
        cells = (f"{figure:.3f}" for figure in figures)
        table.add_row(f"{row.radius}", f"{row.unstable:.1f}", *cells, f"{ratio:.2f}", spent)
    console = Console()
    console.width = max(console.width, 110)
    console.print(table)
    order = "holds" if all(row.ordered for row in found) else "does not hold"
    console.print(
        f"means over {options.points} test digits; sampled <= searched <= chords <= recurjac <= intervals "
        f"{order}.\n"
        "paper: bounds below RecurJac's at every radius, and close to exact ones by search. What differs:\n"
        f"perceptrons on digits of 8 x 8, {options.cases} cases at most instead of a time limit.",
        highlight=False,
    )
    if options.picture:
        from lipschitz.picture import draw

        draw(found, options.picture)
    return 0


def _work(options: argparse.Namespace) -> tuple[Sequence[float], int]:
    return options.radii, options.cases


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lipschitz", description="Local Lipschitz constants by bound propagation.")
    parser.add_argument("--hidden", nargs="+", type=int, default=[48, 48, 48], help="units of the layers (%(default)s)")
    radii = (0.005, 0.01, 0.02, 0.04, 0.08)
    parser.add_argument("--radii", nargs="+", type=float, default=radii, help="of the boxes (%(default)s)")
    parser.add_argument("--points", type=int, default=8, help="test digits (%(default)s)")
    parser.add_argument("--cases", type=int, default=1500, help="of the search, at most (%(default)s)")
    parser.add_argument("--target", default="cpu", help="what computes (%(default)s)")
    parser.add_argument("--picture", type=Path, help="draw the bounds over the radius into this file")
    return parser
