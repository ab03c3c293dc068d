"""The text form of layouts: expressions of constructors, as people write them, and one generic form that says it all.

local(2, 1).spatial(8, 4).local(1, 2)
swizzle(row_major(8, 64, bits=16), 7, 3, 3)
layout([16, 8], [(2, 2, bit), (8, 4, lane), (4, 1, lane), (2, 1, bit)], bits=0)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vmc.ir.layout import algebra, constructors
from vmc.ir.layout.digits import Digit, LayoutError
from vmc.ir.layout.layout import Layout, Swizzle

TOKEN = re.compile(r"\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)|(?P<string>\"[^\"]*\")|(?P<mark>[()\[\],.=*]))")
MAX_DOMAIN = 1 << 26


class UnknownLayoutError(LayoutError):
    """A constructor or method that does not exist; `name` is it, `known` are those that do."""

    def __init__(self, message: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(message)
        self.name, self.known = name, known


def text(layout: Layout) -> str:
    """The generic form, which `parse` reads back to an equal layout."""
    parts = [f"[{', '.join(map(str, layout.shape))}]", f"[{', '.join(map(str, layout.digits))}]"]
    if layout.element_bits:
        parts.append(f"bits={layout.element_bits}")
    if layout.replicas:
        parts.append(f"replicas=[{', '.join(map(str, layout.replicas))}]")
    if layout.offset:
        parts.append(f"offset=[{', '.join(f'({axis}, {value})' for axis, value in layout.offset)}]")
    if layout.swizzle:
        parts.append(f"swizzle=[{layout.swizzle.base}, {layout.swizzle.bits}, {layout.swizzle.shift}]")
    return f"layout({', '.join(parts)})"


def generic(
    shape: list[int],
    digits: list[tuple[int, int, str]],
    bits: int = 0,
    replicas: list[tuple[int, int, str]] | None = None,
    offset: list[tuple[str, int]] | None = None,
    swizzle: list[int] | None = None,
) -> Layout:
    """The layout that the generic form names."""
    return Layout(
        tuple(shape),
        tuple(Digit(*d) for d in digits),
        tuple(Digit(*d) for d in replicas or ()),
        tuple((axis, value) for axis, value in offset or ()),
        Swizzle(*swizzle) if swizzle else None,
        bits,
    )


CONSTRUCTORS: dict[str, Callable[..., Layout]] = {
    "row_major": constructors.row_major,
    "col_major": constructors.col_major,
    "strided": constructors.strided,
    "packed": constructors.packed,
    "split": constructors.split,
    "local": constructors.local,
    "spatial": constructors.spatial,
    "column_local": constructors.column_local,
    "column_spatial": constructors.column_spatial,
    "warps": constructors.warps,
    "replicated": constructors.replicated,
    "swizzle": constructors.swizzle,
    "mma_fragment": constructors.mma_fragment,
    "wgmma_accumulator": constructors.wgmma_accumulator,
    "layout": generic,
}

METHODS: dict[str, Callable[..., Layout]] = {
    **{
        name: (lambda make: lambda base, *args, **named: base * make(*args, **named))(CONSTRUCTORS[name])
        for name in (
            "local",
            "spatial",
            "column_local",
            "column_spatial",
            "warps",
            "replicated",
            "row_major",
            "col_major",
        )
    },
    "with_bits": Layout.with_bits,
    "reshape": Layout.reshape,
    "permute": lambda base, *order: algebra.permute(base, order),
    "reduce": lambda base, *dims: algebra.reduce(base, dims),
    "inverse": algebra.inverse,
    "swizzle": constructors.swizzle,
    "slice": algebra.slice_layout,
}


def parse(source: str) -> Layout:
    """The layout that a text denotes. Raises LayoutError with the position of what is wrong."""
    parser = Parser(source, tokens(source))
    layout = parser.expression()
    parser.expect_end()
    return layout


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    position: int


def tokens(source: str) -> list[Token]:
    """The tokens of a text, an `end` last. Raises LayoutError for a character that none begins with."""
    found: list[Token] = []
    position = 0
    while source[position:].strip():
        match = TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            raise LayoutError(f"at {position + 1}: unexpected {source[position:].strip()[0]!r}")
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return [*found, Token("end", "the end", len(source))]


class Parser:
    """Recursive descent: expression := term ('*' term)*, term := call ('.' call)*."""

    def __init__(self, source: str, items: list[Token]) -> None:
        self.source, self.items, self.next, self.depth = source, items, 0, 0

    @property
    def token(self) -> Token:
        return self.items[self.next]

    def fail(self, message: str, token: Token | None = None) -> LayoutError:
        return LayoutError(f"at {(token or self.token).position + 1}: {message}")

    def take(self, mark: str) -> bool:
        if self.token.kind == "mark" and self.token.text == mark:
            self.next += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            raise self.fail(f"expected `{mark}`, found `{self.token.text}`")

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.fail(f"expected the end, found `{self.token.text}`")

    def expression(self) -> Layout:
        layout = self.term()
        while self.take("*"):
            layout = self.checked(algebra.product, self.token, layout, self.term())
        return layout

    def term(self) -> Layout:
        layout = self.call(CONSTRUCTORS, ())
        while self.take("."):
            layout = self.call(METHODS, (layout,))
        return layout

    def call(self, table: dict[str, Callable[..., Layout]], first: tuple[Layout, ...]) -> Layout:
        token = self.token
        if token.kind != "name":
            raise self.fail(f"expected the name of a layout, found `{token.text}`")
        if token.text not in table:
            raise UnknownLayoutError(
                f"at {token.position + 1}: unknown layout `{token.text}`", token.text, tuple(sorted(table))
            )
        self.next += 1
        self.expect("(")
        positional, named = self.arguments()
        return self.checked(table[token.text], token, *first, *positional, **named)

    def checked(self, make: Callable[..., Layout], token: Token, *args: Any, **named: Any) -> Layout:
        """Applies a function to arguments that the text gave. Raises LayoutError for what it does not take."""
        try:
            layout = make(*args, **named)
        except LayoutError as error:
            raise self.fail(str(error), token) from None
        except (TypeError, ValueError, AttributeError, OverflowError, ZeroDivisionError):
            raise self.fail(f"`{token.text}` does not take these arguments", token) from None
        if not isinstance(layout, Layout) or any(n < 1 for n in layout.shape):
            raise self.fail("extents must be at least 1", token)
        return layout

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        while not self.take(")"):
            token = self.token
            if token.kind == "name" and self.items[self.next + 1].text == "=":
                self.next += 2
                named[token.text] = self.argument()
            else:
                positional.append(self.argument())
            if not self.take(","):
                self.expect(")")
                break
        return positional, named

    def argument(self) -> Any:
        """A number, a word, a string, a list, or a layout."""
        token = self.token
        if token.kind == "number":
            self.next += 1
            if len(token.text) > 9:
                raise self.fail("this number is too large", token)
            return int(token.text)
        if token.kind == "string":
            self.next += 1
            return token.text[1:-1]
        if token.kind == "mark" and token.text in "[(":
            return self.sequence("]" if token.text == "[" else ")")
        if token.kind == "name" and self.items[self.next + 1].text != "(":
            self.next += 1
            return width_named(token.text)
        self.depth += 1
        if self.depth > 50:
            raise self.fail("nested too deeply")
        layout = self.expression()
        self.depth -= 1
        return layout

    def sequence(self, closing: str) -> Any:
        """A bracketed list; a parenthesised one is a tuple."""
        self.next += 1
        self.depth += 1
        if self.depth > 50:
            raise self.fail("nested too deeply")
        items: list[Any] = []
        while not self.take(closing):
            items.append(self.argument())
            if not self.take(","):
                self.expect(closing)
                break
        self.depth -= 1
        return items if closing == "]" else tuple(items)


def width_named(word: str) -> int | str:
    """The width of a numeric type by its name (`u3` is 3); any other word stays, as the name of an axis."""
    from vmc.ir.types import UnknownTypeError, dtype

    try:
        return dtype(word).width
    except UnknownTypeError:
        return word
