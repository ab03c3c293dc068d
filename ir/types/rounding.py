"""Rounding a binary number to a float type: integer arithmetic on significands, one rounding, all modes.

A number comes as significand and exponent, `sig * 2**(exponent - top)` with `sig < 2**(top + 1)`. The type's grid near
it has spacing `2**(scale - m)`, where `scale` is the exponent, but no less than the type's smallest normal one: this
makes subnormals no special case. `sig` is cut at that spacing; mode and discarded part decide whether to step up.
Adding the kept part, hidden bit included, to the shifted exponent gives the magnitude code, since a carry out of the
mantissa is a step of the exponent. (IEEE 754-2019, 4.3, with the exponent unbounded above: overflow is the caller's.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from vmc.ir.types.record import DType

Rounding: TypeAlias = Literal["nearest_even", "toward_zero", "floor", "stochastic"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)

# Significands of float64 are moved up so that float64 itself has bits to discard, yet any shift clamped to 63 still
# finds less than half a step left over.
FLOAT64_TOP = 61


@dataclass(frozen=True)
class Significands:
    """Numbers `(-1)**negative * sig * 2**(exponent - top)`, 1-D: bool, uint64, int64."""

    negative: npt.NDArray[np.bool_]
    sig: npt.NDArray[np.uint64]
    exponent: npt.NDArray[np.int64]
    top: int


def of_float64(values: npt.NDArray[np.float64]) -> Significands:
    """The significands of `values`; infinity and NaN appear as numbers of at least 2**1024."""
    bits = values.view(np.uint64)
    magnitude = bits & np.uint64((1 << 63) - 1)
    field = (magnitude >> np.uint64(52)).view(np.int64)
    normal = np.minimum(field, np.int64(1))
    exponent = field - normal - 1022
    hidden = normal.view(np.uint64) << np.uint64(52)
    sig = (magnitude & np.uint64((1 << 52) - 1)) | hidden
    return Significands(bits > magnitude, (sig << np.uint64(FLOAT64_TOP - 52)).view(np.uint64), exponent, FLOAT64_TOP)


def of_int64(values: npt.NDArray[np.int64] | npt.NDArray[np.uint64]) -> Significands:
    """The significands of 64-bit integers, all 64 bits of them, normalized to bit 63."""
    negative = values < 0
    pattern = values.view(np.uint64)
    magnitude = np.where(negative, ~pattern + np.uint64(1), pattern)
    exponent = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64) - 1
    exponent = np.clip(exponent, 0, 63)
    exponent -= (magnitude >> exponent.view(np.uint64)) == 0  # the conversion to float64 had rounded up
    exponent = np.maximum(exponent, 0)
    sig = np.left_shift(magnitude, (63 - exponent).view(np.uint64)).view(np.uint64)
    return Significands(negative, sig, np.where(sig == 0, -2000, exponent), 63)


def round_to_magnitude(
    dtype: DType, numbers: Significands, rounding: Rounding, random_bits: npt.NDArray[np.uint32] | None
) -> npt.NDArray[np.int64]:
    """Magnitude codes of `numbers` in `dtype`, as though its exponent had no upper bound.

    Ties go to the even code. If `dtype` has no zero, what lies below its smallest value becomes that value; if it has
    no mantissa either (f8e8m0), all significands are odd and a tie goes up.
    """
    sig, exponent, least = numbers.sig, numbers.exponent, dtype.min_exponent
    if not dtype.has_zero:
        sig = np.where(exponent < least, np.uint64(1 << numbers.top), sig)
        exponent = np.maximum(exponent, least)
    scale = np.maximum(exponent, least)
    shift = scale - exponent + (numbers.top - dtype.mantissa_bits)
    cut = np.minimum(shift, 63).view(np.uint64)
    kept = sig >> cut
    rest = sig - (kept << cut)
    offset = least if dtype.has_zero else least + 1
    below = ((scale - offset) << dtype.mantissa_bits) + kept.view(np.int64)
    match rounding:
        case "nearest_even":
            odd = (below & 1).view(np.uint64) if dtype.has_zero or dtype.mantissa_bits else np.uint64(1)
            step = rest + odd > np.uint64(1) << (cut - np.uint64(1))
        case "toward_zero":
            return below
        case "floor":
            step = (rest != 0) & numbers.negative
        case "stochastic":
            assert random_bits is not None
            step = _fraction32(rest, shift) > random_bits
    return below + step


def _fraction32(rest: npt.NDArray[np.uint64], shift: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """floor(rest * 2**(32 - shift)): the discarded fraction of a step in units of 2**-32, cut off."""
    up = np.maximum(32 - shift, 0).view(np.uint64)
    down = np.clip(shift - 32, 0, 63).view(np.uint64)
    return (rest << up) >> down
