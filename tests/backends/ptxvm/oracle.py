"""Floating-point formats on exact rational numbers, one at a time: the oracle for rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

Number = Fraction | float
"""A finite number as a fraction; infinities, NaN and -0.0 as floats."""


@dataclass(frozen=True)
class Binary:
    """An IEEE 754 format with this many exponent bits and stored mantissa bits."""

    exponent: int
    mantissa: int

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1

    @property
    def width(self) -> int:
        return 1 + self.exponent + self.mantissa

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent) - 1) << self.mantissa

    def decode(self, code: int) -> Number:
        """The number that a code stands for."""
        sign = -1 if code >> (self.width - 1) else 1
        field = code >> self.mantissa & ((1 << self.exponent) - 1)
        rest = code & ((1 << self.mantissa) - 1)
        if field == (1 << self.exponent) - 1:
            return math.nan if rest else sign * math.inf
        if field == 0 and rest == 0 and sign < 0:
            return -0.0
        whole = rest if field == 0 else rest + (1 << self.mantissa)
        return sign * Fraction(whole) * Fraction(2) ** (max(field, 1) - self.bias - self.mantissa)

    def encode(self, value: Number, mode: str = "rn") -> int | None:
        """The code of a number rounded in a mode; None for NaN."""
        top = 1 << (self.width - 1)
        if isinstance(value, float):
            if math.isnan(value):
                return None
            return (top if math.copysign(1, value) < 0 else 0) | (self.infinity if math.isinf(value) else 0)
        negative, magnitude = value < 0, abs(value)
        if magnitude == 0:
            return 0
        power = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
        if Fraction(2) ** power > magnitude:
            power -= 1
        last = max(power, 1 - self.bias) - self.mantissa
        scaled = magnitude / Fraction(2) ** last
        whole, rest = divmod(scaled.numerator, scaled.denominator)
        fraction = Fraction(rest, scaled.denominator)
        away = (mode == "rp" and not negative) or (mode == "rm" and negative)
        if mode == "rn":
            whole += fraction > Fraction(1, 2) or (fraction == Fraction(1, 2) and whole % 2 == 1)
        elif mode == "rna":
            whole += fraction >= Fraction(1, 2)
        elif away:
            whole += fraction > 0
        code = whole + ((last - (1 - self.bias - self.mantissa)) << self.mantissa)
        if code >= self.infinity:
            to_infinity = mode in ("rn", "rna") or away
            code = self.infinity if to_infinity else self.infinity - 1
        return (top if negative else 0) | code


FORMATS = {"f16": Binary(5, 10), "bf16": Binary(8, 7), "f32": Binary(8, 23), "f64": Binary(11, 52)}


def is_nan(value: Number) -> bool:
    return isinstance(value, float) and math.isnan(value)


def add(a: Number, b: Number, mode: str) -> Number:
    """a + b; an exact zero sum of different signs is -0 when rounding down."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        total = a + b
        return -0.0 if total == 0 and mode == "rm" and a != 0 else total
    if isinstance(a, float) and isinstance(b, float):
        return a + b
    number, special = (a, b) if isinstance(a, Fraction) else (b, a)
    assert isinstance(number, Fraction) and isinstance(special, float)
    if special == 0:
        return number if number != 0 else (-0.0 if mode == "rm" else Fraction(0))
    return special


def multiply(a: Number, b: Number) -> Number:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and a != 0 != b:
        return a * b
    x, y = sign_like(a), sign_like(b)
    product = x * y
    return Fraction(0) if product == 0 and math.copysign(1, product) > 0 else product


def sign_like(value: Number) -> float:
    """A float that stands for a number in products with zeros and infinities."""
    if isinstance(value, float):
        return value
    return 0.0 if value == 0 else math.copysign(1.0, value)
