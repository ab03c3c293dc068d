"""PTX text to syntax trees, by Lark (LALR) and the grammar beside this file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.errors import Location, PtxSyntaxError

WIDTHS = {
    "b8": 8, "u8": 8, "s8": 8, "b16": 16, "u16": 16, "s16": 16, "f16": 16, "bf16": 16, "b32": 32, "u32": 32, "s32": 32,
    "f32": 32, "f16x2": 32, "bf16x2": 32, "tf32": 32, "u16x2": 32, "s16x2": 32, "b64": 64, "u64": 64, "s64": 64,
    "f64": 64, "f32x2": 64, "b128": 128, "pred": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A parsed module. `target` is the architecture it was compiled for, `files` the names that `.loc` refers to."""

    target: str
    functions: tuple[syntax.Function, ...]
    variables: tuple[syntax.Variable, ...]
    files: dict[int, str] = field(default_factory=dict)


def parse(text: str) -> Tree:
    """Raises PtxSyntaxError with the line and what was expected there."""
    try:
        items: list[Any] = list(_lark().parse(text))  # type: ignore[call-overload]
    except UnexpectedInput as error:
        raise PtxSyntaxError(_describe(text, error)) from None
    files = {number: name for kind, number, name in _of(items, "file")}
    functions = tuple(_located(f, files) for f in items if isinstance(f, syntax.Function))
    variables = tuple(v for v in items if isinstance(v, syntax.Variable))
    targets = [name for _, name in _of(items, "target")]
    return Tree(targets[0] if targets else "", functions, variables, files)


def _of(items: list[Any], kind: str) -> Iterator[Any]:
    return (item for item in items if isinstance(item, tuple) and item[0] == kind)


def _describe(text: str, error: UnexpectedInput) -> str:
    line = text.splitlines()[error.line - 1].strip() if 0 < error.line <= text.count("\n") + 1 else ""
    match error:
        case UnexpectedToken():
            what = f"`{error.token}`" if error.token else "the end of the text"
        case UnexpectedCharacters():
            what = f"`{error.char}`"
        case _:
            what = "the end of the text"
    return f"ptx:{error.line}: {what} is not expected here\n  in: {line}"


@lru_cache(maxsize=1)
def _lark() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text()
    return Lark(grammar, parser="lalr", lexer="contextual", transformer=_Builder(), maybe_placeholders=True)


@dataclass(frozen=True)
class _Loc:
    """`.loc`, until the statements after it have been given their source lines."""

    file: int
    line: int
    column: int
    caller: _Loc | None = None

    def place(self, files: dict[int, str]) -> tuple[str, int, int]:
        """File, line and column; the caller's for an inlined function of another file, such as a header."""
        if self.caller is not None and self.caller.file != self.file:
            return self.caller.place(files)
        return files.get(self.file, ""), self.line, self.column


def _located(function: syntax.Function, files: dict[int, str]) -> syntax.Function:
    if function.body is None:
        return function
    here: list[_Loc] = [_Loc(0, 0, 0)]

    def walk(body: tuple[Any, ...]) -> Iterator[syntax.Statement]:
        for statement in body:
            match statement:
                case _Loc():
                    here[0] = statement
                case syntax.Scope(inner):
                    yield syntax.Scope(tuple(walk(inner)))
                case syntax.Instruction(opcode, operands, guard, location):
                    place = Location(location.ptx_line, *here[0].place(files))
                    yield syntax.Instruction(opcode, operands, guard, place)
                case _:
                    yield statement

    return syntax.Function(
        function.name, function.entry, function.parameters, tuple(walk(function.body)), function.limits
    )


def _int(token: str) -> int:
    return int(token.rstrip("U"), 0) if not token.lstrip("-").startswith("0") or not token[1:] else _leading(token)


def _leading(token: str) -> int:
    """Integers that start with 0: hexadecimal, binary, or octal."""
    digits = token.rstrip("U")
    negative, digits = digits.startswith("-"), digits.lstrip("-")
    match digits[:2].lower():
        case "0x":
            value = int(digits, 16)
        case "0b":
            value = int(digits, 2)
        case _:
            value = int(digits, 8)
    return -value if negative else value


class _Builder(Transformer[Token, Any]):
    """What each rule of the grammar becomes."""

    def start(self, items: list[Any]) -> list[Any]:
        external = False
        result: list[Any] = []
        for item in items:
            if item == "external":
                external = True
                continue
            if isinstance(item, syntax.Variable) and external:
                item = syntax.Variable(
                    item.space, item.name, item.kind, item.align, item.size, item.element, item.initial, True
                )
            if item is not None:
                external = False
                result.append(item)
        return result

    def target(self, items: list[Any]) -> Any:
        return ("target", str(items[0]))

    def file(self, items: list[Any]) -> Any:
        return ("file", _int(items[0]), str(items[1])[1:-1])

    def external(self, items: list[Any]) -> str:
        return "external"

    def nothing(self, items: list[Any]) -> None:
        return None

    pragma = nothing
    prototype = nothing
    register_parameter = nothing

    def align(self, items: list[Any]) -> int:
        return _int(items[0])

    def dimension(self, items: list[Any]) -> int | None:
        return None if not items or items[0] is None else _int(items[0])

    def declarator(self, items: list[Any]) -> tuple[str, list[int | None]]:
        return str(items[0]), items[1:]

    def initial(self, items: list[Any]) -> tuple[Any, ...]:
        return tuple(item for item in items if item is not None)

    def symbol(self, items: list[Any]) -> Any:
        return syntax.Offset(str(items[0]), _int(items[1])) if items[1] else syntax.Name(str(items[0]))

    def variable(self, items: list[Any]) -> syntax.Variable:
        return self._declared(items)

    local_parameter = variable
    parameter = variable

    def _declared(self, items: list[Any]) -> syntax.Variable:
        space, kind, align, lanes = "", "", 0, 1
        name, sizes, initial = "", [], ()
        for item in items:
            match item:
                case Token(type="SPACE" | "PARAM") if not space:
                    space = str(item)[1:]
                case Token(type="TYPE"):
                    kind = str(item)[1:]
                case Token(type="VECTOR"):
                    lanes = int(item[2:])
                case int():
                    align = align or item
                case (str(), list()):
                    name, sizes = item
                case tuple():
                    initial = item
        element = WIDTHS[kind] // 8
        size: int | None = element * lanes
        for extent in sizes:
            size = None if extent is None or size is None else size * extent
        return syntax.Variable(space, name, kind, align or element * lanes, size, element, initial)

    def parameters(self, items: list[Any]) -> Any:
        return ("parameters", tuple(i for i in items if i is not None))

    def results(self, items: list[Any]) -> None:
        return None

    def limit(self, items: list[Any]) -> Any:
        if not items or items[0].type != "LIMIT":
            return None
        return ("limit", str(items[0])[1:], tuple(_int(i) for i in items[1:]))

    def body(self, items: list[Any]) -> syntax.Scope:
        return syntax.Scope(tuple(i for i in items if i is not None and not isinstance(i, Token)))

    def function(self, items: list[Any]) -> syntax.Function:
        name = next(str(i) for i in items if isinstance(i, Token) and i.type == "IDENT")
        entry = any(isinstance(i, Token) and i.type == "ENTRY" for i in items)
        parameters: tuple[syntax.Variable, ...] = ()
        limits: dict[str, tuple[int, ...]] = {}
        body = None
        for item in items:
            match item:
                case ("parameters", found):
                    parameters = found
                case ("limit", limit, numbers):
                    limits[limit] = numbers
                case syntax.Scope(statements):
                    body = statements
        return syntax.Function(name, entry, parameters, body, limits)

    def label(self, items: list[Any]) -> syntax.Label:
        return syntax.Label(str(items[0])[:-1].strip())

    def register(self, items: list[Any]) -> tuple[str, int | None]:
        return str(items[0]), _int(items[1]) if len(items) > 1 else None

    def registers(self, items: list[Any]) -> syntax.Registers:
        kind = next(i for i in items if isinstance(i, Token) and i.type == "TYPE")
        return syntax.Registers(str(kind)[1:], tuple(i for i in items if isinstance(i, tuple)))

    def loc(self, items: list[Any]) -> _Loc:
        inlined = len(items) > 3 and items[-1] is not None
        caller = _Loc(_int(items[-3]), _int(items[-2]), _int(items[-1])) if inlined else None
        return _Loc(_int(items[0]), _int(items[1]), _int(items[2]), caller)

    def targets(self, items: list[Any]) -> syntax.Targets:
        return syntax.Targets(tuple(map(str, items)))

    def guard(self, items: list[Any]) -> syntax.Guard:
        return syntax.Guard(str(items[-1]), len(items) == 2)

    def instruction(self, items: list[Any]) -> syntax.Instruction:
        guard = items[0] if isinstance(items[0], syntax.Guard) else None
        opcode = items[1] if guard else items[0]
        operands = tuple(i for i in items[2 if guard else 1 :] if i is not None)
        return syntax.Instruction(tuple(str(opcode).split(".")), operands, guard, Location(opcode.line))

    def name(self, items: list[Any]) -> syntax.Name:
        return syntax.Name(str(items[0]))

    def offset(self, items: list[Any]) -> syntax.Offset:
        return syntax.Offset(str(items[0]), _int(items[1]))

    def negated(self, items: list[Any]) -> syntax.Not:
        return syntax.Not(syntax.Name(str(items[0])))

    def integer(self, items: list[Any]) -> syntax.Integer:
        return syntax.Integer(_int(items[0]))

    def decimal(self, items: list[Any]) -> syntax.Float:
        return syntax.Float(float(items[0]))

    def hexfloat(self, items: list[Any]) -> syntax.Float:
        digits = str(items[0])[2:]
        data = bytes.fromhex(digits)
        return syntax.Float(struct.unpack(">f" if len(data) == 4 else ">d", data)[0], int(digits, 16), 8 * len(data))

    def vector(self, items: list[Any]) -> syntax.Vector:
        return syntax.Vector(tuple(items))

    def address(self, items: list[Any]) -> syntax.Address:
        offset = _int(items[1]) if items[1] else 0
        return syntax.Address(str(items[0]), offset, tuple(items[2:]))

    def absolute(self, items: list[Any]) -> syntax.Address:
        return syntax.Address(None, _int(items[0]))

    def pair(self, items: list[Any]) -> syntax.Pair:
        return syntax.Pair(items[0], items[1])

    def arguments(self, items: list[Any]) -> syntax.Arguments:
        return syntax.Arguments(tuple(i for i in items if i is not None))
