"""Multiples of numbers that loops carry, carried as well: strength reduction, of a stage's number to its place, and of
the row that a loop's index leads to, to where the row begins.

    slot = 0                                       slot, place = 0, 0
    while ...:                          -->        while ...:
        read(slot * 4096)                              read(place)
        slot = 0 if slot == 2 else slot + 1            place = 0 if place == 8192 else place + 4096

What is only added to and compared stays in registers that all threads share (uniform ones), which accesses add for
nothing; a product does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vmc.backends.cuda.emitter import Emitter, Scalar
from vmc.backends.cuda.tir import I32, I64, U32, U64, Expr, binary, call, cast, const, select, tirx
from vmc.ir.core import Op, Value, walk


@dataclass(eq=False)
class Turns:
    """A loop under construction: the cells that hold multiples of what it carries, by value and factor; `head` are the
    statements before the loop.
    """

    op: Op
    cells: dict[tuple[Value, int], Any] = field(default_factory=dict)
    rising: list[tuple[Any, Expr]] = field(default_factory=list)
    head: list[Any] = field(default_factory=list)

    @cached_property
    def inside(self) -> set[Value]:
        """The values that are made in the loop."""
        body = self.op.regions[0]
        return {*body.args, *(value for op in walk(body) for value in op.results)}

    @contextmanager
    def before(self, e: Emitter) -> Iterator[None]:
        """What is emitted stands before the loop."""
        outer, e.statements = e.statements, self.head
        yield
        e.statements = outer

    def place(self, value: Value) -> int | None:
        """The position of a value among those that the loop carries."""
        carried = self.op.regions[0].args[1:]
        return next((number for number, arg in enumerate(carried) if arg is value), None)

    def advance(self, e: Emitter) -> None:
        """The multiples for the next turn, all at once."""
        yielded = self.op.regions[0].yielded
        done: dict[tuple[Value, int], Expr] = {}
        while missing := [key for key in self.cells if key not in done]:
            for value, factor in missing:
                place = self.place(value)
                assert place is not None
                done[value, factor] = e.let(scaled(e, yielded[place], factor), I32, "place")
        for key, new in done.items():
            e.put(self.cells[key], 0, new)
        for rising, step in self.rising:
            e.put(rising, 0, binary("Add", e.get(rising, 0), step))


def scaled(e: Emitter, value: Value, factor: int) -> Expr:
    """A scalar times a constant, modulo 2^32, as i32."""
    known = known_number(e, value)
    if known is not None:
        return const(wrapped(known * factor), I32)
    for turns in reversed(e.turns):
        place = turns.place(value)
        if place is not None and value.tile.dtype.name == "i32":
            return e.get(cell(e, turns, value, place, factor), 0)
    op = e.made(value)
    if op is not None and op.name in RULES and scales(e, value):
        return RULES[op.name](e, op, factor)
    return binary("Mul", cast(e.scalar(value), I32), const(factor, I32))


def scales(e: Emitter, value: Value) -> bool:
    """Whether a multiple of a value is made of multiples of what a loop carries, and of constants."""
    if known_number(e, value) is not None:
        return True
    if any(turns.place(value) is not None for turns in e.turns):
        return value.tile.dtype.name == "i32"
    op = e.made(value)
    if op is None or op.name not in RULES or value.tile.dtype.name not in ("i32", "i64"):
        return False
    return all(scales(e, operand) for operand in (op.operands[1:] if op.name == "select" else op.operands))


def cell(e: Emitter, turns: Turns, value: Value, place: int, factor: int) -> Any:
    """The register that holds a multiple of a carried value."""
    if (value, factor) not in turns.cells:
        with turns.before(e):
            made = e.buffer(I32, 1, "place")
            e.put(made, 0, scaled(e, turns.op.operands[3 + place], factor))
        turns.cells[value, factor] = made
    return turns.cells[value, factor]


def chosen(e: Emitter, op: Op, factor: int) -> Expr:
    """Of two multiples one. What numbers are compared by, their multiples are."""
    condition, a, b = op.operands
    test = e.made(condition)
    if test is not None and test.name == "eq" and all(scales(e, operand) for operand in test.operands):
        found = binary("EQ", *(scaled(e, operand, factor) for operand in test.operands))
    else:
        found = binary("NE", e.scalar(condition), const(0, "uint32"))
    return select(found, scaled(e, a, factor), scaled(e, b, factor))


def combined(name: str) -> Callable[[Emitter, Op, int], Expr]:
    return lambda e, op, factor: binary(name, *(scaled(e, operand, factor) for operand in op.operands))


RULES: dict[str, Callable[[Emitter, Op, int], Expr]] = {
    "cast": lambda e, op, factor: scaled(e, op.operands[0], factor),
    "add": combined("Add"),
    "sub": combined("Sub"),
    "select": chosen,
}


def wrapped(number: int) -> int:
    """A number modulo 2^32, signed."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


KEEP = {I32: "int", U32: "uint", U64: "uint64_t"}


def kept(e: Emitter, make: Callable[[], Expr], kind: str, name: str) -> Expr:
    """A number that is the same in all turns of the innermost loop, computed before it and kept in a register: left to
    itself the compiler computes it anew in every turn, where it is needed under a condition.
    """
    if not e.turns:
        return e.let(make(), kind, name)
    with e.turns[-1].before(e):
        return e.let(call(kind, f"vmc_keep_{KEEP[kind]}", make()), kind, name)


def is_fixed(e: Emitter, value: Value) -> bool:
    """Whether a scalar is the same in all turns of the innermost loop, and there before it."""
    return not e.turns or known_number(e, value) is not None or value not in e.turns[-1].inside


Factor = Callable[[], Expr]
"""Emits a number in i64 that is the same in all turns of a loop."""


@dataclass(frozen=True)
class Term:
    """A part of a place: a scalar, which is a multiple of `unit`, over `unit`, times a factor."""

    value: Value
    factor: Factor
    unit: int = 1

    def number(self, e: Emitter) -> Expr:
        return binary("Mul", binary("Div", cast(e.scalar(self.value), I64), const(self.unit, I64)), self.factor())


def address_of_sum(e: Emitter, data: Any, terms: Sequence[Term], own: Factor) -> Expr:
    """The address, as u64, of a byte of `data`: what `own` emits, which is the same in all turns of the innermost loop,
    plus terms, in i64. Where the scalars rise by constants from turn to turn, the address is carried; else what is the
    same in all turns of it is kept.
    """
    turns = e.turns[-1] if e.turns else None
    found = [(term, risen(e, turns, term.value) if turns else None) for term in terms]
    moving = [term for term, part in found if part is None or part[1]]
    if turns is None or not moving or any(part is None or part[1] % term.unit for term, part in found):
        fixed = [term for term in terms if is_fixed(e, term.value)]
        address = kept(e, lambda: address_of(e, data, total(e, own(), fixed)), U64, "from")
        rest = total(e, const(0, I64), [term for term in terms if term not in fixed])
        return binary("Add", address, cast(rest, U64))
    with turns.before(e):
        place, rise = own(), const(0, I64)
        for term, part in found:
            assert part is not None
            first, step = part
            by = e.let(term.factor(), I64, "by")
            number = binary("Div", first(), const(term.unit, I64))
            place = e.let(binary("Add", place, binary("Mul", number, by)), I64, "sum")
            rise = binary("Add", rise, binary("Mul", const(step // term.unit, I64), by)) if step else rise
        made = e.buffer(U64, 1, "from")
        e.put(made, 0, address_of(e, data, place))
        turns.rising.append((made, e.let(cast(rise, U64), U64, "rise")))
    return e.get(made, 0)


def address_of(e: Emitter, data: Any, place: Expr) -> Expr:
    return call(U64, "vmc_address", tirx().address_of(e.get(data, place)))


def total(e: Emitter, first: Expr, terms: Sequence[Term]) -> Expr:
    """A sum, term by term."""
    for term in terms:
        first = e.let(binary("Add", first, term.number(e)), I64, "sum")
    return first


def risen(e: Emitter, turns: Turns, value: Value) -> tuple[Callable[[], Expr], int] | None:
    """What a scalar is in the first turn of a loop, emitted before it, and by how much it rises from turn to turn."""
    known = known_number(e, value)
    if known is not None or value not in turns.inside:
        return lambda: const(known, I64) if known is not None else cast(e.scalar(value), I64), 0
    if value is turns.op.regions[0].args[0]:
        step = known_number(e, turns.op.operands[2])
        return None if step is None else (lambda: cast(e.scalar(turns.op.operands[0]), I64), step)
    op = e.made(value)
    if op is None or op.name not in ("add", "sub", "mul", "floordiv") or value.tile.dtype.name != "i64":
        return None
    left, right = (risen(e, turns, operand) for operand in op.operands)
    if left is None or right is None:
        return None
    factor = known_number(e, op.operands[1])
    match op.name:
        case "add":
            return lambda: binary("Add", left[0](), right[0]()), left[1] + right[1]
        case "sub":
            return lambda: binary("Sub", left[0](), right[0]()), left[1] - right[1]
        case "mul" if factor is not None:
            return lambda: binary("Mul", left[0](), right[0]()), left[1] * factor
        case "floordiv" if factor and e.multiple_of(op.operands[0]) % factor == 0 == left[1] % factor:
            return lambda: binary("Div", left[0](), right[0]()), left[1] // factor
    return None


def known_number(e: Emitter, value: Value) -> int | None:
    """The number that a scalar is known to be."""
    held = e.values.get(value)
    return held.known if isinstance(held, Scalar) else None
