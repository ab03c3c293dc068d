"""How tensor cores add up products of 8-bit floats: with few bits.

NVIDIA documents none of it; it was found on GPUs by others: Xie et al., MMA-Sim: Bit-Accurate Reference Model of Tensor
Cores and Matrix Cores (arXiv 2511.10909). `steps` products and the sum so far are shifted to the largest exponent among
them, cut off `fraction` bits behind the point, and added; the result is cut off `kept` bits behind its own. A product's
exponent is the sum of its factors'; numbers below the normal range have that of the least normal one.

mma.sync on sm_90 and sm_100 is not in the table: the assembler computes it by instructions for f16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vmc.backends.ptxvm.arrays import Array

LEAST = {"e4m3": -6, "e5m2": -14, "f32": -126}
"""The exponents of the least normal numbers."""
NONE = -1000
"""The exponent of zero: less than all others."""


@dataclass(frozen=True)
class Sums:
    """See above."""

    steps: int
    fraction: int
    kept: int

    def __call__(self, a: Array, b: Array, c: Array, kinds: tuple[str, str]) -> Array:
        """C [n, rows, columns] plus A [n, rows, depth] times B [n, depth, columns], of factors of two kinds."""
        total = c
        powers_a, powers_b = exponents(a, kinds[0]), exponents(b, kinds[1])
        for first in range(0, a.shape[2], self.steps):
            part = slice(first, first + self.steps)
            powers = powers_a[:, :, part, None] + powers_b[:, None, part, :]
            total = self.added(a[:, :, part, None] * b[:, None, part, :], powers, total)
        return total

    def added(self, products: Array, powers: Array, total: Array) -> Array:
        """A sum plus products [n, rows, steps, columns] with those exponents."""
        with np.errstate(all="ignore"):
            plain = total + products.sum(axis=2)
            top = np.maximum(powers.max(axis=2), exponents(total, "f32"))
            place = self.fraction - np.maximum(top, LEAST["f32"])
            shifted = np.trunc(np.ldexp(products, place[:, :, None, :])).sum(axis=2)
            whole = shifted + np.trunc(np.ldexp(total, place))
            mantissa, exponent = np.frexp(np.ldexp(whole, -place))
            cut = np.ldexp(np.trunc(np.ldexp(mantissa, self.kept + 1)), exponent - self.kept - 1)
        return np.asarray(np.where(np.isfinite(plain), cut, plain))


def exponents(values: Array, kind: str) -> Array:
    """The exponents that instructions take numbers of a kind to have."""
    with np.errstate(all="ignore"):
        found = np.maximum(np.frexp(values)[1] - 1, LEAST[kind])
    return np.asarray(np.where((values == 0) | ~np.isfinite(values), NONE, found))


SUMS: dict[tuple[str, str], Sums] = {
    ("mma", "sm_89"): Sums(16, 13, 13),
    ("wgmma", "sm_90a"): Sums(32, 13, 13),
    ("mma", "sm_120a"): Sums(32, 25, 23),
}
"""By instruction and architecture."""


def sums_of(instruction: str, target: str, kinds: tuple[str, ...], result: str) -> Sums | None:
    """How an instruction adds up in f32; None for exact sums in order."""
    return SUMS.get((instruction, target)) if result == "f32" and {"e4m3", "e5m2"}.issuperset(kinds) else None
