"""From logical lines to top-level items of rows: INDENT and DEDENT words, and what is wrong with indentation.

Every mistake of indentation is reported and repaired here, so that the parser sees blocks that are well formed: a line
indented for no reason keeps to its block, one that comes back to no block's column joins the nearest, and a header
without a block gets `pass`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vmc.diagnostics import Diagnostic, Note, error, suggest
from vmc.ir.span import Span
from vmc.lang.scanner import Line
from vmc.lang.words import DECLARATIONS, HEADERS, Word

MAX_BLOCKS = 32
MAX_BRANCHES = 100


@dataclass(slots=True)
class Row:
    """A line in its place: `before` are the INDENT or DEDENT words that lead to it.

    `opens` says that a block follows, `damaged` that the words are not to be parsed.
    """

    before: list[Word]
    words: list[Word]
    damaged: bool
    opens: bool = False


@dataclass(slots=True)
class Item:
    """A top-level item: its first row stands at the left margin. `after` are the DEDENT words that end it.

    `lost_block` says that a block should follow the first row and does not.
    """

    rows: list[Row] = field(default_factory=list)
    after: list[Word] = field(default_factory=list)
    lost_block: bool = False

    @property
    def damaged(self) -> bool:
        return any(row.damaged for row in self.rows)


@dataclass(slots=True)
class _Level:
    """A column at which lines stand; `real` levels are blocks, the others stand for needless indentation."""

    column: int
    real: bool
    branches: int = 0


def indent(lines: list[Line]) -> tuple[list[Item], list[Diagnostic]]:
    """The top-level items of a file, and what was wrong with their indentation."""
    return _Indenter().run(lines)


class _Indenter:
    def __init__(self) -> None:
        self.items: list[Item] = []
        self.diagnostics: list[Diagnostic] = []
        self.levels: list[_Level] = [_Level(0, True)]
        self.previous: Row | None = None
        self.too_deep = False

    def run(self, lines: list[Line]) -> tuple[list[Item], list[Diagnostic]]:
        if lines and lines[0].indent:
            help = "declarations start at the left margin"
            self._complain("E0004", "the first line is indented", lines[0].words[0].span, help)
            self.levels[0].column = lines[0].indent
        for line in lines:
            self._place(line)
        if self.previous is not None:
            self._end_block_header(self.previous.words[-1].span)
        self._close_to(1)
        return self.items, self.diagnostics

    def _complain(self, code: str, message: str, span: Span, help: str, notes: tuple[Note, ...] = ()) -> None:
        self.diagnostics.append(error(code, message, span, help=help, notes=notes))

    def _place(self, line: Line) -> None:
        first = line.words[0].span
        here = Span(first.file, first.line, first.column, first.line, first.column)
        before: list[Word] = []
        if line.indent > self.levels[-1].column:
            before = self._deeper(line, here)
        else:
            if self.previous is not None:
                self._end_block_header(first)
            self._shallower(line, here)
        top = sum(level.real for level in self.levels) == 1
        row = Row(before, line.words, line.damaged)
        if top and len(self.levels) == 1:
            self.items.append(Item([row]))
        else:
            self.items[-1].rows.append(row)
            self._take_dedents(row)
        self._count_branches(row)
        self.previous = row

    def _take_dedents(self, row: Row) -> None:
        item = self.items[-1]
        row.before = item.after + row.before
        item.after = []

    def _deeper(self, line: Line, here: Span) -> list[Word]:
        previous = self.previous
        assert previous is not None
        real = previous.damaged or _opens_block(previous)
        if not real:
            note = Note(previous.words[0].span, "this line opens no block")
            help = "align it with the line above, or join long lines inside brackets"
            self._complain("E0004", "this line is indented for no reason", line.words[0].span, help, (note,))
        elif len(self.levels) > MAX_BLOCKS:
            real = False
            previous.damaged = True
            if not self.too_deep:
                help = "make the inner blocks a function"
                message = f"blocks are nested more than {MAX_BLOCKS} deep"
                self._complain("E0029", message, line.words[0].span, help)
            self.too_deep = True
        self.levels.append(_Level(line.indent, real))
        previous.opens = real
        return [Word("INDENT", "", here)] if real else []

    def _shallower(self, line: Line, here: Span) -> None:
        if line.indent == self.levels[-1].column:
            return
        keep = len(self.levels)
        while keep > 1 and self.levels[keep - 1].column > line.indent:
            keep -= 1
        if line.indent < self.levels[0].column:
            self.levels[0].column = line.indent
        if line.indent != self.levels[keep - 1].column:
            keep = self._nearest(line, keep)
        self._close_to(keep, here)

    def _nearest(self, line: Line, keep: int) -> int:
        """The block that a line between two columns is taken to belong to: never the file itself."""
        above, below = self.levels[keep - 1], self.levels[keep]
        columns = f"columns {above.column + 1} and {below.column + 1}"
        message = f"this line stands between the blocks at {columns}"
        self._complain("E0005", message, line.words[0].span, "align it with one of them")
        nearer = line.indent - above.column < below.column - line.indent
        return keep if keep > 1 and nearer else keep + 1

    def _close_to(self, keep: int, here: Span | None = None) -> None:
        while len(self.levels) > keep:
            level = self.levels.pop()
            if level.real:
                span = here or self.items[-1].rows[-1].words[-1].span
                self.items[-1].after.append(Word("DEDENT", "", span))

    def _end_block_header(self, next_word: Span) -> None:
        """Report a header whose block does not follow, and give it one."""
        header = self.previous
        assert header is not None
        if header.damaged or len(header.words) < 2 or header.words[-2].type != "COLON":
            return
        colon = header.words[-2].span
        first = header.words[0].text
        self.diagnostics.append(
            error(
                "E0003",
                f"no indented block follows this `{first}` line",
                colon,
                label="a block begins here",
                help="indent the lines that belong to it, or write `pass`",
            )
        )
        header.damaged = True
        header.opens = True
        self.items[-1].lost_block = header is self.items[-1].rows[0]
        end = header.words[-1].span
        words = [Word("PASS", "", end), Word("NEWLINE", "", end)]
        self.items[-1].rows.append(Row([Word("INDENT", "", end)], words, True))
        self.items[-1].after.append(Word("DEDENT", "", end))

    def _count_branches(self, row: Row) -> None:
        level = self.levels[-1]
        level.branches = level.branches + 1 if row.words[0].type == "ELIF" else 0
        if level.branches > MAX_BRANCHES:
            row.damaged = True
            if level.branches == MAX_BRANCHES + 1:
                help = "look the answer up in a table, or make a part of the branches a function"
                message = f"an `if` has more than {MAX_BRANCHES} branches"
                self._complain("E0029", message, row.words[0].span, help)


def _opens_block(row: Row) -> bool:
    """Whether a block may follow: the line ends with a colon, or begins like a line that does."""
    if len(row.words) > 1 and row.words[-2].type == "COLON":
        return True
    first = row.words[0]
    if first.text in HEADERS:
        return True
    return first.type == "NAME" and suggest(first.text, (*HEADERS, *DECLARATIONS)) in HEADERS
