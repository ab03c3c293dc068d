"""Cuts IR text into tokens: values `%x`, words, numbers, strings and punctuation. `#` starts a comment."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vmc.ir.core import IRError
from vmc.ir.span import Span

TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|\#[^\n]*)
  | (?P<value>%[A-Za-z0-9_]+)
  | (?P<float>-?(?:[0-9]+\.[0-9]+(?:e[+-]?[0-9]+)?|[0-9]+e[+-]?[0-9]+)(?![A-Za-z0-9_]))
  | (?P<hex>0x[0-9a-f]+(?![A-Za-z0-9_]))
  | (?P<int>-?[0-9]+(?![A-Za-z0-9_]))
  | (?P<word>[A-Za-z0-9_]+)
  | (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
  | (?P<mark>//|\.\.|[(){}\[\]<>,:=?+*%-])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text and where it starts. `kind` is a group's name of `TOKEN`, or `end`."""

    kind: str
    text: str
    line: int
    column: int

    def span(self, file: str) -> Span:
        """The stretch of text that the token covers."""
        return Span(file, self.line, self.column, self.line, self.column + len(self.text))


def tokenize(text: str, file: str) -> list[Token]:
    """The tokens of a text, without space and comments, and a last one of kind `end`.

    Raises IRError at a character that starts no token.
    """
    tokens: list[Token] = []
    position, line, line_start = 0, 1, 0
    while position < len(text):
        match = TOKEN.match(text, position)
        column = position - line_start + 1
        if match is None:
            where = Span(file, line, column, line, column + 1)
            raise IRError(f"unexpected character {text[position]!r}", where)
        kind, piece = str(match.lastgroup), match[0]
        if kind != "space":
            tokens.append(Token(kind, piece, line, column))
        if newlines := piece.count("\n"):
            line += newlines
            line_start = position + piece.rindex("\n") + 1
        position = match.end()
    return [*tokens, Token("end", "", line, position - line_start + 1)]
