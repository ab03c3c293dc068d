"""Digits: the mixed-radix pieces that a layout is made of, and the arithmetic on lists of them.

An index is written in mixed radix, most significant digit first; each digit contributes `digit * stride` to the
coordinate on its axis. Digit (4, 8, "lane") after (2, 1, "bit") reads: split the index into (i // 2, i % 2); the first
part moves by 8 lanes, the second by 1 bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd, prod

BIT, LANE, WARP, INDEX = "bit", "lane", "warp", "index"


class LayoutError(ValueError):
    """A layout that cannot be, or an operation that has no result."""


@dataclass(frozen=True, slots=True)
class Digit:
    """`extent` values, each `stride` further on `axis`."""

    extent: int
    stride: int
    axis: str

    def __post_init__(self) -> None:
        if self.extent < 1 or self.stride < 0:
            raise LayoutError(f"a digit needs an extent of at least 1 and a stride of at least 0, not {self}")

    @property
    def reach(self) -> int:
        """The largest contribution to the axis."""
        return (self.extent - 1) * self.stride

    def __str__(self) -> str:
        return f"({self.extent}, {self.stride}, {self.axis})"


def merged(digits: Iterable[Digit]) -> tuple[Digit, ...]:
    """The shortest list that says the same: no extents of 1, no neighbours that count on as one."""
    result: list[Digit] = []
    for digit in digits:
        if digit.extent == 1:
            continue
        before = result[-1] if result else None
        if before and before.axis == digit.axis and before.stride == digit.stride * digit.extent:
            result[-1] = Digit(before.extent * digit.extent, digit.stride, digit.axis)
        else:
            result.append(digit)
    return tuple(result)


def size(digits: Iterable[Digit]) -> int:
    """How many indices the digits number."""
    return prod(digit.extent for digit in digits)


def split(digits: Sequence[Digit], low: int) -> tuple[tuple[Digit, ...], tuple[Digit, ...]]:
    """The digits cut so that the second part numbers exactly `low` indices. Raises LayoutError."""
    inner: list[Digit] = []
    rest = list(digits)
    while low > 1:
        if not rest:
            raise LayoutError("fewer indices than asked for")
        last = rest.pop()
        taken = gcd(last.extent, low)
        if taken == 1 and last.extent > 1:
            raise LayoutError(f"the digit {last} does not divide at {low}")
        if taken < last.extent:
            if low != taken:
                raise LayoutError(f"the digit {last} does not divide at {low}")
            rest.append(Digit(last.extent // taken, last.stride * taken, last.axis))
        inner.insert(0, Digit(taken, last.stride, last.axis))
        low //= taken
    return tuple(rest), tuple(inner)


def by_extents(digits: Sequence[Digit], extents: Sequence[int]) -> list[tuple[Digit, ...]]:
    """The digits of each dimension of a shape. Raises LayoutError where one spans a boundary it does not divide at."""
    parts: list[tuple[Digit, ...]] = []
    rest = tuple(digits)
    for extent in reversed(extents):
        rest, part = split(rest, extent)
        parts.insert(0, part)
    return parts


def scaled(digits: Iterable[Digit], factors: dict[str, int]) -> tuple[Digit, ...]:
    """The digits with strides multiplied by a factor per axis."""
    return tuple(Digit(d.extent, d.stride * factors.get(d.axis, 1), d.axis) for d in digits)


def divided(digits: Iterable[Digit], factors: dict[str, int]) -> tuple[Digit, ...]:
    """The digits with strides divided by a factor per axis. Raises LayoutError where that is no whole number."""
    result = []
    for digit in digits:
        factor = factors.get(digit.axis, 1)
        if digit.stride % factor:
            raise LayoutError(f"the digit {digit} is no multiple of {factor}")
        result.append(Digit(digit.extent, digit.stride // factor, digit.axis))
    return tuple(result)
