"""Digits: the mixed-radix pieces that a layout is made of, and the arithmetic on lists of them.

An index is written in mixed radix, most significant digit first; each digit moves the coordinate on its axis by
`stride`. (2, 16, bit) (8, 1, lane) reads: split the index i < 16 into (i // 8, i % 8); the first part moves by 16 bits,
the second by one lane. A list with no digit of extent 1 and no two neighbours that count on as one is unique for its
function, which is what makes equality of layouts cheap: see `merged`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod

BIT, LANE, WARP, INDEX = "bit", "lane", "warp", "index"

Offset = tuple[tuple[str, int], ...]


class LayoutError(ValueError):
    """A layout that cannot be, or an operation without a result; from `parse`, with the position in the text."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message if position is None else f"{message} (at column {position + 1})")
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Digit:
    """`extent` values, each `stride` further on `axis`. Raises LayoutError for an extent < 1, a stride < 0."""

    extent: int
    stride: int
    axis: str

    def __post_init__(self) -> None:
        if self.extent < 1 or self.stride < 0:
            raise LayoutError(f"a digit has an extent of at least 1 and no negative stride: {self} does not")

    @property
    def reach(self) -> int:
        """The largest contribution to the axis."""
        return (self.extent - 1) * self.stride

    def __str__(self) -> str:
        return f"({self.extent}, {self.stride}, {self.axis})"


Digits = tuple[Digit, ...]


def size(digits: Iterable[Digit]) -> int:
    """How many indices the digits number."""
    return prod(digit.extent for digit in digits)


def merged(digits: Iterable[Digit]) -> Digits:
    """The shortest list for the same function, which is unique.

    Why unique: the lowest digit's stride is what the first step moves by, and its extent the number of equal steps; two
    lists of one function agree on both, and so, after division by that extent, on the rest.
    """
    result: list[Digit] = []
    for digit in digits:
        if digit.extent == 1:
            continue
        if digit.stride == 0:
            digit = Digit(digit.extent, 0, BIT)
        above = result[-1] if result else None
        if above and above.axis == digit.axis and above.stride == digit.stride * digit.extent:
            result[-1] = Digit(above.extent * digit.extent, digit.stride, digit.axis)
        else:
            result.append(digit)
    return tuple(result)


def spanned(replicas: Iterable[Digit]) -> Digits:
    """Replicas in order, as few as may be: their sums are a set, so what fills the gaps of another joins it."""
    result: list[Digit] = []
    for digit in sorted(replicas, key=lambda d: (d.axis, d.stride)):
        if digit.extent == 1 or digit.stride == 0:
            continue
        low = result[-1] if result and result[-1].axis == digit.axis else None
        if low and digit.stride % low.stride == 0 and digit.stride <= low.stride * low.extent:
            result[-1] = Digit((low.reach + digit.reach) // low.stride + 1, low.stride, low.axis)
        else:
            result.append(digit)
    return tuple(result)


def split(digits: Iterable[Digit], low: int) -> tuple[Digits, Digits]:
    """The list cut in two, the second part numbering `low` indices. Raises LayoutError where a digit resists."""
    outer, inner = list(digits), list[Digit]()
    while low > 1:
        if not outer:
            raise LayoutError("fewer indices than asked for")
        digit = outer.pop()
        taken = gcd(digit.extent, low)
        if taken not in (digit.extent, low):
            raise LayoutError(f"the digit {digit} does not divide at {low}")
        if taken < digit.extent:
            outer.append(Digit(digit.extent // taken, digit.stride * taken, digit.axis))
        inner.insert(0, Digit(taken, digit.stride, digit.axis))
        low //= taken
    return tuple(outer), tuple(inner)


def by_extents(digits: Digits, extents: Sequence[int]) -> list[Digits]:
    """The digits of each dimension. Raises LayoutError where a digit spans a boundary at which it does not divide."""
    parts: list[Digits] = []
    for extent in reversed(extents):
        digits, part = split(digits, extent)
        parts.insert(0, part)
    return parts


def scaled(digits: Iterable[Digit], factors: Mapping[str, int]) -> Digits:
    """The digits with strides multiplied, by a factor for each axis."""
    return tuple(Digit(d.extent, d.stride * factors.get(d.axis, 1), d.axis) for d in digits)


def weighted(digits: Digits) -> Iterator[tuple[int, Digit]]:
    """Every digit with the number of indices below it, the least significant first."""
    weight = 1
    for digit in reversed(digits):
        yield weight, digit
        weight *= digit.extent


def combined(*offsets: Offset) -> Offset:
    """The sum of offsets, sorted by axis, without zeros."""
    total: dict[str, int] = {}
    for axis, value in (pair for offset in offsets for pair in offset):
        total[axis] = total.get(axis, 0) + value
    return tuple(sorted((axis, value) for axis, value in total.items() if value))
