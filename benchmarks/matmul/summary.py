"""The end of a run as a table for each shape, cold and hot: how vmc's fastest kernel for a type stands to the peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console
from rich.table import Table

from benchmarks.matmul.problem import Shape
from benchmarks.matmul.results import Case, Row

NONE = "-"
NOTE = (
    "Each cell: the time of the fastest peer of that width, or where there is none of the next wider, over vmc's. "
    "Of read, of copy: the bytes of the weights that vmc multiplied in a second at M=1, over what memory gave when it "
    "was read, or copied, in the same run."
)


@dataclass(frozen=True)
class Summary:
    """A line for each element type: its cells, in the order of `columns`."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def summaries(cases: Sequence[Case]) -> list[Summary]:
    """A summary for each shape and memory that vmc took part in, in the order of the cases."""
    keys = list(dict.fromkeys((case.shape, case.memory) for case in cases))
    made = (
        summary(shape, memory, [c for c in cases if (c.shape, c.memory) == (shape, memory)]) for shape, memory in keys
    )
    return [found for found in made if found.lines]


def summary(shape: Shape, memory: str, cases: Sequence[Case]) -> Summary:
    """Of cases that differ in M."""
    best = [fastest(case) for case in cases]
    types = dict.fromkeys(type for found in best for type in found)
    lines = [(type, *(against_peers(found.get(type)) for found in best), of_read(type, cases)) for type in types]
    access = cases[0].access if cases else "read"
    columns = ("weights", *(f"M={case.m}" for case in cases), f"of {access}, M=1")
    return Summary(f"{shape}, {memory} weights", columns, tuple(lines))


def fastest(case: Case) -> dict[str, Row]:
    """vmc's fastest row for each element type."""
    ours = sorted((row for row in case.rows if row.library == "vmc"), key=lambda row: (row.bits, row.type))
    return {type: min(rows, key=lambda row: row.median) for type, rows in groupby(ours, lambda row: row.type)}


def against_peers(row: Row | None) -> str:
    return f"{row.ratio:.2f}" if row and row.ratio else NONE


def of_read(type: str, cases: Sequence[Case]) -> str:
    """The share of memory's bandwidth that the fastest kernel needs with one row."""
    shares = [found.bandwidth / case.read for case in cases if case.m == 1 and (found := fastest(case).get(type))]
    return f"{shares[0]:.0%}" if shares else NONE


def print_summaries(found: Sequence[Summary], console: Console) -> None:
    for each in found:
        table = Table(title=f"vmc against the best peer: {each.title}", title_justify="left")
        for place, column in enumerate(each.columns):
            table.add_column(column, justify="right" if place else "left", no_wrap=True)
        for line in each.lines:
            table.add_row(*line)
        console.print(table)
    if found:
        console.print(NOTE, highlight=False)


def markdown(found: Sequence[Summary]) -> str:
    """The same as Markdown."""
    return "\n".join([*(section(each) for each in found), NOTE, ""])


def section(each: Summary) -> str:
    rows = [each.columns, ("---", *("---:" for _ in each.columns[1:])), *each.lines]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"### {each.title}\n\n{table}\n"
