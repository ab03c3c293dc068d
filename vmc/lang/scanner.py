"""From text to logical lines of words: the lexer, and the joining of lines inside brackets.

What is wrong with the characters, numbers, strings and brackets is found here. A logical line that lost words to such a
mistake is marked `damaged`: the parser replaces it instead of complaining about it once more. A bracket that is never
closed ends where the next line can only begin a statement, so that one slip does not swallow the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vmc.diagnostics import Diagnostic, Fix, Note, error
from vmc.ir.span import Span
from vmc.lang import literals
from vmc.lang.mistakes.borrowed import foreign_comment
from vmc.lang.words import DECLARATIONS, OPENING, OPERATORS, WORDS, Word

MAX_DEPTH = 100
MAX_CHARACTERS = 4 << 20
MAX_LINE = 100_000
_ENOUGH = 200  # mistakes after which no more are reported

_OPERATOR = "|".join(re.escape(op) for op in sorted(OPERATORS, key=len, reverse=True))
_TOKEN = re.compile(
    r"(?P<SPACE>[ \t]+)"
    r"|(?P<NAME>[^\W\d]\w*)"
    r"|(?P<END>\r\n|\n|\r)"
    r"|(?P<NUMBER>0[xXoObB]\w*|\.?[0-9](?:[eE][+-](?=[0-9])|\w|\.)*)"
    rf"|(?P<OPERATOR>{_OPERATOR})"
    r"|(?P<COMMENT>\#[^\r\n]*)"
    r'|(?P<DOC>"""(?:[^"]|"(?!""))*"""|\'\'\'(?:[^\']|\'(?!\'\'))*\'\'\')'
    r'|(?P<STRING>"(?:[^"\\\r\n]|\\[^\r\n])*"|\'(?:[^\'\\\r\n]|\\[^\r\n])*\')'
    r"|(?P<OPEN_STRING>[\"'][^\r\n]*)"
    r"|(?P<JOIN>\\[ \t]*(?:\r\n|\n|\r))"
    r"|(?P<BAD>[^\x00-\x7f]|.)",
    re.DOTALL,
)
_LINE_END = re.compile(r"\r\n|\n|\r")
# A line that can only begin a statement or a declaration, whatever was open before it.
_BEGINS_STATEMENT = re.compile(
    r"[ \t]*(?:(?:for|while|return|pass|assert|static_assert|elif)\b(?!\s*=[^=])"
    r"|else[ \t]*:"
    r"|if\b[^\r\n]*:[ \t]*(?:#[^\r\n]*)?(?:[\r\n]|\Z)"
    r"|\w+(?:\[[^\]\n]*\])?[ \t]*(?:[-+*/%&|^]|//|<<|>>)=(?!=)"
    r"|\w+\[[^\]\n]*\][ \t]*=(?!=))"
)
_BEGINS_DECLARATION = re.compile(rf"(?:{'|'.join(DECLARATIONS)})[ \t]+[A-Za-z_]")
_BEGINS_WORD = re.compile(r"([ \t]*)(?!(?:if|else|and|or|in|layout|not)\b)[A-Za-z_0-9]")
_ENDS_OPERAND = frozenset(("NAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "RPAR", "RSQB"))
_LOOKALIKES = {
    "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u00d7": "*", "\u00f7": "/", "\u2264": "<=", "\u2265": ">=",
    "\u2260": "!=", "\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\uff08": "(", "\uff09": ")",
    "\uff0c": ",", "\uff1a": ":", "\u2192": "->", "\u00a0": " ", "\u3000": " ", "\u2003": " ", "\u2009": " ",
    "\u200b": "", "\ufeff": "",
}  # fmt: skip


@dataclass(slots=True)
class Line:
    """A logical line: its words (the last is NEWLINE), and the column of the first, counted from 0."""

    words: list[Word]
    indent: int
    damaged: bool = False


@dataclass(slots=True)
class Scan:
    lines: list[Line] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def strip_mark(source: str) -> str:
    """The text without a byte-order mark at its start."""
    return source[1:] if source.startswith("\ufeff") else source


def scan(source: str, file: str) -> Scan:
    """The logical lines of a file. Never raises on any text."""
    return _Scanner(strip_mark(source), file).run()


class _Scanner:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.result = Scan()
        self.words: list[Word] = []
        self.open: list[Word] = []
        self.line = 1
        self.line_start = 0
        self.damaged = False
        self.indent = 0
        self.tabs = 0
        self.reported = 0  # diagnostics before the line

    def run(self) -> Scan:
        if self._too_long():
            return self.result
        words, open_brackets = self.words, self.open
        for match in _TOKEN.finditer(self.text):
            kind = match.lastgroup
            if kind == "SPACE":
                continue
            start, end = match.span()
            if kind == "END":
                if words:
                    self._end_physical_line(start, end)
                self.line += 1
                self.line_start = end
                continue
            if kind == "COMMENT":
                continue
            column = start - self.line_start + 1
            if not words:
                self._begin_line(start)
            text = match.group()
            span = Span(self.file, self.line, column, self.line, column + end - start)
            if kind == "NAME":
                words.append(Word(WORDS.get(text, "NAME"), text, span))
                if not text.isascii():
                    self._foreign_name(words[-1])
                elif text == "inf" or text == "nan":
                    words[-1].value = float(text)
            elif kind == "OPERATOR":
                word = Word(OPERATORS[text], text, span)
                if text in "()[]":
                    self._bracket(word)
                words.append(word)
            elif kind == "NUMBER":
                self._number(text, span)
            elif kind == "STRING":
                self._string(text, span)
            else:
                self._unusual(kind, text, span, end)
        if words and words[0].text == "//":
            self._foreign_comment()
        elif words:
            self._unclosed(open_brackets)
            self._finish(len(self.text))
        if self.tabs > 1:
            self._count_tabs()
        return self.result

    # ---- lines ----

    def _too_long(self) -> bool:
        message = ""
        if len(self.text) > MAX_CHARACTERS:
            message = f"the file has {len(self.text)} characters; at most {MAX_CHARACTERS} are read"
        elif len(self.text) > MAX_LINE and max(map(len, _LINE_END.split(self.text))) > MAX_LINE:
            message = f"a line of the file has more than {MAX_LINE} characters"
        if message:
            self.result.diagnostics.append(error("E0041", message, Span(self.file, 1, 1, 1, 1)))
        return bool(message)

    def _begin_line(self, start: int) -> None:
        prefix = self.text[self.line_start : start]
        self.indent = len(prefix.expandtabs(4))
        if "\t" in prefix:
            self.tabs += 1
            if self.tabs == 1:
                span = Span(self.file, self.line, 1, self.line, len(prefix) + 1)
                self.result.diagnostics.append(
                    error(
                        "E0006",
                        "this line is indented with a tab",
                        span,
                        label="tab",
                        help="indent with four spaces a level",
                        fix=Fix(span, prefix.expandtabs(4)),
                    )
                )
        self.reported = len(self.result.diagnostics)

    def _count_tabs(self) -> None:
        diagnostics = self.result.diagnostics
        index = next(i for i, diagnostic in enumerate(diagnostics) if diagnostic.code == "E0006")
        first = diagnostics[index]
        more = f"{self.tabs - 1} more line{'s are' if self.tabs > 2 else ' is'} indented with tabs"
        diagnostics[index] = error(
            first.code, first.message, first.span, label=first.label, notes=(Note(None, more),), help=first.help,
            fix=first.fix,
        )  # fmt: skip

    def _end_physical_line(self, start: int, end: int) -> None:
        if self.words[0].text == "//":
            self._foreign_comment()
            return
        if self.open:
            if not self._next_line_is_new(end):
                return
            self._unclosed(self.open)
        self._finish(start)

    def _foreign_comment(self) -> None:
        """Forget a line that begins with `//`, and what was wrong with its words."""
        del self.result.diagnostics[self.reported :]
        self._report(foreign_comment(self.words[0].span))
        self.words.clear()
        self.open.clear()
        self.damaged = False

    def _next_line_is_new(self, end: int) -> bool:
        """Whether the line after `end` begins a statement although a bracket is open."""
        if _BEGINS_DECLARATION.match(self.text, end) or _BEGINS_STATEMENT.match(self.text, end):
            return True
        if self.words[-1].type not in _ENDS_OPERAND:
            return False
        begins = _BEGINS_WORD.match(self.text, end)
        return begins is not None and len(begins[1]) <= self.indent

    def _finish(self, position: int) -> None:
        column = position - self.line_start + 1
        last = self.words[-1].span
        if last.end_line == self.line:
            column = last.end_column
        span = Span(self.file, self.line, column, self.line, column)
        if not self._shallow():
            self.damaged = True
        self.words.append(Word("NEWLINE", "", span))
        self.result.lines.append(Line(list(self.words), self.indent, self.damaged))
        self.words.clear()
        self.damaged = False

    # ---- brackets and depth ----

    def _bracket(self, word: Word) -> None:
        if word.text in OPENING:
            self.open.append(word)
            return
        if self.open and OPENING[self.open[-1].text] == word.text:
            self.open.pop()
            return
        self.damaged = True
        if not self.open:
            self._report(error("E0008", f"`{word.text}` closes nothing", word.span, label="no bracket is open here"))
            return
        opening = self.open[-1]
        wanted = OPENING[opening.text]
        note = Note(opening.span, f"`{opening.text}` was opened here")
        self._report(
            error(
                "E0008",
                f"`{word.text}` cannot close `{opening.text}`",
                word.span,
                label=f"expected `{wanted}`",
                notes=(note,),
            )
        )
        while self.open and OPENING[self.open.pop().text] != word.text:
            pass

    def _unclosed(self, brackets: list[Word]) -> None:
        if not brackets:
            return
        opening = brackets[-1]
        message = f"`{opening.text}` is never closed"
        after = self._before_colon()
        closing = "".join(OPENING[word.text] for word in reversed(brackets))
        help = f"add `{closing}` where the bracket ends, perhaps at the end of line {after.line}"
        self._report(error("E0007", message, opening.span, label="opened here", help=help, fix=Fix(after, closing)))
        brackets.clear()
        self.damaged = True

    def _before_colon(self) -> Span:
        """The empty span at the end of the line so far, before a colon that ends it."""
        last = self.words[-1].span
        if self.words[-1].type == "COLON":
            return Span(self.file, last.line, last.column, last.line, last.column)
        return Span(self.file, last.end_line, last.end_column, last.end_line, last.end_column)

    def _close_within(self, text: str) -> None:
        """Take the closing brackets that an unclosed string has swallowed for what they were meant to be."""
        for letter in text:
            if self.open and letter == OPENING[self.open[-1].text]:
                self.open.pop()

    def _shallow(self) -> bool:
        """Whether the syntax tree of the line is certainly no deeper than MAX_DEPTH; reports where it may not be.

        At each bracket level a leaf lies under at most the operators between two commas, plus the bracket itself.
        """
        if len(self.words) <= MAX_DEPTH:
            return True
        levels = [0]
        for word in self.words:
            match word.type:
                case "LPAR" | "LSQB":
                    levels.append(0)
                case "RPAR" | "RSQB":
                    if len(levels) > 1:
                        levels.pop()
                    levels[-1] += 1
                case "COMMA" | "COLON" | "EQUAL" | "AUGMENT":
                    levels[-1] = 0
                case "NAME" | "INT" | "FLOAT" | "STRING" | "TRUE" | "FALSE" | "NONE":
                    continue
                case _:
                    levels[-1] += 1
            if len(levels) + sum(levels) > MAX_DEPTH:
                self._report(
                    error(
                        "E0029",
                        f"this expression is nested more than {MAX_DEPTH} levels deep",
                        word.span,
                        help="give an inner part a name of its own",
                    )
                )
                return False
        return True

    # ---- words ----

    def _report(self, diagnostic: Diagnostic) -> None:
        if len(self.result.diagnostics) < _ENOUGH:
            self.result.diagnostics.append(diagnostic)

    def _foreign_name(self, word: Word) -> None:
        letter = next(letter for letter in word.text if not letter.isascii())
        self._report(
            error(
                "E0011",
                f"`{letter}` cannot be part of a name",
                word.span,
                help="names are made of the letters a to z and A to Z, digits and `_`",
            )
        )

    def _number(self, text: str, span: Span) -> None:
        value = literals.number(text, span)
        if isinstance(value, Diagnostic):
            self._report(value)
            self.damaged = self.damaged or value.fix is None
            value = 1
        self.words.append(Word("FLOAT" if isinstance(value, float) else "INT", text, span, value))

    def _string(self, text: str, span: Span) -> None:
        value = literals.string(text, span)
        if isinstance(value, Diagnostic):
            self._report(value)
            value = ""
        self.words.append(Word("STRING", text, span, value))

    def _unusual(self, kind: str | None, text: str, span: Span, end: int) -> None:
        match kind:
            case "DOC":
                self._documentation(text, span, end)
            case "OPEN_STRING":
                help = f"write `{text[0]}` where the string ends"
                self._report(error("E0009", "this string is never closed", span, label="opened here", help=help))
                self.words.append(Word("STRING", text, span, text[1:]))
                self.damaged = True
                self._close_within(text)
            case "JOIN":
                message = "a backslash does not join lines"
                help = "lines are joined inside brackets: put the expression in `( )`"
                place = Span(span.file, span.line, span.column, span.line, span.column + 1)
                self._report(error("E0010", message, place, help=help))
                self.line += 1
                self.line_start = end
                self.words.append(Word("BAD", "", place))
                self.damaged = True
            case _:
                self._bad_character(text, span)

    def _documentation(self, text: str, span: Span, end: int) -> None:
        ends = list(_LINE_END.finditer(text))
        if ends:
            start = end - len(text)
            self.line += len(ends)
            self.line_start = start + ends[-1].end()
            span = Span(span.file, span.line, span.column, self.line, end - self.line_start + 1)
        help = "write comments, lines that begin with `#`"
        self._report(error("E0031", "there are no documentation strings", span, help=help))
        self.words.append(Word("STRING", "", span, ""))
        self.damaged = True

    def _bad_character(self, text: str, span: Span) -> None:
        meant = _LOOKALIKES.get(text)
        point = f"U+{ord(text):04X}"
        shown = f"`{text}` ({point})" if text.isprintable() and not text.isspace() else point
        if text.isascii() and text.isprintable():
            shown = f"`{text}`"
        message = f"the character {shown} means nothing here"
        if meant is None:
            self._report(error("E0010", message, span))
        else:
            written = {"": "nothing", " ": "a space"}.get(meant, f"`{meant}`")
            self._report(error("E0010", message, span, help=f"write {written} instead", fix=Fix(span, meant)))
        if meant is None or meant.strip():
            self.words.append(Word("BAD", text, span))
            self.damaged = True
