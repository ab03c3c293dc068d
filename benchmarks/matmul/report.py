"""The table of a case on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.matmul.results import Case, Row

COLUMNS = ("contender", "weights", "in", "µs", "spread", "Gop/s", "GB/s", "of {}", "vs peer", "best peer", "error")
"""`in`: what it computes in. `of read`: part of memory's bandwidth. `vs peer`: the best peer's time over its own."""

WORDS = frozenset({"contender", "weights", "in", "best peer"})


def print_case(case: Case, console: Console) -> None:
    """Rows by width, the fastest first; vmc's in bold."""
    table = Table(title=case.title(), title_justify="left")
    for column in columns(case):
        table.add_column(column, justify="left" if column in WORDS else "right", no_wrap=True)
    ordered = sorted(case.rows, key=lambda row: (row.bits, row.median))
    for place, row in enumerate(ordered):
        last = place + 1 == len(ordered) or ordered[place + 1].bits != row.bits
        table.add_row(*cells(row, case), style="bold" if row.library == "vmc" else None, end_section=last)
    console.print(table)


def columns(case: Case) -> tuple[str, ...]:
    named = tuple(column.format(case.access) for column in COLUMNS)
    return (*named, f"vs {case.dense}") if case.dense else named


def cells(row: Row, case: Case) -> tuple[str, ...]:
    """The row's text, in the order of `columns`."""
    times = case.of_dense(row)
    against_dense = (f"{times:.2f}" if times else "",) if case.dense else ()
    return (
        row.name,
        row.type,
        row.compute,
        f"{row.median * 1e6:,.0f}" if row.median >= 1e-4 else f"{row.median * 1e6:,.1f}",
        f"{row.spread:.0%}",
        f"{row.operations / 1e9:.1f}",
        f"{row.bandwidth / 1e9:.2f}",
        f"{row.bandwidth / case.read:.0%}",
        f"{row.ratio:.2f}" if row.ratio else "",
        row.against or "",
        f"{row.product_error:.1e}",
        *against_dense,
    )
