"""The command line: the table of errors, then the ranking of recipes on digits and on text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from networks.kernels import Layers
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fp4_training.errors import cells
from fp4_training.study import RECIPES, Digits, Outcome, Text, rank
from fp4_training.tensors import Fp4

FEW = ("f32", "MXFP4", "MXFP4 + RHT + SR", "NVFP4", "NVFP4 + RHT + SR", "UE5M3/16", "UE5M3/16 + RHT + SR")

WIDTH = 116
"""What the tables need."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console, layers = Console(), Layers(options.target)
    console.width = max(console.width, WIDTH)
    if "errors" in options.parts:
        _print_errors(console, options.samples)
    if "digits" in options.parts:
        digits = Digits.load(layers, options.epochs)
        found = list(rank(digits, layers, tuple(RECIPES), options.seeds))
        _print_ranking(console, f"digits: three layers, {options.epochs} epochs", found)
        if options.picture:
            from fp4_training.picture import draw

            draw(found, options.picture)
    if "text" in options.parts:
        text = Text.load(layers, options.steps)
        found = list(rank(text, layers, FEW if options.few else tuple(RECIPES), 1))
        _print_ranking(console, f"text: a transformer of two blocks, {options.steps} steps", found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fp4_training", description="Training with products of four-bit numbers.")
    parts = ("errors", "digits", "text")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="what to do (all)")
    parser.add_argument("--samples", type=int, default=16, help="samples of 2^18 numbers for the errors (%(default)s)")
    parser.add_argument("--epochs", type=int, default=30, help="over the digits (%(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="networks for digits and recipe (%(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="over the text (%(default)s)")
    parser.add_argument("--few", action="store_true", help=f"for text, only {', '.join(FEW)}")
    parser.add_argument("--target", default="cpu", help="what computes (%(default)s)")
    parser.add_argument("--picture", type=Path, help="draw the ranking on digits into this file")
    return parser


def _print_errors(console: Console, samples: int) -> None:
    table = Table(title="Relative square error of quantization", box=SIMPLE_HEAD)
    for heading in ("data", "format", "paper", "ours", "samples"):
        table.add_column(heading, justify="left" if heading in ("data", "format") else "right", no_wrap=True)
    for cell in cells(Fp4(), samples, 2**18):
        digits = 3 if cell.paper > 0.2 else 4
        span = f"{cell.least:.{digits}f} .. {cell.greatest:.{digits}f}"
        table.add_row(cell.data, cell.format, f"{cell.paper:.{digits}f}", f"{cell.ours:.{digits}f}", span)
    console.print(table)
    console.print(
        f"paper: reference figures, from one sample; ours: the median of {samples} samples of 2^18 numbers\n"
        "samples: the least and the greatest. What differs: samples of t(3), whose squares have\n"
        "no variance; nothing else.",
        highlight=False,
    )


def _print_ranking(console: Console, title: str, found: Sequence[Outcome]) -> None:
    table = Table(title=title, box=SIMPLE_HEAD)
    for heading in ("recipe", "train loss", "test loss", "of f32", "seeds", "right", "seconds"):
        table.add_column(heading, justify="left" if heading == "recipe" else "right", no_wrap=True)
    plain = next(outcome.test for outcome in found if outcome.recipe == "f32")
    for outcome in sorted(found, key=lambda outcome: outcome.test):
        table.add_row(
            outcome.recipe,
            f"{outcome.train:.4f}",
            f"{outcome.test:.4f}",
            f"{outcome.test / plain:.3f}",
            f"{min(outcome.tests):.3f} .. {max(outcome.tests):.3f}",
            f"{outcome.accuracy:.4f}",
            f"{outcome.seconds:.0f}",
        )
    console.print(table)
    console.print(
        "seeds: the least and the greatest test loss    SR: gradients rounded stochastically    RHT: rotated",
        highlight=False,
    )
