"""The files of a run: JSON, a summary in Markdown and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.matmul import plot
from benchmarks.matmul.contender import Missing
from benchmarks.matmul.results import Case, save
from benchmarks.matmul.summary import markdown, print_summaries, summaries


def write_json(
    stem: Path, machine: Mapping[str, Any], cases: Sequence[Case], settings: Mapping[str, Any], console: Console
) -> None:
    """Writes a run to `stem`.json, and says so."""
    save(stem.with_name(f"{stem.name}.json"), machine, cases, settings)
    console.print(f"wrote {stem}.json", highlight=False)


def write_summary(stem: Path, cases: Sequence[Case], console: Console, heading: str = "") -> None:
    """Prints the summary, and writes it to `stem`.md, a picture to `stem`.png where there is what draws it."""
    found = summaries(cases)
    print_summaries(found, console)
    stem.with_name(f"{stem.name}.md").write_text(heading + markdown(found), encoding="utf-8")
    console.print(f"wrote {stem}.md", highlight=False)
    try:
        plot.save_plot(stem.with_name(f"{stem.name}.png"), cases)
        console.print(f"wrote {stem}.png", highlight=False)
    except Missing as missing:
        console.print(f"no picture: {missing}", highlight=False)
