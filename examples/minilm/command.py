"""The command line of the study: options, a progress bar on the terminal, and a table or JSON of the results."""

from __future__ import annotations

import argparse
import json
import sys
from argparse import BooleanOptionalAction
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from minilm.peers import PEERS, Embed, MissingLibraryError
from minilm.quantize import check_fits
from minilm.study import ENGINES, Result, Study
from minilm.weights import MissingWeightsError, Model, find_model, read_model
from vmc.ir.types import UnknownTypeError

TYPES = "u8,u6,u5,u4,u3,u2,f6e3m2,f4e2m1"
SENTENCES = Path(__file__).with_name("sentences.txt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and print it; 0, or 1 with a line on stderr where it cannot run."""
    options = _parser().parse_args(arguments)
    types = [name.strip() for name in options.types.split(",")]
    try:
        sentences = _read_sentences(options.limit)
        model = read_model(find_model())
        for name in types:
            check_fits(name, model.config.hidden, options.group)
    except (MissingWeightsError, UnknownTypeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results = _run(Study(model, sentences), types, options, _peers(model, options.peers))
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        _print_table(results, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minilm", description="Sentence embeddings of all-MiniLM-L6-v2 with weights of any width."
    )
    parser.add_argument("--types", default=TYPES, help="types of the weights, separated by commas (%(default)s)")
    parser.add_argument("--group", type=int, default=64, help="weights that share a scale (%(default)s)")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT sentences, at least 7")
    parser.add_argument("--engine", choices=ENGINES, default="vmc", help="what multiplies (%(default)s)")
    parser.add_argument("--peers", action=BooleanOptionalAction, default=True, help="time f32 by other libraries too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _read_sentences(limit: int | None) -> list[str]:
    sentences = SENTENCES.read_text(encoding="utf-8").splitlines()
    if limit is not None and limit < 7:
        raise ValueError(f"--limit {limit}: to compare the 5 nearest of a sentence takes at least 7 sentences")
    return sentences[:limit]


def _peers(model: Model, wanted: bool) -> dict[str, Embed]:
    """The peers that are installed; a line on stderr for each that is not."""
    found = {}
    for name, encoder in PEERS.items() if wanted else ():
        try:
            found[name] = encoder(model)
        except MissingLibraryError as error:
            print(f"note: {error}", file=sys.stderr)
    return found


def _run(study: Study, types: Sequence[str], options: argparse.Namespace, peers: Mapping[str, Embed]) -> list[Result]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("f32", total=study.steps(types, list(peers)))

        def step(doing: str) -> None:
            progress.update(task, advance=1, description=doing)

        return list(study.run(types, options.group, options.engine, step, peers))


HEADINGS = ("weights", "MB", "bits", "cosine", "least", "rank", "top 1", "top 5", "setup s", "embed s")

LEGEND = """\
MB, bits: the linear layers with their scales, and per weight; all else stays f32
cosine, least: of a sentence's embedding and its f32 embedding: mean and minimum
rank: a sentence ranks all others by similarity; Spearman's coefficient of that
      ranking with the one by f32 embeddings, averaged over the sentences
top 1, top 5: share of the nearest, and of the 5 nearest, that f32 finds too
f32, torch, ORT: the f32 model by NumPy, torch, ONNX Runtime
setup: quantizing, compiling, packing    embed: all sentences, median of 3"""


def _print_table(results: Sequence[Result], options: argparse.Namespace) -> None:
    table = Table(
        title=f"all-MiniLM-L6-v2, {options.group} weights a scale, products by {options.engine}",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "weights" else "right", no_wrap=True)
    for result in results:
        table.add_row(*_cells(result))
    console = Console()
    console.print(table)
    console.print(LEGEND, highlight=False, soft_wrap=True)


def _cells(result: Result) -> tuple[str, ...]:
    agreement = result.agreement
    return (
        result.type,
        f"{result.weight_bytes / 1e6:.2f}",
        f"{result.bits:.2f}",
        f"{agreement.cosine_mean:.4f}",
        f"{agreement.cosine_min:.4f}",
        f"{agreement.spearman:.4f}",
        f"{agreement.top1:.3f}",
        f"{agreement.top5:.3f}",
        f"{result.quantize + result.prepare:.2f}",
        f"{result.embed:.2f}",
    )
