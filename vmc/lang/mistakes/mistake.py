"""A line that the grammar refuses, as the recognisers of mistakes see it."""

from __future__ import annotations

from dataclasses import dataclass

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.ir.span import Span
from vmc.lang.words import OPENING, RESERVED, Word

OPERAND = frozenset(("NAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE"))
OPERAND_END = OPERAND | {"RPAR", "RSQB"}
CONDITIONS = frozenset(("IF", "ELIF", "WHILE", "ASSERT", "STATIC_ASSERT"))
RESERVED_TYPES = frozenset(RESERVED.values()) - {"FLOAT", "TRUE", "FALSE", "NONE"}
AFTER_NAME = frozenset(
    ("EQUAL", "AUGMENT", "DOT", "COMMA", "RPAR", "RSQB", "COMPARE", "PLUS", "MULTIPLY", "POWER", "SHIFT", "NEWLINE")
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line, the position in it of the word that cannot stand there, and the terminals that could."""

    words: list[Word]
    position: int
    accepted: frozenset[str]
    top: bool
    in_format: bool

    @property
    def word(self) -> Word:
        return self.words[self.position]

    @property
    def previous(self) -> Word | None:
        return self.words[self.position - 1] if self.position else None

    @property
    def following(self) -> Word | None:
        return self.words[self.position + 1] if self.position + 1 < len(self.words) else None

    @property
    def head(self) -> Word:
        return self.words[0]

    def open_brackets(self) -> list[int]:
        """Where the brackets that are open before the word were opened."""
        positions: list[int] = []
        for index, word in enumerate(self.words[: self.position]):
            if word.text in OPENING:
                positions.append(index)
            elif word.text in (")", "]") and positions:
                positions.pop()
        return positions

    def after_previous(self) -> Span:
        """The empty span right after the word before."""
        end = (self.previous or self.word).span
        return Span(end.file, end.end_line, end.end_column, end.end_line, end.end_column)


def taken_as_name(mistake: Mistake) -> bool:
    """Whether the word after a reserved word treats it as a name."""
    following = mistake.following
    if following is None:
        return False
    if following.type in AFTER_NAME:
        return True
    previous = mistake.previous
    return following.type in ("LPAR", "LSQB", "COLON") and previous is not None and previous.type in ("DEF", "KERNEL")


def misspelt(word: Word, meant: str) -> Diagnostic:
    message = f"`{word.text}` is no keyword"
    return error("E0014", message, word.span, help=f"did you mean `{meant}`?", fix=Fix(word.span, meant))
