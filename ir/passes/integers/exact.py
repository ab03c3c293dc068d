"""Numbers that are known exactly: all elements of a tile are integers of an interval, times one power of two.

    f4e2m1       k / 2      -12 <= k <= 12
    u4 minus 8   k          -8 <= k <= 7

An operation on such tiles gives such a tile where its type has every number of the exact result: then nothing rounds
and nothing wraps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vmc.ir.evaluate import Array
from vmc.ir.passes.narrow import INTERVALS
from vmc.ir.types import DType


@dataclass(frozen=True, slots=True)
class Exact:
    """Every element is k * 2**-shift for an integer k from `low` to `high`. There is no NaN and no infinity."""

    shift: int
    low: int
    high: int

    @property
    def most(self) -> int:
        """The largest magnitude of a k."""
        return max(-self.low, self.high)

    def scaled(self, shift: int) -> Exact:
        """The same numbers with another shift, not below this one."""
        factor = 1 << (shift - self.shift)
        return Exact(shift, self.low * factor, self.high * factor)

    def whole(self) -> Exact:
        """What the elements are after any rounding to integers."""
        return Exact(0, self.low >> self.shift, -(-self.high >> self.shift))

    def __str__(self) -> str:
        unit = f" * 2^{-self.shift}" if self.shift else ""
        return f"[{self.low}, {self.high}]{unit}"


def of_integers(type: DType) -> Exact:
    """All numbers of an integer type."""
    return Exact(0, int(type.min), int(type.max))


def integers_of(values: Array) -> tuple[int, tuple[int, ...]] | None:
    """The least shift, not below 0, that makes integers of all values, and these; None where one is not finite."""
    numbers = values.reshape(-1).tolist()
    if values.dtype.kind != "f":
        return 0, tuple(numbers)
    if not np.isfinite(values).all():
        return None
    ratios = [number.as_integer_ratio() for number in numbers]
    shift = max(denominator.bit_length() for _, denominator in ratios) - 1
    return shift, tuple((numerator << shift) // denominator for numerator, denominator in ratios)


def of_values(values: Array) -> Exact | None:
    """What the values of an array lie between."""
    found = integers_of(values)
    if found is None:
        return None
    shift, integers = found
    return Exact(shift, min(integers), max(integers))


def holds(type: DType, numbers: Exact) -> bool:
    """Whether a type has every one of the numbers, so that a result which is one of them is not rounded."""
    if type.is_int:
        return numbers.shift == 0 and int(type.min) <= numbers.low and numbers.high <= int(type.max)
    if not type.has_zero or (numbers.low < 0 and not type.has_sign):
        return False
    finest = type.bias - 1 + type.mantissa_bits
    in_mantissa = numbers.most <= 1 << (type.mantissa_bits + 1)
    return in_mantissa and numbers.shift <= finest and numbers.most <= int(type.max) << numbers.shift


def aligned(*numbers: Exact) -> tuple[Exact, ...]:
    """The same with one shift."""
    shift = max(each.shift for each in numbers)
    return tuple(each.scaled(shift) for each in numbers)


def union(a: Exact, b: Exact) -> Exact:
    """What is one or the other."""
    a, b = aligned(a, b)
    return Exact(a.shift, min(a.low, b.low), max(a.high, b.high))


def apply(name: str, *operands: Exact) -> Exact:
    """The exact results of one of the operations of `INTERVALS`."""
    if name != "mul":
        operands = aligned(*operands)
    shift = sum(each.shift for each in operands) if name == "mul" else operands[0].shift
    return Exact(shift, *INTERVALS[name](*((each.low, each.high) for each in operands)))
