"""Reads the text form of modules, by recursive descent: one method for each piece of the grammar.

    module   :=  kernel*
    kernel   :=  "kernel" name ["<" name "=" word, ... ">"] arguments ["symbols" "(" name, ... ")"] ["fast"]
                 ["level" "(" level ")"] ["threads" "(" int ")"] [location] block
    block    :=  "{" operation* "}"
    op       :=  [%value, ... "="] name [%value, ...] ["{" name "=" attr, ... "}"] [":" type, ...] [location]
                 ([arguments] block)*
    location :=  "loc" "(" ("?" | [file ","] line ":" column ".." line ":" column) ")"

An operation's operands start on the line of its name. What is read is checked by the operation's definition, so that a
module that parses is well typed; operations without a location get their place in the text. Malformed text raises
IRError with the place, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from vmc.ir.core import Attr, IRError, Kernel, Level, Module, Op, Region, Storage, TileType, Type, Value, attributes
from vmc.ir.opdef import OpDef, check_attrs
from vmc.ir.ops import OPS
from vmc.ir.span import UNKNOWN, Span
from vmc.ir.text.attributes import AttributeReader
from vmc.ir.text.printer import type_text

T = TypeVar("T")


def parse_module(text: str, file: str = "<text>") -> Module:
    """The module that a text spells. Raises IRError, with the place, where it spells none."""
    return _Parser(text, file).module()


def parse_storage(text: str) -> Storage:
    """The storage that a text spells. Raises IRError where it spells none."""
    reader = AttributeReader(text, "<storage>")
    storage = reader.storage()
    if reader.token.kind != "end":
        reader.fail(f"expected the end, found {reader.describe()}")
    return storage


def parse_type(text: str) -> Type:
    """The type that a text spells, as `type_text` prints it. Raises IRError where it spells none."""
    reader = AttributeReader(text, "<type>")
    type = reader.type()
    if reader.token.kind != "end":
        reader.fail(f"expected the end, found {reader.describe()}")
    return type


class _Parser(AttributeReader):
    """Reads kernels, regions and operations. `scope` holds the visible values; `defined`, all names of the kernel."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self.scope: dict[str, Value] = {}
        self.defined: set[str] = set()
        self.source = file

    def module(self) -> Module:
        kernels = []
        while self.token.kind != "end":
            kernels.append(self.kernel())
        return Module(tuple(kernels))

    def kernel(self) -> Kernel:
        start = self.expect("kernel")
        self.scope, self.defined = {}, set()
        name = self.name("the kernel's name")
        bindings = self.listed("<", self.binding, ">") if self.at("<") else ()
        params = self.arguments()
        symbols = self.listed("(", lambda: self.name("a symbol"), ")") if self.accept("symbols") else ()
        fast = self.accept("fast")
        level = self.level() if self.accept("level") else Level.TILE
        threads = self.threads() if self.accept("threads") else 0
        span = self.location("") or self.span(start)
        self.source = span.file
        return Kernel(name, params, symbols, self.block(()), fast, level, bindings, span, threads=threads)

    def binding(self) -> tuple[str, str]:
        name = self.name("a parameter's name")
        self.expect("=")
        plain = self.token.kind in ("word", "int", "hex", "float")
        return name, self.next().text if plain else self.string("a parameter's value")

    def level(self) -> Level:
        self.expect("(")
        level = self.one_of("a level", {level.value: level for level in Level})
        self.expect(")")
        return level

    def threads(self) -> int:
        self.expect("(")
        number = self.integer()
        self.expect(")")
        return number

    def arguments(self) -> tuple[Value, ...]:
        return self.listed("(", self.argument, ")")

    def argument(self) -> Value:
        token = self.expect_kind("value", "an argument")
        self.expect(":")
        with self.blaming(token):
            return self.define(token.text, self.type())

    def define(self, name: str, type: Type) -> Value:
        if name in self.defined:
            raise IRError(f"{name} is defined twice")
        value = Value(type, "" if name[1:].isdigit() else name[1:])
        self.defined.add(name)
        self.scope[name] = value
        return value

    def use(self) -> Value:
        token = self.expect_kind("value", "a value")
        if token.text not in self.scope:
            self.fail(f"{token.text} is not defined here", token)
        return self.scope[token.text]

    def region(self) -> Region:
        """Arguments, if any, and a block; what they define is visible in the block alone."""
        visible = len(self.scope)
        region = self.block(self.arguments() if self.at("(") else ())
        for name in list(self.scope)[visible:]:
            del self.scope[name]
        return region

    def block(self, args: tuple[Value, ...]) -> Region:
        self.expect("{")
        ops = []
        with self.nested():
            while not self.accept("}"):
                ops.append(self.operation())
        return Region(args, tuple(ops))

    def operation(self) -> Op:
        start = self.token
        targets = self.separated(lambda: self.expect_kind("value", "a result").text) if start.kind == "value" else ()
        if targets:
            self.expect("=")
        name = self.expect_kind("word", "an operation")
        if name.text not in OPS:
            self.fail(f"there is no operation '{name.text}'", name)
        on_line = self.token.kind == "value" and self.token.line == name.line
        operands = self.separated(self.use) if on_line else ()
        attrs = attributes(**dict(self.listed("{", self.attribute, "}"))) if self.at_attributes() else attributes()
        types = self.separated(self.type) if self.accept(":") else ()
        span = self.location(self.source) or self.span(start)
        regions = []
        while self.at("{") or self.at("("):
            regions.append(self.region())
        with self.blaming(name):
            results = self.results(targets, types, infer(OPS[name.text], operands, attrs))
            op = Op(OPS[name.text], operands, results, attrs, tuple(regions), span)
            guarded(lambda: op.definition.verify(op))
        return op

    def results(self, targets: Sequence[str], types: Sequence[Type], inferred: Sequence[Type]) -> tuple[Value, ...]:
        """The results under their written types, which are the inferred ones but for layouts."""
        if list(map(bare, types)) != list(map(bare, inferred)):
            wanted, found = (", ".join(map(type_text, side)) or "nothing" for side in (inferred, types))
            raise IRError(f"the result types are {wanted}, and the text says {found}")
        if len(targets) != len(types):
            raise IRError(f"{len(targets)} names for {len(types)} results")
        return tuple(map(self.define, targets, types))

    def at_attributes(self) -> bool:
        """Whether a brace opens attributes: `name =` follows, and no operation in a region starts so."""
        after = self.tokens[self.position + 1 : self.position + 3]
        return self.at("{") and len(after) == 2 and after[0].kind == "word" and after[1].text == "="

    def attribute(self) -> tuple[str, Attr]:
        name = self.expect_kind("word", "an attribute's name").text
        self.expect("=")
        return name, self.attr()

    def location(self, file: str) -> Span | None:
        """A span, if one is written; `file` is what it leaves out."""
        if not self.accept("loc"):
            return None
        self.expect("(")
        if self.accept("?"):
            self.expect(")")
            return UNKNOWN
        if self.token.kind == "string":
            file = self.string("a file")
            self.expect(",")
        numbers = [self.integer()]
        for mark in (":", "..", ":"):
            self.expect(mark)
            numbers.append(self.integer())
        self.expect(")")
        return Span(file, *numbers)


def bare(type: Type) -> Type:
    """A tile's type without its layout; a tensor's as it is."""
    return TileType(type.dtype, type.shape) if isinstance(type, TileType) else type


def infer(definition: OpDef, operands: Sequence[Value], attrs: Mapping[str, Attr]) -> tuple[Type, ...]:
    """The definition's result types, after a check of the attributes. Raises IRError."""
    check_attrs(definition, attrs)
    return guarded(lambda: definition.infer([operand.type for operand in operands], attrs))


def guarded(check: Callable[[], T]) -> T:
    """The result of a definition's check, with IRError for whatever it raises.

    A definition may rely on what the types of attributes cannot say (the items of a tuple) and on sensible numbers of
    operands; text can break both.
    """
    try:
        return check()
    except IRError:
        raise
    except Exception as error:
        raise IRError(f"operands or attributes make no sense here ({error})") from error
