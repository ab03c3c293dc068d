"""The two floats that the mathematics is written for, f32 and f64: their bits taken apart and put together."""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.math.expression import Expression
from vmc.ir.types import DType, dtype


@dataclass(frozen=True)
class Format:
    """Names and sizes of a float and of the integers of its width."""

    dtype: DType
    signed: str
    unsigned: str

    @property
    def name(self) -> str:
        return self.dtype.name

    @property
    def digits(self) -> int:
        """Bits of precision, the hidden one included: 24 or 53."""
        return self.dtype.mantissa_bits + 1

    @property
    def mantissa(self) -> int:
        """Stored bits of the significand: 23 or 52."""
        return self.dtype.mantissa_bits

    @property
    def bias(self) -> int:
        """Exponent bias, which is also the largest exponent: 127 or 1023."""
        return self.dtype.bias

    @property
    def anchor(self) -> float:
        """1.5 * 2**mantissa: adding it to a small number rounds that to an integer, which stands in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def inf_bits(self) -> int:
        """The bit pattern of infinity."""
        return (2 * self.bias + 1) << self.mantissa

    @property
    def sign_bit(self) -> int:
        return 1 << (self.dtype.width - 1)


F32 = Format(dtype("f32"), "i32", "u32")
F64 = Format(dtype("f64"), "i64", "u64")


def format_of(x: Expression) -> Format:
    """The format of an f32 or f64 expression."""
    return F32 if x.dtype == F32.dtype else F64


def power_of_two(k: Expression) -> Expression:
    """2.0**k for a signed integer k of the float's width, within the normal exponents."""
    form = F32 if k.dtype.width == 32 else F64
    return ((k + form.bias) << form.mantissa).bits(form.dtype)


def scale(x: Expression, k: Expression) -> Expression:
    """x * 2**k for |x| in [1/4, 4] and |k| up to twice the largest exponent, rounded once: the first step is exact."""
    half = k >> 1
    return x * power_of_two(half) * power_of_two(k - half)


def sign_bits(x: Expression) -> Expression:
    """The sign bit of a float, in place, as an unsigned integer."""
    form = format_of(x)
    return x.bits(form.unsigned) & form.sign_bit


def with_sign(magnitude: Expression, sign: Expression) -> Expression:
    """A float without sign, given the sign bit that `sign_bits` took."""
    form = format_of(magnitude)
    return (magnitude.bits(form.unsigned) | sign).bits(form.dtype)


def flip_sign(x: Expression, sign: Expression) -> Expression:
    """x, negated where the sign bit is set in `sign`, an unsigned integer without other bits."""
    form = format_of(x)
    return (x.bits(form.unsigned) ^ sign).bits(form.dtype)


def is_finite(x: Expression) -> Expression:
    """u1: neither infinite nor NaN."""
    return abs(x) < float("inf")


def is_nan(x: Expression) -> Expression:
    """u1: not a number."""
    return x.differs(x)
