"""The command line: trains, quantizes at every width in every way, and prints how far the distributions are apart."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from networks.kernels import Layers
from networks.text import windows
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from discquant.descent import Plan
from discquant.grid import Grid
from discquant.study import GRIDS, SHAPE, Result, Sizes, Study
from discquant.vertex import fractional, gradients, walk


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console = Console()
    console.width = max(console.width, 100)
    sizes = Sizes(training=options.training)
    shape = replace(SHAPE, width=options.width)
    study = Study(Layers(options.target), shape, sizes, lambda text: print(text, file=sys.stderr, flush=True))
    study.start(options.weights)
    console.print(f"trained: {study.loss:.4f} nats a symbol on text held back", highlight=False)
    results = []
    for bits in options.bits:
        for result in study.run(bits, Plan(steps=options.steps)):
            results.append(result)
            print(f"{bits} bits, {result.method}: KL {result.divergence:.5f}", file=sys.stderr, flush=True)
    console.print(_table(results))
    console.print(_verdict(results), highlight=False)
    _print_vertex(console, study, options.constraints)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="discquant", description="DiscQuant, GPTQ and rounding to nearest.")
    parser.add_argument("--bits", nargs="+", choices=list(GRIDS), default=list(GRIDS), help="for a weight (all)")
    parser.add_argument("--training", type=int, default=1200, help="steps of training (%(default)s)")
    parser.add_argument("--steps", type=int, default=800, help="of DiscQuant (%(default)s)")
    parser.add_argument("--width", type=int, default=SHAPE.width, help="of the transformer (%(default)s)")
    parser.add_argument("--constraints", type=int, default=12, help="of the walk to a vertex (%(default)s)")
    parser.add_argument("--weights", type=Path, help="a .npy file that keeps the trained weights: read if it is there")
    parser.add_argument("--target", default="cpu", help="what computes (%(default)s)")
    return parser


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="KL to the network as trained, nats a symbol", box=SIMPLE_HEAD)
    for heading in ("bits", "method", "KL", "served", "loss", "undecided", "seconds"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for result in results:
        undecided = f"{result.fractional:.1%}" if result.method == "DiscQuant" else ""
        row = (
            f"{result.divergence:.5f}",
            f"{result.served:.5f}",
            f"{result.loss:.4f}",
            undecided,
            f"{result.seconds:.0f}",
        )
        table.add_row(result.bits, result.method, *row)
    return table


def _verdict(results: Sequence[Result]) -> str:
    """Whether the paper's order holds, width by width, GPTQ being the better of the two orders of columns."""
    lines = [
        "paper (Phi-3-mini, 3.25 bits, GSM8k): DiscQuant 64, GPTQ 54, to nearest 31; here only the order is compared"
    ]
    for bits in dict.fromkeys(result.bits for result in results):
        kl = {result.method: result.divergence for result in results if result.bits == bits}
        best = min(kl["GPTQ"], kl["GPTQ, act-order"])
        holds = kl["DiscQuant"] < best < kl["to nearest"]
        lines.append(
            f"{bits} bits: DiscQuant {kl['DiscQuant']:.4f}, GPTQ {best:.4f}, to nearest {kl['to nearest']:.4f}: "
            f"the order {'holds' if holds else 'does not hold'}"
        )
    return "\n".join(lines)


def _print_vertex(console: Console, study: Study, constraints: int) -> None:
    """The walk over 600 weights of one matrix, beside the optimum that HiGHS finds."""
    from scipy.optimize import linprog  # type: ignore[import-untyped]

    rng = np.random.default_rng(5)
    pieces = [windows(study.text, 1, study.shape.context, rng) for _ in range(constraints)]
    a, y = gradients(study.quantizer, study.network, pieces, Grid(3), "0.qkv", 600)
    cost = 1 - 2 * y
    found, steps = walk(study.quantizer, a, cost, y)
    best = linprog(cost, A_eq=a, b_eq=a @ y, bounds=(0, 1), method="highs-ds")
    console.print(
        f"{constraints} constraints, {len(y)} weights: the walk leaves {fractional(found)} fractional after {steps} "
        f"steps, <1 - 2y, x> from {cost @ y:.3f} to {cost @ found:.3f};\n"
        f"HiGHS leaves {fractional(best.x)} and has {best.fun:.3f}. Constraints are kept to "
        f"{np.abs(a @ (found - y)).max() / np.abs(a).sum(axis=1).max():.1e}.",
        highlight=False,
    )
