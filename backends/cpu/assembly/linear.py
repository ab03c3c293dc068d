"""What a register may hold while a kernel runs, as far as addresses need it: sums of unknowns, and pointers in them.

A `Value` is `const + sum(coefficient * unknown)`; an unknown is anything that names one run-time value: a register at
a function's entry, at a block where ways join, or after an instruction that this vocabulary cannot express. Apart from
the sum a value has its *origin*: the pointers it is made of, with coefficients; `()` for plain numbers, None where ways
or instructions have mixed them. An address points into the memory of a pointer if its origin is that pointer, once: so
`p + (q - p)`, which compilers like to write, points into q.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Terms = tuple[tuple[Hashable, int], ...]
Origin = tuple[tuple[str, int], ...] | None


@dataclass(frozen=True, slots=True)
class Value:
    """`const + terms`, made of the pointers of `origin`."""

    terms: Terms = ()
    const: int = 0
    origin: Origin = ()

    @property
    def pointer(self) -> str | None:
        """The pointer whose memory this points into; "" for a number, None where that is not known."""
        if self.origin is None:
            return None
        match self.origin:
            case ():
                return ""
            case ((name, 1),):
                return name
        return None


def unknown(name: Hashable, origin: Origin = ()) -> Value:
    """A value of which nothing but its name, and the pointers in it, is known."""
    return Value(((name, 1),), 0, origin)


def literal(const: int) -> Value:
    return Value((), const)


def add(a: Value, b: Value) -> Value:
    """a + b."""
    origin = None if a.origin is None or b.origin is None else merged(a.origin, b.origin)
    return Value(merged(a.terms, b.terms), a.const + b.const, origin)


def scale(a: Value, factor: int) -> Value:
    """a * factor."""
    if factor == 0:
        return literal(0)
    terms = tuple((name, factor * count) for name, count in a.terms)
    origin = None if a.origin is None else tuple((name, factor * count) for name, count in a.origin)
    return Value(terms, factor * a.const, origin)


def subtract(a: Value, b: Value) -> Value:
    """a - b."""
    return add(a, scale(b, -1))


def merged(a: tuple[tuple[Name, int], ...], b: tuple[tuple[Name, int], ...]) -> tuple[tuple[Name, int], ...]:
    """The sum of two sums."""
    if not a or not b:
        return a or b
    counts = dict(a)
    for name, count in b:
        counts[name] = counts.get(name, 0) + count
    return tuple(sorted(((name, count) for name, count in counts.items() if count), key=lambda term: repr(term[0])))


def common(a: Origin, b: Origin) -> Origin:
    """The origin of what is one or the other."""
    return a if a == b else None
