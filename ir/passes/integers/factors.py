"""The right factor of a product as unsigned bytes above its least number.

The factor is `(low + n) * 2**-shift`, and what n is made of follows from the table of its numbers by code, not
from the operations that made it:

    n = code for all codes            the stored codes
    n = code ^ 2**(bits - 1)          the stored codes with the sign bit inverted: i4 is -8 + n
    anything else                     a table of bytes, or two: of small numbers and of multiples of a power of two, as
                                      floats have them, or of the lower and the upper byte of up to 16 bits
    no function of one small tile     computed from the tile itself

A number of each column (`columns`) may be added to such a function of codes; it is part of `low` then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import gcd

from vmc.ir.core import Value
from vmc.ir.passes.integers.columns import Column, of_columns
from vmc.ir.passes.integers.exact import Exact, integers_of
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.integers.functions import Function

BYTE = 0xFF
WIDEST_SPAN = 0xFFFF


class Form(Enum):
    """What the unsigned integers of a right factor are made of."""

    CODES = "the codes of {source}"
    FLIPPED = "the codes of {source} with their sign inverted"
    TABLE = "a table by the codes of {source}"
    COMPUTED = "its elements"


@dataclass(frozen=True, eq=False)
class Unsigned:
    """A tile whose elements are (low + n) * 2**-shift, 0 <= n <= span; of a function, n by code is the sum of `planes`,
    the second one times `weight`. A `column` is added to low.
    """

    value: Value
    shift: int
    low: int
    span: int
    form: Form
    function: Function | None = None
    planes: tuple[tuple[int, ...], ...] = ()
    weight: int = BYTE + 1
    column: Column | None = None

    @property
    def lows(self) -> tuple[int, int]:
        """What the least numbers of the columns lie between."""
        if self.column is None:
            return self.low, self.low
        ends = [self.low + self.column.sign * end for end in (self.column.exact.low, self.column.exact.high)]
        return min(ends), max(ends)

    @property
    def exact(self) -> Exact:
        """What the elements are."""
        low, high = self.lows
        return Exact(self.shift, low, high + self.span)

    @property
    def bytes(self) -> int:
        """How many bytes an n takes."""
        return 1 if self.span <= BYTE else 2

    def __str__(self) -> str:
        source = self.function.source.tile.dtype.name if self.function else ""
        column = f" and {self.column.value.tile.dtype.name} of each column" if self.column else ""
        return self.form.value.format(source=source) + column


def unsigned(value: Value, facts: Facts, reduced: bool) -> Unsigned | None:
    """The tile as a right factor of at most two bytes, or None; `reduced` takes out common powers of two."""
    parts = of_columns(value, facts)
    if parts is not None:
        codes, function, column = parts
        found = of_function(codes, function, reduced=False)
        if found is not None and found.bytes == 1 and not found.shift:
            return replace(found, column=column)
    known = facts.function(value)
    if known is not None:
        return of_function(value, known, reduced)
    exact = facts.exact(value)
    if exact is None or exact.high - exact.low > WIDEST_SPAN:
        return None
    return Unsigned(value, exact.shift, exact.low, exact.high - exact.low, Form.COMPUTED)


def of_function(value: Value, function: Function, reduced: bool) -> Unsigned | None:
    found = integers_of(value.tile.dtype.to_values(function.table))
    if found is None:
        return None
    shift, integers = found
    if reduced and any(integers):
        factor = gcd(*integers)
        twos = (factor & -factor).bit_length() - 1
        shift, integers = shift - twos, tuple(number >> twos for number in integers)
    low, span = min(integers), max(integers) - min(integers)
    if span > WIDEST_SPAN:
        return None
    offsets = tuple(number - low for number in integers)
    if span <= BYTE:
        return Unsigned(value, shift, low, span, form_of(offsets), function, (offsets,))
    sizes = by_size(integers)
    if sizes is None:
        lower, upper = tuple(offset & BYTE for offset in offsets), tuple(offset >> 8 for offset in offsets)
        return Unsigned(value, shift, low, span, Form.TABLE, function, (lower, upper))
    weight, parts = sizes
    lows = [min(part) for part in parts]
    planes = tuple(tuple(number - least for number in part) for part, least in zip(parts, lows, strict=True))
    low, span = lows[0] + weight * lows[1], max(planes[0]) + weight * max(planes[1])
    return Unsigned(value, shift, low, span, Form.TABLE, function, planes, weight)


def by_size(integers: Sequence[int]) -> tuple[int, tuple[Sequence[int], Sequence[int]]] | None:
    """(weight, (small, large)) with integers == small + weight * large, one of which is 0, each in a span of a byte,
    the narrower the better: sums of narrow bytes fit 16 bits for longer. None where there are no such.
    """
    best: tuple[int, tuple[Sequence[int], Sequence[int]]] | None = None
    least = BYTE + 1
    for weight in (1 << place for place in range(1, 8)):
        limit = max((abs(number) for number in integers if number % weight), default=0)
        small = [number if abs(number) <= limit else 0 for number in integers]
        large = [number // weight if abs(number) > limit else 0 for number in integers]
        widest = max(max(part) - min(part) for part in (small, large))
        if widest < least:
            best, least = (weight, (small, large)), widest
    return best


def form_of(offsets: Sequence[int]) -> Form:
    """How the offsets by code are had from the codes."""
    sign = len(offsets) // 2
    if all(offset == code for code, offset in enumerate(offsets)):
        return Form.CODES
    return Form.FLIPPED if all(offset == code ^ sign for code, offset in enumerate(offsets)) else Form.TABLE
