"""From codes to values and to the arrays that executors hold, exactly.

A float's value is `sig * 2**e`: `sig` the mantissa with its hidden bit, `e` the exponent less bias and mantissa length.
Both fit float64 for every type, so decoding never rounds. Types of up to 16 bits read a table made that way once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vmc.ir.types.arrays import Array, Codes, as_codes

if TYPE_CHECKING:
    from vmc.ir.types.record import DType


def decode(dtype: DType, codes: npt.ArrayLike) -> Array:
    """See `DType.decode`."""
    checked = as_codes(codes, dtype.width, dtype.name)
    if dtype.is_int:
        return _integers(dtype, checked, np.dtype(np.uint64 if dtype.is_uint and dtype.width == 64 else np.int64))
    if dtype.is_native_float:
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes quiet
            return np.asarray(checked.view(dtype.array_dtype).astype(np.float64))
    if dtype.width <= 16:
        return np.asarray(_table(dtype)[checked])
    return decode_float(dtype, checked)


def decode_float(dtype: DType, codes: Codes) -> npt.NDArray[np.float64]:
    """The float64 values of `codes`, by the definition of the type's fields."""
    bits = codes.astype(np.int64) >> dtype.unused_bits
    magnitude = bits & ((1 << dtype.magnitude_bits) - 1)
    exponent = magnitude >> dtype.mantissa_bits
    mantissa = magnitude & ((1 << dtype.mantissa_bits) - 1)
    hidden = (exponent > 0) if dtype.has_zero else np.True_
    significand = mantissa + (np.int64(1) << dtype.mantissa_bits) * hidden
    power = np.maximum(exponent, int(dtype.has_zero)) - (dtype.bias + dtype.mantissa_bits)
    with np.errstate(over="ignore"):  # only where infinity or NaN is filled in below
        values = np.ldexp(significand.astype(np.float64), power)
    if dtype.inf_code is not None:
        values = np.where(magnitude == dtype.inf_code, np.inf, values)
    if dtype.nan_start is not None:
        values = np.where(magnitude >= dtype.nan_start, np.nan, values)
    negative = (bits >> dtype.magnitude_bits) & int(dtype.has_sign)
    signed: npt.NDArray[np.float64] = np.copysign(values, np.where(negative != 0, -1.0, 1.0))
    return signed


@lru_cache(maxsize=128)
def _table(dtype: DType) -> npt.NDArray[np.float64]:
    return decode_float(dtype, dtype.codes())


def _integers(dtype: DType, codes: Codes, target: np.dtype[np.generic]) -> Array:
    if dtype.is_uint:
        return codes.astype(target)
    held = codes.view(np.dtype(f"i{codes.dtype.itemsize}"))
    spare = 8 * codes.dtype.itemsize - dtype.width
    return ((held << spare) >> spare).astype(target)


def from_codes(dtype: DType, codes: npt.ArrayLike) -> Array:
    """See `DType.from_codes`."""
    checked = as_codes(codes, dtype.width, dtype.name)
    if dtype.is_int:
        return _integers(dtype, checked, dtype.array_dtype)
    return checked.view(dtype.array_dtype)


def to_codes(dtype: DType, array: npt.ArrayLike) -> Codes:
    """See `DType.to_codes`."""
    tile = np.asarray(array)
    if tile.dtype != dtype.array_dtype:
        raise TypeError(f"a tile of {dtype.name} is held as {dtype.array_dtype}, not {tile.dtype}")
    codes = tile.view(dtype.code_dtype)
    if 8 * dtype.code_dtype.itemsize == dtype.width:
        return codes
    if dtype.is_int and tile.size and not dtype.min <= tile.min() <= tile.max() <= dtype.max:
        raise ValueError(f"{dtype.name} holds {dtype.min}..{dtype.max}, found {tile.min()}..{tile.max()}")
    if dtype.is_float:
        return as_codes(codes, dtype.width, dtype.name)
    return np.asarray(codes & dtype.code_dtype.type((1 << dtype.width) - 1))
