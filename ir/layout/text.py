"""Layouts in text: expressions, as people write them, and the form that says everything, which `Layout.text` prints.

    layout   :=  term ("*" term)*
    term     :=  call ("." call)*
    call     :=  name "(" [argument ("," argument)* [","]] ")"   |  literal
    argument :=  [name "="] (int | type | string | "(" argument, ... ")" | "[" argument, ... "]" | layout)
    literal  :=  "layout" "(" ints plane ("+" plane)* ["replica" digit]* ["swizzle" ints] ")"
    plane    :=  ["bits" int] ":" digit* ["at" "(" axis "," int ")"]*
    digit    :=  "(" extent "," stride "," axis ")"

local(2, 1).spatial(8, 4).local(1, 2).with_bits(16)
swizzle(row_major(8, 64, bits=16), 7, 3, 3)
layout((16, 8): (2, 2, bit) (32, 1, lane) (2, 1, bit))
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vmc.ir.layout import algebra, constructors, fragments
from vmc.ir.layout.digits import Digit, LayoutError
from vmc.ir.layout.layout import Layout
from vmc.ir.layout.planes import Plane
from vmc.ir.layout.swizzle import Swizzle

Build = Callable[..., Layout]

TOKEN = re.compile(r'\s*(?:(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<string>"[^"]*")|(?P<mark>[()\[\],.=*:+]))')
DEEPEST = 50
LONGEST_NUMBER = 15

CONSTRUCTORS: dict[str, tuple[Build, str]] = {
    "local": (constructors.local, "local(n, ...)"),
    "spatial": (constructors.spatial, "spatial(n, ...)"),
    "column_local": (constructors.column_local, "column_local(n, ...)"),
    "column_spatial": (constructors.column_spatial, "column_spatial(n, ...)"),
    "warps": (constructors.warps, "warps(n, ...)"),
    "replicated": (constructors.replicated, "replicated(n, ..., lanes=n, warps=1)"),
    "row_major": (constructors.row_major, "row_major(n, ..., bits=0)"),
    "col_major": (constructors.col_major, "col_major(n, ..., bits=0)"),
    "strided": (constructors.strided, "strided((n, ...), (stride, ...), bits=0)"),
    "packed": (constructors.packed, "packed(type or bits, n, ...)"),
    "planes": (constructors.planes, "planes((n, ...), widths=(2, 1))"),
    "split": (constructors.split, "split(n, bits)"),
    "swizzle": (constructors.swizzle, "swizzle(layout, base, bits, shift)"),
    "mma_fragment": (fragments.mma_fragment, 'mma_fragment("m16n8k16", "a", bits=16)'),
    "wgmma_accumulator": (fragments.wgmma_accumulator, "wgmma_accumulator(n)"),
    "inverse": (algebra.inverse, "inverse(layout)"),
    "compose": (algebra.compose, "compose(outer, inner)"),
    "divide": (algebra.divide, "divide(whole, inner)"),
    "left_divide": (algebra.left_divide, "left_divide(whole, outer)"),
    "concat": (algebra.concat, "concat(layout, layout, ...)"),
    "pack_map": (algebra.pack_map, "pack_map(fragment, storage)"),
}
"""What an expression may begin with, and how it is used."""


def times(build: Build) -> Build:
    """A constructor as a method: the product with what it makes."""
    return lambda base, *args, **named: base * build(*args, **named)


METHODS: dict[str, tuple[Build, str]] = {
    **{name: (times(build), use) for name, (build, use) in list(CONSTRUCTORS.items())[:8]},
    "with_bits": (Layout.with_bits, "with_bits(n)"),
    "shifted": (Layout.shifted, "shifted(axis=n, ...)"),
    "swizzle": (Layout.swizzled, "swizzle(base, bits, shift)"),
    "reshape": (Layout.reshape, "reshape(n, ...)"),
    "permute": (lambda base, *order: algebra.permute(base, order), "permute(dimension, ...)"),
    "slice": (algebra.slice_layout, "slice((start, ...), (size, ...), (step, ...))"),
    "reduce": (lambda base, *dims: algebra.reduce(base, dims), "reduce(dimension, ...)"),
    "inverse": (algebra.inverse, "inverse()"),
}
"""What may follow a dot, and how it is used."""


class UnknownLayoutError(LayoutError):
    """A constructor or method that does not exist; `name` is it, `known` are those that do."""

    def __init__(self, name: str, known: tuple[str, ...], position: int) -> None:
        super().__init__(f"unknown layout `{name}`", position)
        self.name, self.known = name, known


def parse(source: str) -> Layout:
    """The layout that a text denotes. Raises LayoutError with the position of what is wrong."""
    parser = Parser(tokens(source))
    layout = parser.expression()
    if parser.token.kind != "end":
        raise parser.unexpected("the end of the layout")
    return layout


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    position: int


def tokens(source: str) -> list[Token]:
    """The tokens of a text, an `end` last. Raises LayoutError for a character that none begins with."""
    found: list[Token] = []
    position, end = 0, len(source.rstrip())
    while position < end:
        match = TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            at = position + len(source[position:]) - len(source[position:].lstrip())
            raise LayoutError(f"unexpected {source[at]!r}", at)
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return [*found, Token("end", "", end)]


class Parser:
    """Recursive descent over the grammar above; builds as it reads."""

    def __init__(self, items: list[Token]) -> None:
        self.items, self.next, self.depth = items, 0, 0

    @property
    def token(self) -> Token:
        return self.items[self.next]

    def unexpected(self, wanted: str) -> LayoutError:
        found = "the end of the layout" if self.token.kind == "end" else f"`{self.token.text}`"
        return LayoutError(f"expected {wanted}, found {found}", self.token.position)

    def take(self, text: str) -> bool:
        if self.token.text == text and self.token.kind in ("mark", "name"):
            self.next += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            raise self.unexpected(f"`{mark}`")

    def expect_kind(self, kind: str, wanted: str) -> Token:
        token = self.token
        if token.kind != kind:
            raise self.unexpected(wanted)
        self.next += 1
        return token

    def number(self, wanted: str) -> int:
        token = self.expect_kind("number", wanted)
        if len(token.text) > LONGEST_NUMBER:
            raise LayoutError("this number is too large", token.position)
        return int(token.text)

    # ---- expressions -------------------------------------------------------------------------------------------------

    def expression(self) -> Layout:
        layout = self.term()
        while self.token.text == "*":
            star = self.expect_kind("mark", "`*`")
            layout = self.built(star, lambda: (algebra.product, "layout * layout"), [layout, self.term()], {})
        return layout

    def term(self) -> Layout:
        literal = self.token.text == "layout"
        layout = self.literal() if literal else self.call(CONSTRUCTORS, [])
        while self.take("."):
            layout = self.call(METHODS, [layout])
        return layout

    def call(self, table: dict[str, tuple[Build, str]], first: list[Layout]) -> Layout:
        name = self.expect_kind("name", "the name of a layout")
        if name.text not in table:
            raise UnknownLayoutError(name.text, tuple(sorted(table)), name.position)
        self.expect("(")
        positional, named = self.arguments()
        return self.built(name, lambda: table[name.text], [*first, *positional], named)

    def built(self, at: Token, what: Callable[[], tuple[Build, str]], args: list[Any], named: dict[str, Any]) -> Layout:
        """What a function makes of the arguments. Raises LayoutError at a token where it takes others."""
        build, use = what()
        try:
            layout = build(*args, **named)
        except LayoutError as error:
            raise LayoutError(error.message, at.position) from None
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError):
            raise LayoutError(f"expected `{use}`", at.position) from None
        if not isinstance(layout, Layout):
            raise LayoutError(f"expected `{use}`", at.position)
        return layout

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        while not self.take(")"):
            ahead = self.items[self.next + 1] if self.token.kind == "name" else self.token
            if ahead.text == "=":
                word = self.expect_kind("name", "a name").text
                self.expect("=")
                named[word] = self.argument()
            elif named:
                raise self.unexpected("a named argument")
            else:
                positional.append(self.argument())
            if not self.take(","):
                self.expect(")")
                break
        return positional, named

    def argument(self) -> Any:
        """A number, a type's width, a string, a tuple, or a layout."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise LayoutError("nested too deeply", self.token.position)
        match self.token.kind:
            case "number":
                value: Any = self.number("a number")
            case "string":
                value = self.expect_kind("string", "a string").text[1:-1]
            case "mark" if self.token.text in "([":
                value = self.sequence()
            case "name" if self.items[self.next + 1].text != "(":
                value = self.type_width()
            case _:
                value = self.expression()
        self.depth -= 1
        return value

    def sequence(self) -> tuple[Any, ...]:
        closing = ")" if self.expect_kind("mark", "`(`").text == "(" else "]"
        items: list[Any] = []
        while not self.take(closing):
            items.append(self.argument())
            if not self.take(","):
                self.expect(closing)
                break
        return tuple(items)

    def type_width(self) -> int:
        """The width of a numeric type, by its name."""
        from vmc.ir.types import UnknownTypeError, dtype

        token = self.expect_kind("name", "a type")
        try:
            return dtype(token.text).width
        except UnknownTypeError as error:
            raise LayoutError(str(error), token.position) from None

    # ---- the form that says everything -------------------------------------------------------------------------------

    def literal(self) -> Layout:
        at = self.expect_kind("name", "`layout`")
        self.expect("(")
        shape = self.integers()
        planes = [self.plane()]
        while self.take("+"):
            planes.append(self.plane())
        replicas = []
        while self.take("replica"):
            replicas.append(self.digit())
        swizzle = self.integers() if self.take("swizzle") else None
        self.expect(")")

        def build() -> Layout:
            return Layout(shape, tuple(planes), tuple(replicas), Swizzle(*swizzle) if swizzle else None)

        return self.built(at, lambda: (build, "layout((n, ...): digits)"), [], {})

    def plane(self) -> Plane:
        bits = self.number("a number of bits") if self.take("bits") else 0
        self.expect(":")
        digits, offset = [], []
        while self.token.text == "(":
            digits.append(self.digit())
        while self.take("at"):
            self.expect("(")
            axis = self.expect_kind("name", "an axis").text
            self.expect(",")
            offset.append((axis, self.number("an offset")))
            self.expect(")")
        return Plane(bits, tuple(digits), tuple(offset))

    def digit(self) -> Digit:
        at = self.token
        self.expect("(")
        extent = self.number("an extent")
        self.expect(",")
        stride = self.number("a stride")
        self.expect(",")
        axis = self.expect_kind("name", "an axis").text
        self.expect(")")
        try:
            return Digit(extent, stride, axis)
        except LayoutError as error:
            raise LayoutError(error.message, at.position) from None

    def integers(self) -> tuple[int, ...]:
        at = self.token
        if at.text != "(":
            raise self.unexpected("`(`")
        items = self.sequence()
        if not all(isinstance(item, int) for item in items):
            raise LayoutError("expected numbers", at.position)
        return items
