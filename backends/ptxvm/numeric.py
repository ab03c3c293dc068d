"""Floating-point numbers as bit patterns: decode, compute in float64 exactly or rounded to odd, round once, encode.

All of PTX's formats are narrower than float64 but f64 itself. A value rounded to odd in float64 (53 bits) rounds once
more, in any direction, as the exact value would (Boldo and Melquiond, 2008), because the target has at least two bits
less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.ir.exact import fma, odd_sum
from vmc.ir.types import dtype as numeric_type


@dataclass(frozen=True)
class Format:
    """A binary format: `width` bits stored, `precision` significant bits, smallest normal exponent, largest value."""

    name: str
    width: int
    precision: int
    min_exponent: int
    largest: float
    nan: int


def _largest(precision: int, exponent: int) -> float:
    return float(2.0**exponent * (2.0 - 2.0 ** (1 - precision)))


FORMATS = {
    "f16": Format("f16", 16, 11, -14, 65504.0, 0x7FFF),
    "bf16": Format("bf16", 16, 8, -126, _largest(8, 127), 0x7FFF),
    "tf32": Format("tf32", 32, 11, -126, _largest(11, 127), 0x7FFFFFFF),
    "f32": Format("f32", 32, 24, -126, _largest(24, 127), 0x7FFFFFFF),
    "f64": Format("f64", 64, 53, -1022, _largest(53, 1023), 0x7FFFFFFFFFFFFFFF),
}

SMALL = {
    "e4m3": "f8e4m3", "e5m2": "f8e5m2", "e2m1": "f4e2m1", "e2m3": "f6e2m3", "e3m2": "f6e3m2", "ue8m0": "f8e8m0",
}  # fmt: skip
"""PTX's names of the formats of up to 8 bits, and vmc's."""


def decode(bits: Array, kind: str) -> Array:
    """Codes of a format to values: float32 for f32 and tf32, float64 for the rest."""
    match kind:
        case "f32":
            return bits.view(np.float32)
        case "tf32":
            return (bits & np.uint32(0xFFFFE000)).view(np.float32)
        case "f64":
            return bits.view(np.float64)
        case "f16":
            return bits.view(np.float16).astype(np.float64)
        case "bf16":
            return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
        case _:
            return _small_table(SMALL[kind])[bits]


@cache
def _small_table(name: str) -> Array:
    kind = numeric_type(name)
    table = np.full(256, np.nan)
    codes = kind.codes()
    table[: len(codes)] = kind.decode(codes)
    return table


NAN_BECOMES = {"e4m3": 0x7F, "e5m2": 0x7F, "e2m1": 0x07, "e2m3": 0x1F, "e3m2": 0x1F}
"""NaN, or in formats without one the largest number (PTX ISA, cvt, .satfinite)."""


def encode_small(values: Array, kind: str) -> Array:
    """Values to codes of a format of up to 8 bits, to nearest even, saturating, as cvt.rn.satfinite does."""
    target = numeric_type(SMALL[kind])
    nan = np.isnan(values)
    codes = target.encode(np.where(nan, 0, values), rounding="nearest_even", saturate=True).astype(np.uint8)
    return np.where(nan, np.uint8(NAN_BECOMES[kind]), codes)


def encode_scale(values: Array, upwards: bool) -> Array:
    """Magnitudes to codes of ue8m0, powers of two from 2**-127 to 2**127: down, or up to the next one; 0xFF is NaN."""
    fraction, exponent = np.frexp(np.abs(values))
    power = exponent - 1 + (upwards & (fraction > 0.5))
    codes = np.where(values == 0, 0, np.clip(power + 127, 0, 254))
    codes = np.where(np.isinf(values), 254, codes)
    return np.where(np.isnan(values), 255, codes).astype(np.uint8)


def round_to(values: Array, target: Format, mode: str) -> Array:
    """Round float64 values to a format; the result is float64 again. Modes: rn, rna (ties away), rz, rm, rp."""
    with np.errstate(all="ignore"):
        exponent = np.frexp(values)[1] - 1
        last = np.maximum(exponent, target.min_exponent) - (target.precision - 1)
        scaled = np.ldexp(values, -last)
        match mode:
            case "rn":
                whole = np.rint(scaled)
            case "rna":
                whole = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
            case "rz":
                whole = np.trunc(scaled)
            case "rm":
                whole = np.floor(scaled)
            case _:
                whole = np.ceil(scaled)
        rounded = np.ldexp(whole, last)
        over = np.abs(rounded) > target.largest
        if over.any():
            rounded = np.where(over & np.isfinite(values), _overflow(values, target, mode), rounded)
        return np.where(np.isfinite(values), np.copysign(rounded, values), values)


def _overflow(values: Array, target: Format, mode: str) -> Array:
    limit = {"rn": np.inf, "rna": np.inf, "rz": target.largest}
    if mode in limit:
        return np.copysign(limit[mode], values)
    downwards = mode == "rm"
    return np.where(
        np.signbit(values), -np.inf if downwards else -target.largest, target.largest if downwards else np.inf
    )


def encode(values: Array, kind: str, mode: str = "rn") -> Array:
    """float64 values (rounded to odd, or exact) to codes of a format, NaN to its canonical NaN."""
    target = FORMATS[kind]
    with np.errstate(all="ignore"):
        match kind:
            case "f32" if mode == "rn":
                bits = values.astype(np.float32).view(np.uint32)
            case "f16" if mode == "rn":
                bits = values.astype(np.float16).view(np.uint16)
            case "f64":
                bits = values.astype(np.float64, copy=False).view(np.uint64)
            case "f16":
                bits = round_to(values, target, mode).astype(np.float16).view(np.uint16)
            case "bf16":
                bits = (round_to(values, target, mode).astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(
                    np.uint16
                )
            case _:
                bits = round_to(values, target, mode).astype(np.float32).view(np.uint32)
    return canonical(bits, np.isnan(values), target)


def canonical(bits: Array, nan: Array, target: Format) -> Array:
    """With the canonical NaN where `nan`."""
    if nan.any():
        bits = np.where(nan, UINT[target.width](target.nan), bits)
    return bits


def flush(bits: Array, kind: str) -> Array:
    """Subnormal numbers of f32 or f16 become zero of their sign (.ftz)."""
    exponent, sign = {"f32": (0x7F800000, 0x80000000), "f16": (0x7C00, 0x8000), "bf16": (0x7F80, 0x8000)}[kind]
    unsigned = bits.dtype.type
    return np.where(bits & unsigned(exponent), bits, bits & unsigned(sign))


def saturate(bits: Array, kind: str) -> Array:
    """Clamp to [0, 1]; NaN becomes 0 (.sat)."""
    values = decode(bits, kind)
    with np.errstate(all="ignore"):
        clamped = np.where(values > 0, np.minimum(values, 1), 0)
    return encode(clamped.astype(np.float64), kind)


def add(a: Array, b: Array, kind: str, mode: str) -> Array:
    """Codes of a + b, rounded once."""
    with np.errstate(all="ignore"):
        x, y = decode(a, kind), decode(b, kind)
        if mode == "rn" and kind in ("f32", "f64"):
            return _native(x + y, kind)
        if kind == "f64":
            return _directed64(_downward_zero(x + y, x, y, mode), lambda i, j: i + j, (x, y), mode)
        total = odd_sum(x.astype(np.float64), y.astype(np.float64))
        return encode(_downward_zero(total, x, y, mode), kind, mode)


def _downward_zero(total: Array, x: Array, y: Array, mode: str) -> Array:
    """A sum of numbers of different signs that is zero is -0 when rounding down."""
    if mode != "rm":
        return total
    return np.where((total == 0) & (np.signbit(x) | np.signbit(y)), -0.0, total)


def multiply(a: Array, b: Array, kind: str, mode: str) -> Array:
    """Codes of a * b, rounded once."""
    with np.errstate(all="ignore"):
        x, y = decode(a, kind), decode(b, kind)
        if mode == "rn" and kind in ("f32", "f64"):
            return _native(x * y, kind)
        if kind == "f64":
            return _directed64(x * y, lambda i, j: i * j, (x, y), mode)
        return encode(x.astype(np.float64) * y.astype(np.float64), kind, mode)


def multiply_add(a: Array, b: Array, c: Array, kind: str, mode: str) -> Array:
    """Codes of a * b + c, rounded once."""
    with np.errstate(all="ignore"):
        x, y, z = decode(a, kind), decode(b, kind), decode(c, kind)
        if kind == "f64":
            nearest = fma(x, y, z)
            if mode == "rn":
                return _native(nearest, kind)
            nearest = _downward_zero(nearest, x * y, z, mode)
            return _directed64(nearest, lambda i, j, k: i * j + k, (x, y, z), mode)
        product, addend = x.astype(np.float64) * y.astype(np.float64), z.astype(np.float64)
        return encode(_downward_zero(odd_sum(product, addend), product, addend, mode), kind, mode)


def divide(a: Array, b: Array, kind: str, mode: str) -> Array:
    """Codes of a / b, rounded once. A float64 quotient of narrower numbers is never close enough to mislead."""
    with np.errstate(all="ignore"):
        x, y = decode(a, kind), decode(b, kind)
        if mode == "rn" and kind in ("f32", "f64"):
            return _native(x / y, kind)
        if kind == "f64":
            return _directed64(x / y, lambda i, j: i / j, (x, y), mode)
        return encode(x.astype(np.float64) / y.astype(np.float64), kind, mode)


def root(a: Array, kind: str, mode: str) -> Array:
    """Codes of the square root, rounded once."""
    with np.errstate(all="ignore"):
        x = decode(a, kind)
        if mode == "rn" and kind in ("f32", "f64"):
            return _native(np.sqrt(x), kind)
        if kind == "f64":
            return _directed64(np.sqrt(x), lambda i: i, (x,), mode, lambda r: r * r)
        return encode(np.sqrt(x.astype(np.float64)), kind, mode)


def _native(values: Array, kind: str) -> Array:
    """Codes of float32 or float64 results."""
    bits = values.view(UINT[FORMATS[kind].width])
    nan = np.isnan(values)
    return canonical(bits, nan, FORMATS[kind]) if nan.any() else bits


def _directed64(
    nearest: Array,
    exact: Callable[..., Fraction],
    operands: tuple[Array, ...],
    mode: str,
    undo: Callable[[Fraction], Fraction] = lambda r: r,
) -> Array:
    """Float64 results rounded to nearest, moved where `mode` wants the neighbour. `exact` of the operands as
    fractions is the exact result, or what `undo` makes of it."""
    values = [np.broadcast_to(o, nearest.shape).tolist() for o in operands]
    result = nearest.copy()
    for i, (found, *inputs) in enumerate(zip(nearest.tolist(), *values, strict=True)):
        if not all(map(math.isfinite, inputs)) or (math.isinf(found) and 0.0 in inputs):
            continue
        if math.isnan(found):
            continue
        target = exact(*map(Fraction, inputs))
        result[i] = _step64(found, target, mode, undo)
    return _native(result, "f64")


def _step64(found: float, target: Fraction, mode: str, undo: Callable[[Fraction], Fraction]) -> float:
    """The float64 that `mode` wants, next to the nearest one."""
    if math.isinf(found):
        error = -1 if found > 0 else 1
    else:
        reached = undo(Fraction(found))
        error = (target > reached) - (target < reached)
    if mode == "rm" and found == 0 and target == 0:
        return found
    down = mode == "rm" or (mode == "rz" and (found > 0 or (found == 0 and target > 0)))
    if down and error < 0:
        return math.nextafter(found, -math.inf)
    return math.nextafter(found, math.inf) if not down and error > 0 else found


def directed_integers(values: Array, mode: str) -> Array:
    """64-bit integers as codes of f64, rounded in a mode."""
    nearest = values.astype(np.float64)
    if mode == "rn":
        return nearest.view(np.uint64)
    steps = [_step64(f, Fraction(v), mode, lambda r: r) for f, v in zip(nearest.tolist(), values.tolist(), strict=True)]
    return np.array(steps).view(np.uint64)


def integer_to_odd(values: Array) -> Array:
    """64-bit integers as float64, rounded to odd."""
    low = (values & values.dtype.type(0xFFFFFFFF)).astype(np.float64)
    high = (values >> values.dtype.type(32)).astype(np.float64) * 2.0**32
    return odd_sum(high, low)
