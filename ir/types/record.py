"""The record of a numeric type, and what follows from it.

A code is a bit pattern: an unsigned integer below 2**width. A float's code reads, from the top, sign (if any),
exponent, mantissa, and unused low bits that are zero (tf32 alone has some). Exponent and mantissa together are called
the magnitude; it grows with the value, so infinity and NaN are given as the magnitudes where they begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from vmc.ir.types import decoding, encoding
from vmc.ir.types.arrays import Array, Codes, native_uint
from vmc.ir.types.rounding import Rounding


class Kind(Enum):
    """What a code of the type is read as."""

    UINT = "unsigned integer"
    INT = "signed integer"
    FLOAT = "float"


@dataclass(frozen=True, repr=False)
class DType:
    """A numeric type of `width` bits.

    Integers need only name, kind and width. A float adds its fields: `exponent_bits`, `mantissa_bits`, `bias`,
    `has_sign`; `inf_code`, the magnitude that is infinity, or None; `nan_start`, the least magnitude that is NaN (every
    larger one is NaN too), or None; and `has_zero`, False for a pure scale, whose exponent 0 is an ordinary power of 2.

    Raises ValueError if the fields contradict one another.
    """

    name: str
    kind: Kind
    width: int
    exponent_bits: int = 0
    mantissa_bits: int = 0
    bias: int = 0
    has_sign: bool = False
    inf_code: int | None = None
    nan_start: int | None = None
    has_zero: bool = True

    def __post_init__(self) -> None:
        if self.width < 1 or self.width > 64 or (self.kind is Kind.INT and self.width < 2):
            raise ValueError(f"{self.name}: no {self.kind.value} has {self.width} bits")
        if self.has_sign is (self.kind is Kind.UINT) and not self.is_float:
            raise ValueError(f"{self.name}: has_sign contradicts {self.kind.value}")
        if not self.is_float:
            return
        if self.exponent_bits < 1 or self.mantissa_bits < 0 or self.unused_bits < 0:
            raise ValueError(f"{self.name}: sign, exponent and mantissa do not fit {self.width} bits")
        specials = [code for code in (self.inf_code, self.nan_start) if code is not None]
        if any(not 0 < code < 1 << self.magnitude_bits for code in specials) or specials != sorted(specials):
            raise ValueError(f"{self.name}: infinity must be a magnitude, and NaN lie above it")

    def __repr__(self) -> str:
        return f"dtype({self.name!r})"

    def __str__(self) -> str:
        return self.name

    # Kind and storage

    @property
    def is_int(self) -> bool:
        """True of every integer type, signed or not."""
        return self.kind is not Kind.FLOAT

    @property
    def is_uint(self) -> bool:
        """True of the unsigned integers."""
        return self.kind is Kind.UINT

    @property
    def is_float(self) -> bool:
        """True of every float, whatever its width."""
        return self.kind is Kind.FLOAT

    @property
    def zero_point(self) -> int:
        """The code that stands for zero in a symmetric quantization: 2**(width-1) of an unsigned integer, else 0."""
        return 1 << (self.width - 1) if self.is_uint else 0

    @property
    def code_dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned NumPy integer that holds a code."""
        return native_uint(self.width)

    @property
    def array_dtype(self) -> np.dtype[np.generic]:
        """How an executor holds a tile: values for integers, f16, f32 and f64; codes for every other float."""
        match self.kind:
            case Kind.UINT:
                return self.code_dtype
            case Kind.INT:
                return np.dtype(f"i{self.code_dtype.itemsize}")
            case Kind.FLOAT:
                return np.dtype(f"f{self.width // 8}") if self.is_native_float else self.code_dtype

    @property
    def is_native_float(self) -> bool:
        """True of f16, f32 and f64, whose codes are those of the NumPy float of that width."""
        ieee = {16: (5, 10), 32: (8, 23), 64: (11, 52)}.get(self.width)
        return self.has_infinity and ieee == (self.exponent_bits, self.mantissa_bits)

    # Fields of a float's code

    @property
    def magnitude_bits(self) -> int:
        """Bits of exponent and mantissa together."""
        return self.exponent_bits + self.mantissa_bits

    @property
    def unused_bits(self) -> int:
        """Low bits of a float's code that carry nothing and are zero."""
        return self.width - self.has_sign - self.magnitude_bits if self.is_float else 0

    @property
    def has_infinity(self) -> bool:
        """True if some code is infinity."""
        return self.inf_code is not None

    @property
    def has_nan(self) -> bool:
        """True if some code is NaN."""
        return self.nan_start is not None

    @property
    def nan_code(self) -> int | None:
        """The magnitude written for NaN: the quiet one with the least payload, or the only one; None without NaN."""
        if self.nan_start is None or self.inf_code is None:
            return self.nan_start
        return self.inf_code | 1 << (self.mantissa_bits - 1)

    @property
    def max_code(self) -> int:
        """The magnitude of the largest finite value of a float."""
        bounds = [code for code in (self.inf_code, self.nan_start, 1 << self.magnitude_bits) if code is not None]
        return min(bounds) - 1

    @property
    def min_exponent(self) -> int:
        """The exponent of the smallest normal value of a float."""
        return (1 if self.has_zero else 0) - self.bias

    # Range

    @property
    def max(self) -> int | float:
        """The largest finite value."""
        if self.is_int:
            return (1 << (self.width - self.has_sign)) - 1
        return self._magnitude_value(self.max_code)

    @property
    def min(self) -> int | float:
        """The least finite value: the most negative one, or the smallest of a type without sign."""
        if self.is_int:
            return -(1 << (self.width - 1)) if self.has_sign else 0
        return -self.max if self.has_sign else self._magnitude_value(0)

    @property
    def smallest_normal(self) -> int | float:
        """The least positive value with a full mantissa; 1 for an integer."""
        return math.ldexp(1.0, self.min_exponent) if self.is_float else 1

    @property
    def smallest_subnormal(self) -> int | float:
        """The least positive value; `smallest_normal` where no mantissa bit is left to shift, 1 for an integer."""
        return self._magnitude_value(1 if self.has_zero else 0) if self.is_float else 1

    def _magnitude_value(self, magnitude: int) -> float:
        return float(decoding.decode_float(self, np.array([magnitude << self.unused_bits], np.uint64))[0])

    # Codes and values

    def codes(self) -> Codes:
        """Every code in order, as `code_dtype`; ValueError above 16 bits. For tf32 and wider, sample instead."""
        if self.width > 16:
            raise ValueError(f"{self.name} has 2**{self.width} codes, too many to list")
        return np.arange(1 << self.width, dtype=self.code_dtype)

    def decode(self, codes: npt.ArrayLike) -> Array:
        """The exact values of `codes`, same shape: float64 for floats, int64 for integers (uint64 for u64).

        Raises TypeError unless `codes` are integers, ValueError if one is not below 2**width.
        """
        return decoding.decode(self, codes)

    def encode(
        self,
        values: npt.ArrayLike,
        rounding: Rounding = "nearest_even",
        *,
        saturate: bool | None = None,
        random_bits: npt.NDArray[np.uint32] | None = None,
    ) -> Codes:
        """The codes of `values` rounded once to this type, same shape, as `code_dtype`. See `encoding` for the rules.

        `values` are integers or floats of at most 64 bits. `saturate` None is the type's own habit, True clamps to
        [min, max]. "stochastic" needs `random_bits`, uint32 of the shape of `values`.
        """
        return encoding.encode(self, values, rounding, saturate, random_bits)

    def from_codes(self, codes: npt.ArrayLike) -> Array:
        """`codes` as a tile of `array_dtype`, without loss (NaN payloads stay); raises as `decode`."""
        return decoding.from_codes(self, codes)

    def to_codes(self, array: npt.ArrayLike) -> Codes:
        """The codes of a tile of `array_dtype`, the inverse of `from_codes`.

        Raises TypeError if `array` has another dtype, ValueError if an element is out of the type's range.
        """
        return decoding.to_codes(self, array)

    def to_values(self, array: npt.ArrayLike) -> Array:
        """The exact values of a tile of `array_dtype`, typed as `decode` types them; raises as `to_codes`."""
        return decoding.decode(self, decoding.to_codes(self, array))
