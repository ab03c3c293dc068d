"""From values to codes: what each kind of input becomes in each kind of type.

Rounding is single, from the full precision of the input. Modes: "nearest_even" (ties to the even code; f8e8m0, whose
significands are all odd, sends ties up), "toward_zero", "floor" (towards minus infinity) and "stochastic": the
magnitude steps up exactly where floor(fraction * 2**32) > random_bits, `fraction` being the discarded part of a step.

- Float to float. Beyond the largest finite value: infinity if the type has it, else NaN, else the largest value. Where
  IEEE 754 rounds an overflow back to the largest finite value (toward_zero; floor, if positive) so do we. With
  `saturate` infinities clamp too. NaN becomes the canonical NaN with its sign; without a NaN, zero with the opposite
  sign, which is what ml_dtypes writes. A type without sign takes a negative number, and without zero also zero, as out
  of range: NaN, or the least value if saturating.
- Float to integer: rounds by the mode, clamps to the range, NaN becomes 0.
- Integer to integer: modulo 2**width, or clamped with `saturate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vmc.ir.types.arrays import Array, Codes
from vmc.ir.types.rounding import ROUNDINGS, Rounding, Significands, of_float64, of_int64, round_to_magnitude

if TYPE_CHECKING:
    from vmc.ir.types.record import DType

_BLOCK = 1 << 14  # elements at a time: the temporaries stay in the cache


def encode(
    dtype: DType,
    values: npt.ArrayLike,
    rounding: Rounding,
    saturate: bool | None,
    random_bits: npt.NDArray[np.uint32] | None,
) -> Codes:
    """See `DType.encode`.

    Raises TypeError for values that are neither integers nor floats of at most 64 bits, ValueError for an unknown mode,
    missing or misshapen `random_bits`, or `saturate=False` where clamping is the only way.
    """
    source = _as_numbers(values)
    _check_mode(rounding, random_bits, source.shape)
    if saturate is False and not dtype.has_nan and not (dtype.is_int and source.dtype.kind != "f"):
        raise ValueError(f"{dtype.name} has neither infinity nor NaN: it cannot encode without saturating")
    flat = np.ascontiguousarray(source).reshape(-1)
    noise = np.ascontiguousarray(random_bits).reshape(-1) if random_bits is not None else None
    codes = np.empty(flat.size, dtype.code_dtype)
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes quiet
        for start in range(0, flat.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            part = None if noise is None else noise[block]
            codes[block] = _encode_block(dtype, flat[block], rounding, saturate, part)
    return codes.reshape(source.shape)


def _as_numbers(values: npt.ArrayLike) -> Array:
    source = np.asarray(values)
    match source.dtype.kind, source.dtype.itemsize:
        case "b", _:
            return source.astype(np.int64)
        case "i", _:
            return source.astype(np.int64, copy=False)
        case "u", 8:
            return source.astype(np.uint64, copy=False)
        case "u", _:
            return source.astype(np.int64)
        case "f", 2 | 4 | 8 if source.dtype.type in (np.float16, np.float32, np.float64):
            return source
    raise TypeError(f"values must be integers or floats of at most 64 bits, not {source.dtype}")


def _check_mode(rounding: str, random_bits: npt.NDArray[np.uint32] | None, shape: tuple[int, ...]) -> None:
    if rounding not in ROUNDINGS:
        raise ValueError(f"unknown rounding {rounding!r}; there are {', '.join(ROUNDINGS)}")
    if rounding != "stochastic":
        return
    if random_bits is None:
        raise ValueError("stochastic rounding needs random_bits")
    if random_bits.dtype != np.uint32 or random_bits.shape != shape:
        raise ValueError(
            f"random_bits must be uint32 of shape {shape}, not {random_bits.dtype} of shape {random_bits.shape}"
        )


def _encode_block(
    dtype: DType, block: Array, rounding: Rounding, saturate: bool | None, noise: npt.NDArray[np.uint32] | None
) -> npt.NDArray[np.uint64]:
    if block.dtype.kind == "f":
        floats = block.astype(np.float64, copy=False)
        if dtype.is_int:
            return _float_to_int(dtype, floats, rounding, noise)
        return _to_float(dtype, of_float64(floats), floats, rounding, bool(saturate), noise)
    if dtype.is_int:
        return _int_to_int(dtype, block, bool(saturate))
    return _to_float(dtype, of_int64(block), block, rounding, bool(saturate), noise)


def _int_to_int(dtype: DType, values: Array, saturate: bool) -> npt.NDArray[np.uint64]:
    if saturate:
        info = np.iinfo(values.dtype)
        values = np.clip(values, max(int(dtype.min), info.min), min(int(dtype.max), info.max))
    return values.view(np.uint64) & np.uint64((1 << dtype.width) - 1)


def _float_to_int(
    dtype: DType, values: npt.NDArray[np.float64], rounding: Rounding, noise: npt.NDArray[np.uint32] | None
) -> npt.NDArray[np.uint64]:
    rounded = _round_to_integer(np.nan_to_num(values), rounding, noise)
    low, past = float(dtype.min), float(int(dtype.max) + 1)  # powers of two or zero, hence exact
    inside = np.where((rounded >= low) & (rounded < past), rounded, 0.0)
    codes = inside.astype(np.uint64) if dtype.is_uint else inside.astype(np.int64).view(np.uint64)
    codes = np.where(rounded < low, np.uint64(int(dtype.min) & (1 << 64) - 1), codes)
    codes = np.where(rounded >= past, np.uint64(dtype.max), codes)
    return codes & np.uint64((1 << dtype.width) - 1)


def _round_to_integer(
    values: npt.NDArray[np.float64], rounding: Rounding, noise: npt.NDArray[np.uint32] | None
) -> npt.NDArray[np.float64]:
    match rounding:
        case "nearest_even":
            return np.rint(values)
        case "toward_zero":
            return np.trunc(values)
        case "floor":
            return np.floor(values)
        case "stochastic":
            whole = np.trunc(values)
            step = np.floor(np.abs(values - whole) * 2.0**32) > noise
            return whole + np.copysign(step, values)


def _to_float(
    dtype: DType,
    numbers: Significands,
    values: Array,
    rounding: Rounding,
    saturate: bool,
    noise: npt.NDArray[np.uint32] | None,
) -> npt.NDArray[np.uint64]:
    magnitude = round_to_magnitude(dtype, numbers, rounding, noise)
    negative = numbers.negative
    over = magnitude > dtype.max_code
    if over.any():
        magnitude[over] = _overflowed(dtype, negative[over], np.isinf(values[over]), rounding, saturate)
    if not dtype.has_sign:
        _exclude(dtype, magnitude, negative & (values != 0) | (not dtype.has_zero) & (values == 0), saturate)
        negative = np.zeros_like(negative)
    nan = np.isnan(values)
    if nan.any():
        magnitude[nan] = dtype.nan_code or 0
        negative = negative if dtype.has_nan else negative ^ nan
    sign = negative.astype(np.int64) << dtype.magnitude_bits
    return (magnitude | sign).view(np.uint64) << np.uint64(dtype.unused_bits)


def _overflowed(
    dtype: DType, negative: npt.NDArray[np.bool_], infinite: npt.NDArray[np.bool_], rounding: Rounding, saturate: bool
) -> Any:
    """The magnitudes of numbers beyond the largest finite one."""
    beyond = dtype.inf_code if dtype.inf_code is not None else dtype.nan_code
    if saturate or beyond is None:
        return dtype.max_code
    match rounding:
        case "nearest_even" | "stochastic":
            return beyond
        case "toward_zero":
            return np.where(infinite, beyond, dtype.max_code)
        case "floor":
            return np.where(infinite | negative, beyond, dtype.max_code)


def _exclude(dtype: DType, magnitude: npt.NDArray[np.int64], outside: npt.NDArray[np.bool_], saturate: bool) -> None:
    """Write what a type without sign, or without zero, makes of numbers below its range."""
    magnitude[outside] = 0 if saturate or dtype.nan_code is None else dtype.nan_code
