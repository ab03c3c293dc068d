"""How source text stands in the cells of a terminal: tabs, wide and combining letters, and what must not be printed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

TAB = 4
_LINE_END = re.compile(r"\r\n|\n|\r")
_UNPRINTABLE = frozenset(("Cc", "Cs", "Cf", "Zl", "Zp", "Cn", "Co"))


def source_lines(source: str) -> list[str]:
    """The physical lines of a source text, as spans count them: a byte-order mark at the start does not count."""
    return _LINE_END.split(source.removeprefix("\ufeff"))


@dataclass(frozen=True, slots=True)
class CellLine:
    """A line of text as printed: `starts[i]` is the cell at which character i begins, with one entry past the end."""

    shown: list[str]
    starts: list[int]

    @property
    def width(self) -> int:
        return self.starts[-1]

    def cell(self, column: int) -> int:
        """The cell of a column counted from 1; columns past the end are the end."""
        return self.starts[max(0, min(column - 1, len(self.shown)))]

    def text(self, first: int = 0, last: int | None = None) -> str:
        """The characters that begin in the cells from `first` up to `last`."""
        end = self.width if last is None else last
        kept = (piece for piece, start in zip(self.shown, self.starts[:-1], strict=True) if first <= start < end)
        return "".join(kept)


def cells(line: str) -> CellLine:
    """Lay out a line: tabs become spaces, control characters and the like U+FFFD."""
    shown: list[str] = []
    starts = [0]
    for letter in line:
        position = starts[-1]
        if letter == "\t":
            shown.append(" " * (TAB - position % TAB))
            starts.append(position + TAB - position % TAB)
        elif letter.isascii() and letter.isprintable():
            shown.append(letter)
            starts.append(position + 1)
        elif unicodedata.category(letter) in _UNPRINTABLE:
            shown.append("\ufffd")
            starts.append(position + 1)
        elif unicodedata.combining(letter):
            shown.append(letter)
            starts.append(position)
        else:
            shown.append(letter)
            starts.append(position + (2 if unicodedata.east_asian_width(letter) in "WF" else 1))
    return CellLine(shown, starts)


def printable(text: str) -> str:
    """Text that may be printed anywhere: line ends and tabs become spaces, other control characters U+FFFD."""
    spaced = re.sub(r"[\t\r\n]+", " ", text)
    return "".join("\ufffd" if unicodedata.category(letter) in _UNPRINTABLE else letter for letter in spaced)
