"""A place in a list of tokens, with what every recursive-descent method needs: peek, accept, expect, and complain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from vmc.ir.core import IRError
from vmc.ir.span import Span
from vmc.ir.text.lexer import Token, tokenize

T = TypeVar("T")

MAX_DEPTH = 50
"""Nesting of regions, tuples and extents; deeper text is refused before Python's own stack is."""


class Cursor:
    """Reads tokens one after another. All errors are IRError and name a token's place."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.tokens = tokenize(text, file)
        self.position = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def next(self) -> Token:
        """The current token; the cursor moves past it, but never past the end."""
        token = self.token
        self.position += token.kind != "end"
        return token

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        raise IRError(message, (token or self.token).span(self.file))

    def span(self, start: Token) -> Span:
        """The text from a token up to the last one read."""
        return start.span(self.file).to(self.tokens[max(self.position - 1, 0)].span(self.file))

    @contextmanager
    def blaming(self, token: Token) -> Iterator[None]:
        """Places IRErrors that come without a place at a token."""
        try:
            yield
        except IRError as error:
            if error.span.line == 0:
                self.fail(error.message, token)
            raise

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Counts one level of nesting. Raises IRError beyond MAX_DEPTH."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"the text nests deeper than {MAX_DEPTH} levels")
        yield
        self.depth -= 1

    def at(self, text: str) -> bool:
        """Whether the current token is this word or mark."""
        return self.token.text == text and self.token.kind in ("word", "mark")

    def accept(self, text: str) -> bool:
        """Moves past this word or mark, if it is the current token."""
        found = self.at(text)
        self.position += found
        return found

    def expect(self, text: str) -> Token:
        if not self.at(text):
            self.fail(f"expected '{text}', found {self.describe()}")
        return self.next()

    def expect_kind(self, kind: str, what: str) -> Token:
        if self.token.kind != kind:
            self.fail(f"expected {what}, found {self.describe()}")
        return self.next()

    def describe(self) -> str:
        return "the end of the text" if self.token.kind == "end" else f"'{self.token.text}'"

    def separated(self, item: Callable[[], T]) -> tuple[T, ...]:
        """One or more items between commas."""
        items = [item()]
        while self.accept(","):
            items.append(item())
        return tuple(items)

    def listed(self, opening: str, item: Callable[[], T], closing: str) -> tuple[T, ...]:
        """Items between commas, none or more, in a pair of brackets."""
        self.expect(opening)
        if self.accept(closing):
            return ()
        items = self.separated(item)
        self.expect(closing)
        return items

    def name(self, what: str) -> str:
        """A word, or any text in quotes."""
        return self.next().text if self.token.kind == "word" else self.string(what)

    def string(self, what: str) -> str:
        token = self.expect_kind("string", what)
        try:
            return str(json.loads(token.text))
        except ValueError:
            self.fail("this string has an escape that does not exist", token)

    def integer(self, what: str = "an integer") -> int:
        token = self.expect_kind("int", what)
        if len(token.text) > 1000:
            self.fail("this integer has more than a thousand digits", token)
        return int(token.text)

    def one_of(self, what: str, choices: Mapping[str, T]) -> T:
        token = self.expect_kind("word", what)
        if token.text not in choices:
            self.fail(f"expected {what} ({', '.join(choices)}), found '{token.text}'", token)
        return choices[token.text]
