"""A diagnostic as text for a person: message, place, the source line with the culprit underlined, and the way out.

error[E0203]: `/` divides floats, and `n` is i32
  --> half.vmc:2:14
   |
 2 |     return n / 2
   |              ^ integers here
   |
help: write `//`
   |
 2 |     return n // 2
   |              ++
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vmc.diagnostics.cells import CellLine, cells, printable, source_lines
from vmc.diagnostics.diagnostic import Diagnostic, Fix
from vmc.ir.span import Span

_ELLIPSIS = "..."
_MOST_LINES = 4
_PAINT = {"error": "1;31", "warning": "1;33", "note": "1;32", "help": "1;36", "gutter": "1;34", "bold": "1"}


def render(
    diagnostic: Diagnostic, source: str | Mapping[str, str] | None, color: bool = False, width: int = 100
) -> str:
    """The diagnostic as lines of text, ending with a line end.

    `source` is the text of the file the diagnostic points into, or a mapping from file names to texts where notes may
    point into others. Source lines are cut to `width` cells around the culprit. `color` adds ANSI colours.
    """
    return "".join(line + "\n" for line in _Renderer(diagnostic, source, color, width).lines())


def render_all(
    diagnostics: Iterable[Diagnostic], source: str | Mapping[str, str] | None, color: bool = False, width: int = 100
) -> str:
    """All diagnostics with an empty line after each, and a count of errors and warnings at the end."""
    shown = list(diagnostics)
    parts = [render(diagnostic, source, color, width) + "\n" for diagnostic in shown]
    return "".join(parts) + (summary(shown) + "\n" if shown else "")


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    shown = list(diagnostics)
    errors = sum(diagnostic.is_error for diagnostic in shown)
    counts = [(errors, "error"), (len(shown) - errors, "warning")]
    return ", ".join(f"{count} {noun}{'s' * (count > 1)}" for count, noun in counts if count) or "no errors"


@dataclass(frozen=True, slots=True)
class _Renderer:
    diagnostic: Diagnostic
    source: str | Mapping[str, str] | None
    color: bool
    width: int

    def lines(self) -> list[str]:
        diagnostic = self.diagnostic
        kind = str(diagnostic.severity)
        head = self.paint(f"{kind}[{diagnostic.code}]", kind)
        out = [f"{head}{self.paint(': ' + printable(diagnostic.message), 'bold')}"]
        out += self.excerpt(diagnostic.span, kind, "^", diagnostic.label)
        for note in diagnostic.notes:
            if note.span is None:
                out.append(self.bare("note", note.text))
            else:
                out += [f"{self.paint('note', 'note')}: {printable(note.text)}"]
                out += self.excerpt(note.span, "note", "-", "")
        return out + self.help()

    # ---- parts ----

    def paint(self, text: str, kind: str) -> str:
        return f"\x1b[{_PAINT[kind]}m{text}\x1b[0m" if self.color and text else text

    def gutter(self, number: int | None = None) -> str:
        text = f"{'' if number is None else number:>{self.digits()}} |"
        return self.paint(text, "gutter")

    def digits(self) -> int:
        diagnostic = self.diagnostic
        spans = [diagnostic.span, *(note.span for note in diagnostic.notes if note.span)]
        return max(2, *(len(str(span.end_line)) for span in spans)) + 1

    def bare(self, kind: str, text: str) -> str:
        equals = self.paint(" " * (self.digits() + 1) + "=", "gutter")
        return f"{equals} {self.paint(kind, kind)}: {printable(text)}"

    def text_of(self, file: str) -> list[str]:
        match self.source:
            case None:
                return []
            case str(text):
                return source_lines(text) if file == self.diagnostic.span.file else []
            case sources:
                return source_lines(sources[file]) if file in sources else []

    def excerpt(self, span: Span, kind: str, mark: str, label: str) -> list[str]:
        if span.line < 1:
            return [f"{' ' * self.digits()}{self.paint('=', 'gutter')} {printable(label)}"] if label else []
        arrow = self.paint(" " * self.digits() + "-->", "gutter")
        place = [f"{arrow} {printable(span.file)}:{span.line}:{span.column}"]
        source = self.text_of(span.file)
        if span.line > len(source):
            return place
        body: list[str] = []
        numbers = list(range(span.line, min(span.end_line, len(source)) + 1)) or [span.line]
        cut = len(numbers) > _MOST_LINES
        for number in [*numbers[:2], *numbers[-1:]] if cut else numbers:
            if cut and number == numbers[-1]:
                body.append(self.paint(_ELLIPSIS, "gutter"))
            last = number == numbers[-1]
            body += self.marked(cells(source[number - 1]), source[number - 1], number, span, kind, mark, label * last)
        return [*place, self.gutter(), *body]

    def marked(self, line: CellLine, text: str, number: int, span: Span, kind: str, mark: str, label: str) -> list[str]:
        """A source line and the marks under the part of it that the span covers."""
        first_column = span.column if number == span.line else len(text) - len(text.lstrip()) + 1
        start = line.cell(first_column)
        end = line.cell(span.end_column) if number == span.end_line else line.width
        shown, shift = self.window(line, start, end)
        width = max(1, min(end, shift + self.room()) - start)
        under = " " * (start - shift + (len(_ELLIPSIS) if shift else 0)) + self.paint(mark * width, kind)
        said = " " + self.paint(printable(label), kind) if label else ""
        return [f"{self.gutter(number)} {shown}".rstrip(), f"{self.gutter()} {under}{said}"]

    def room(self) -> int:
        return max(20, self.width - self.digits() - 3 - 2 * len(_ELLIPSIS))

    def window(self, line: CellLine, start: int, end: int) -> tuple[str, int]:
        """The part of a line that fits, with the cell it begins at; `...` stands for what is cut."""
        room = self.room()
        if line.width <= room + 2 * len(_ELLIPSIS):
            return line.text(), 0
        shift = 0 if min(end, start + room) <= room else max(0, start - room // 3)
        shift = min((cell for cell in line.starts if cell >= shift), default=shift)
        before = _ELLIPSIS if shift else ""
        after = _ELLIPSIS if shift + room < line.width else ""
        return f"{before}{line.text(shift, shift + room)}{after}", shift

    def help(self) -> list[str]:
        diagnostic = self.diagnostic
        preview = self.preview(diagnostic.fix) if diagnostic.fix else []
        if diagnostic.help is None and not preview:
            return []
        text = diagnostic.help or "change it like this"
        if not preview and not any(note.span for note in diagnostic.notes):
            return [self.bare("help", text)]
        return [f"{self.paint('help', 'help')}: {printable(text)}", *preview]

    def preview(self, fix: Fix) -> list[str]:
        """The line as it would be after the fix; nothing where more than one line changes."""
        span = fix.span
        source = self.text_of(span.file)
        if span.line != span.end_line or not 1 <= span.line <= len(source) or "\n" in fix.replacement:
            return []
        old = source[span.line - 1]
        new = old[: span.column - 1] + fix.replacement + old[span.end_column - 1 :]
        if not new.strip():
            return []
        line = cells(new.rstrip())
        start, end = line.cell(span.column), line.cell(span.column + len(fix.replacement))
        shown, shift = self.window(line, start, end)
        rows = [self.gutter(), f"{self.gutter(span.line)} {shown}".rstrip()]
        if end > start:
            marks = "+" if span.column == span.end_column else "~"
            under = " " * (start - shift + (len(_ELLIPSIS) if shift else 0))
            rows.append(f"{self.gutter()} {under}{self.paint(marks * (end - start), 'help')}")
        return rows
