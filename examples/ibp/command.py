"""The command line: tightness at the start and after training, beside what the paper says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from networks.kernels import Layers
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ibp.boxes import Ibp
from ibp.embedding import embedded
from ibp.study import RADIUS, Digits, Trained, at_start, foretold, trained

WIDTHS = (16, 64, 256, 1024)
EMBEDDINGS = (1, 2, 4, 8, 16, 32, 64)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console, layers = Console(), Layers(options.target)
    console.width = max(console.width, 100)
    ibp = Ibp(layers)
    table = Table(title="Tightness of linear networks at the start", box=SIMPLE_HEAD)
    for heading in ("width", "paper", "ours, one hidden layer", "two", "four"):
        table.add_column(heading, justify="right")
    curves = {depth: [at_start(ibp, width, depth, options.seeds) for width in WIDTHS] for depth in (2, 3, 5)}
    for place, width in enumerate(WIDTHS):
        cells = [f"{mean:.2e} ± {spread:.0e}" for mean, spread in (curves[depth][place] for depth in (2, 3, 5))]
        table.add_row(str(width), f"{foretold(width):.2e}", *cells)
    console.print(table)
    console.print(_embeddings(ibp))
    found = []
    for outcome in trained(layers, options.epochs):
        found.append(outcome)
    console.print(_trained(found))
    console.print(
        f"certified: no change of {RADIUS} of any pixel moves a test digit to another class. paper: tightness falls\n"
        "with width and depth at the start, rises by training with boxes; wider networks certify more.\n"
        "What differs: digits of 8 x 8 instead of MNIST and CIFAR-10, perceptrons instead of CNN7.",
        highlight=False,
    )
    if options.picture:
        from ibp.picture import draw

        draw(WIDTHS, {depth: [mean for mean, _ in curve] for depth, curve in curves.items()}, found, options.picture)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ibp", description="Tightness of interval bound propagation.")
    parser.add_argument("--seeds", type=int, default=10, help="networks for each width and depth (%(default)s)")
    parser.add_argument("--epochs", type=int, default=60, help="of training (%(default)s)")
    parser.add_argument("--target", default="cpu", help="what computes (%(default)s)")
    parser.add_argument("--picture", type=Path, help="draw the figures into this file")
    return parser


def _embeddings(ibp: Ibp) -> Table:
    table = Table(title="Digits, embedded by principal components and back", box=SIMPLE_HEAD)
    for heading in ("width", "variance lost", "radius of the boxes", "tightness"):
        table.add_column(heading, justify="right")
    images = Digits.load().images
    for width in EMBEDDINGS:
        row = embedded(ibp, images, width)
        table.add_row(str(width), f"{row.lost:.3f}", f"{row.radius:.2f}", f"{row.tightness:.3f}")
    return table


def _trained(found: Sequence[Trained]) -> Table:
    table = Table(title="Digits: local tightness, accuracy, certified accuracy", box=SIMPLE_HEAD)
    for heading in ("trained on", "width", "matrices", "tightness before", "after", "right", "certified"):
        table.add_column(heading, justify="left" if heading == "trained on" else "right")
    for row in found:
        figures = (row.tightness_start, row.tightness, row.accuracy, row.certified)
        table.add_row(row.method, str(row.width), str(row.depth), *(f"{figure:.3f}" for figure in figures))
    return table
