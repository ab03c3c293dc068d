"""Fenced code blocks of a Markdown file, with their line numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """One block: its language, its text, and where it stands."""

    language: str
    text: str
    file: str
    line: int

    @property
    def id(self) -> str:
        return f"{Path(self.file).name}-{self.line}"


def snippets(path: Path) -> list[Snippet]:
    """The fenced blocks of a file that name a language, in order."""
    source = path.read_text("utf-8")
    return [
        Snippet(match[1], match[2], str(path), source[: match.start()].count("\n") + 2)
        for match in FENCE.finditer(source)
    ]
