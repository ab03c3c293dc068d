"""What the callbacks of the parser share: groups of nodes on their way up, their places, and refusals."""

from __future__ import annotations

from typing import Any

from vmc.diagnostics import Diagnostic
from vmc.ir.span import Span
from vmc.lang.words import Word

Parts = list[Any]


class Malformed(Exception):
    """A line that follows the grammar and still cannot be meant."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def over(parts: Parts) -> Span:
    """The span from the first to the last part."""
    first: Span = parts[0].span
    last: Span = parts[-1].span
    return Span(first.file, first.line, first.column, last.end_line, last.end_column)


def nodes(parts: Parts) -> Parts:
    return [part for part in parts if not isinstance(part, Word)]


def optional(parts: Parts, kind: type) -> Any:
    return next((part for part in parts if isinstance(part, kind)), None)


class Group(tuple[Any, ...]):
    """Several parts of one kind on their way to the enclosing rule, with the place they cover."""

    span: Span

    def __new__(cls, parts: Parts, span: Span) -> Group:
        group = super().__new__(cls, parts)
        group.span = span
        return group


class Params(Group):
    pass


class StaticParams(Group):
    pass


class Results(Group):
    pass


class Extents(Group):
    pass


class Exprs(Group):
    pass


class Space(Word):
    pass
