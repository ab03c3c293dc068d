"""The syntax tree of a PTX module: what the text says, with nothing resolved.

Operands are registers or symbols (told apart when an entry is assembled), literals, vectors `{a, b}`, addresses
`[a+4]`, pairs `p|q`, negations `!p`, and lists `(a, b)` of a call.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vmc.backends.ptxvm.errors import Location


@dataclass(frozen=True)
class Name:
    """A register, a variable, a label, or a special register such as `%tid.x`."""

    text: str


@dataclass(frozen=True)
class Integer:
    value: int


@dataclass(frozen=True)
class Float:
    """A floating-point literal: its value, and its exact bits where the text gives them (`0f3F800000`)."""

    value: float
    bits: int | None = None
    width: int = 64


@dataclass(frozen=True)
class Vector:
    elements: tuple[Operand, ...]


@dataclass(frozen=True)
class Address:
    """`[base+offset]`; without a base, `[offset]`. `more`: the further operands of a tensor address."""

    base: str | None
    offset: int = 0
    more: tuple[Operand, ...] = ()


@dataclass(frozen=True)
class Pair:
    first: Operand
    second: Operand


@dataclass(frozen=True)
class Not:
    operand: Name


@dataclass(frozen=True)
class Offset:
    """`symbol+4` outside of brackets."""

    symbol: str
    offset: int


@dataclass(frozen=True)
class Arguments:
    """The parenthesised operands of a call."""

    operands: tuple[Operand, ...]


Operand = Name | Integer | Float | Vector | Address | Pair | Not | Offset | Arguments


@dataclass(frozen=True)
class Guard:
    register: str
    negated: bool


@dataclass(frozen=True)
class Instruction:
    """`@guard opcode operands;`. The opcode is split at its dots: ("ld", "global", "f32")."""

    opcode: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Guard | None
    location: Location

    def __str__(self) -> str:
        guard = f"@{'!' if self.guard.negated else ''}{self.guard.register} " if self.guard else ""
        operands = ", ".join(show(o) for o in self.operands)
        return f"{guard}{'.'.join(self.opcode)} {operands}".rstrip() + ";"


@dataclass(frozen=True)
class Label:
    name: str


@dataclass(frozen=True)
class Targets:
    """`.branchtargets`: the labels that a `brx.idx` chooses from; the label before it names the list."""

    labels: tuple[str, ...]


@dataclass(frozen=True)
class Registers:
    """`.reg .b32 %r<10>;` declares %r0 to %r9; `count` is None for a single register."""

    kind: str
    names: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Variable:
    """A variable in `space` ("global", "const", "shared", "local", "param"); `size` in bytes, None if given at launch.

    `initial`: values of its elements, `element` bytes each.
    """

    space: str
    name: str
    kind: str
    align: int
    size: int | None
    element: int
    initial: tuple[Operand, ...] = ()
    external: bool = False


@dataclass(frozen=True)
class Scope:
    """A nested `{ ... }`."""

    body: tuple[Statement, ...]


Statement = Instruction | Label | Targets | Registers | Variable | Scope


@dataclass(frozen=True)
class Function:
    """An entry (`.entry`) or a device function; `body` is None for a declaration."""

    name: str
    entry: bool
    parameters: tuple[Variable, ...]
    body: tuple[Statement, ...] | None
    limits: dict[str, tuple[int, ...]] = field(default_factory=dict)


def show(operand: Operand) -> str:
    """An operand as PTX writes it."""
    match operand:
        case Name(text):
            return text
        case Integer(value):
            return str(value)
        case Float(value, bits, width):
            return str(value) if bits is None else f"0{'f' if width == 32 else 'd'}{bits:0{width // 4}X}"
        case Vector(elements):
            return "{" + ", ".join(map(show, elements)) + "}"
        case Address(base, offset, more):
            inner = str(offset) if base is None else base + (f"+{offset}" if offset else "")
            return "[" + ", ".join([inner, *map(show, more)]) + "]"
        case Pair(first, second):
            return f"{show(first)}|{show(second)}"
        case Not(name):
            return f"!{name.text}"
        case Offset(symbol, offset):
            return f"{symbol}+{offset}"
        case Arguments(operands):
            return "(" + ", ".join(map(show, operands)) + ")"
