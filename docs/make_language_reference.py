"""Writes the table of functions at the end of docs/language.md from the definitions."""

from __future__ import annotations

from pathlib import Path

from vmc.lang.elaborate.arguments import signature
from vmc.lang.elaborate.builtins import FAMILIES

DOCUMENT = Path(__file__).parent / "language.md"
MARK = "<!-- What follows is written by make_language_reference.py. -->\n"


def reference() -> str:
    """The functions of the language as Markdown tables, one a family."""
    parts = []
    for family, builtins in FAMILIES.items():
        rows = [f"| {signature(b.name, b.parameters)} | {b.summary.replace('|', chr(92) + '|')} |" for b in builtins]
        parts.append("\n".join([f"### {family}", "", "| function | gives |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def document(text: str) -> str:
    """The document with its reference written anew."""
    head, _, _ = text.partition(MARK)
    return f"{head}{MARK}\n{reference()}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")
