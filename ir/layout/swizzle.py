"""XOR swizzles: the permutation of a memory's places that spreads the rows of a tile over its banks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vmc.ir.layout.digits import LayoutError

Array = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Swizzle:
    """x ^ ((x >> shift) & mask) on the axis `bit`, the mask being the bits [base, base + bits). Its own inverse."""

    base: int
    bits: int
    shift: int

    def __post_init__(self) -> None:
        if self.base < 0 or self.bits < 1 or self.shift < self.bits or self.base + self.bits > 24 or self.shift > 24:
            raise LayoutError(f"no swizzle: {self} (base >= 0, bits >= 1, shift >= bits, none of it beyond bit 24)")

    def __call__(self, place: Array) -> Array:
        mask = ((1 << self.bits) - 1) << self.base
        return place ^ ((place >> self.shift) & mask)

    @property
    def period(self) -> int:
        """What lies at multiples of it is untouched, and swizzled alike from there on."""
        return 1 << (self.base + self.bits + self.shift)

    @property
    def block(self) -> int:
        """Places are permuted within aligned blocks of this size."""
        return 1 << (self.base + self.bits)

    def within(self, reach: int) -> Swizzle | None:
        """The part that matters for places up to `reach`, if any."""
        bits = min(self.bits, reach.bit_length() - self.base - self.shift)
        return Swizzle(self.base, bits, self.shift) if bits > 0 else None

    def __str__(self) -> str:
        return f"({self.base}, {self.bits}, {self.shift})"
