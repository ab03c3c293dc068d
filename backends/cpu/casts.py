"""Conversions between numeric types on one element: exact decoding, rounding once, every mode, saturating or not.

The meaning is `vmc.ir.types.encoding`'s. Quick ways (an LLVM conversion, a few integer operations) are taken where they
give the same; everything else goes through `rounding`, the integer algorithm on significands.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu.elements import (
    DOUBLE,
    FLOAT,
    HALF,
    I16,
    I32,
    I64,
    container_bits,
    element_type,
    from_code,
    resize,
    to_code,
    wrap,
)
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.rounding import Significand, encode_float
from vmc.ir.types import DType, dtype

F16, F32 = dtype("f16"), dtype("f32")


@dataclass(frozen=True)
class Mode:
    """How a cast rounds; `noise` is the i32 of random bits of a stochastic one."""

    rounding: str
    saturate: bool | None
    noise: ir.Value | None = None


def is_signed(dtype: DType) -> bool:
    return dtype.is_int and not dtype.is_uint


# Decoding


def widen_float(e: Emitter, dtype: DType, element: ir.Value) -> ir.Value:
    """The exact value of a float's element: double for f64, float for every other type."""
    match dtype.name:
        case "f32" | "f64":
            return element
        case "f16" if e.has_half:
            return e.b.fpext(element, FLOAT)
        case "bf16":
            return e.b.bitcast(e.b.shl(e.b.zext(element, I32), ir.Constant(I32, 16)), FLOAT)
        case "tf32":
            used = ir.Constant(I32, (1 << 32) - (1 << dtype.unused_bits))
            return e.b.bitcast(e.b.and_(element, used), FLOAT)
    code = to_code(e.b, dtype, element)
    return decode_fields(e, dtype, resize(e.b, code, I32, signed=False))


def decode_fields(e: Emitter, dtype: DType, code: ir.Value) -> ir.Value:
    """The value of a code (i32) of at most 16 bits: its significand times a power of two, both exact floats."""

    def number(value: int) -> ir.Constant:
        return ir.Constant(I32, value)

    b = e.b
    magnitude = b.and_(code, number((1 << dtype.magnitude_bits) - 1))
    exponent = b.lshr(magnitude, number(dtype.mantissa_bits))
    if dtype.has_zero:
        mantissa = b.and_(magnitude, number((1 << dtype.mantissa_bits) - 1))
        normal = b.icmp_unsigned("!=", exponent, number(0))
        significand = b.or_(mantissa, b.select(normal, number(1 << dtype.mantissa_bits), number(0)))
        power = b.select(normal, exponent, number(1))
        scale = b.shl(b.add(power, number(127 - dtype.bias - dtype.mantissa_bits)), number(23))
        value = b.bitcast(b.fmul(b.sitofp(significand, FLOAT), b.bitcast(scale, FLOAT)), I32)
    else:
        value = pure_scale(e, dtype, magnitude, exponent)
    if dtype.inf_code is not None:
        value = b.select(b.icmp_unsigned("==", magnitude, number(dtype.inf_code)), number(0x7F800000), value)
    if dtype.nan_start is not None:
        value = b.select(b.icmp_unsigned(">=", magnitude, number(dtype.nan_start)), number(0x7FC00000), value)
    if dtype.has_sign:
        sign = b.and_(b.lshr(code, number(dtype.magnitude_bits)), number(1))
        value = b.or_(value, b.shl(sign, number(31)))
    return b.bitcast(value, FLOAT)


def pure_scale(e: Emitter, dtype: DType, magnitude: ir.Value, exponent: ir.Value) -> ir.Value:
    """The bits of a float whose exponent 0 is an ordinary power of two, which may be one of float's subnormals."""
    b, rebias = e.b, 127 - dtype.bias
    normal = b.add(b.shl(magnitude, ir.Constant(I32, 23 - dtype.mantissa_bits)), ir.Constant(I32, rebias << 23))
    if rebias > 0:
        return normal
    significand = b.or_(normal, ir.Constant(I32, 1 << 23))
    subnormal = b.lshr(significand, ir.Constant(I32, 1))
    return b.select(b.icmp_unsigned("==", exponent, ir.Constant(I32, 0)), subnormal, normal)


# Quick roundings to nearest even


def round_to_half(e: Emitter, value: ir.Value) -> ir.Value:
    """A float rounded to half, ties to even."""
    if e.has_half:
        return e.b.fptrunc(value, HALF)
    code = encode_float(e, F16, Significand.of_float(e, value), Mode("nearest_even", None))
    return from_code(e.b, F16, code)


def round_to_bfloat(e: Emitter, value: ir.Value) -> ir.Value:
    """A float rounded to the code of bf16, ties to even, in integer arithmetic: AVX512-BF16 flushes subnormals."""
    b = e.b
    bits = b.bitcast(value, I32)
    odd = b.and_(b.lshr(bits, ir.Constant(I32, 16)), ir.Constant(I32, 1))
    rounded = b.lshr(b.add(bits, b.add(odd, ir.Constant(I32, 0x7FFF))), ir.Constant(I32, 16))
    quiet = b.or_(b.lshr(bits, ir.Constant(I32, 16)), ir.Constant(I32, 0x40))
    return b.trunc(b.select(b.fcmp_unordered("uno", value, value), quiet, rounded), I16)


# Casts


def cast(e: Emitter, source: DType, target: DType, mode: Mode, element: ir.Value) -> ir.Value:
    """An element of `source` as an element of `target`."""
    if target.is_int:
        if source.is_int:
            return int_to_int(e, source, target, bool(mode.saturate), element)
        return float_to_int(e, source, target, mode, element)
    quick = quick_cast(e, source, target, mode, element)
    if quick is not None:
        return quick
    return from_code(e.b, target, encode_float(e, target, significand(e, source, target, mode, element), mode))


def quick_cast(e: Emitter, source: DType, target: DType, mode: Mode, element: ir.Value) -> ir.Value | None:
    """A cast to a float by a conversion that LLVM has, where that is the same."""
    if mode.saturate:
        return None
    exact = fits(source, target)
    if not exact and mode.rounding != "nearest_even":
        return None
    if target.name in ("f32", "f64"):
        type = element_type(target)
        if source.is_int:
            return e.b.sitofp(element, type) if is_signed(source) else e.b.uitofp(element, type)
        value = widen_float(e, source, element)
        if value.type == type:
            return value
        return e.b.fpext(value, type) if type == DOUBLE else e.b.fptrunc(value, type)
    # Two roundings are one where float holds the source exactly, and where all it rounds is beyond half's range.
    once = source.width < 64 and not (source.is_int and source.width == 32)
    if not (target.name == "f16" and (once or source.is_int)) and not (target.name == "bf16" and once):
        return None
    value = cast(e, source, F32, Mode("nearest_even", None), element)
    return round_to_half(e, value) if target.name == "f16" else round_to_bfloat(e, value)


def fits(source: DType, target: DType) -> bool:
    """Whether every value of `source` is one of `target`, a float with infinity and NaN."""
    if not target.has_infinity:
        return False
    if source.is_int:
        return source.width - source.has_sign <= target.mantissa_bits + 1 and source.width <= 1 << (
            target.exponent_bits - 1
        )
    least = source.min_exponent - source.mantissa_bits >= target.min_exponent - target.mantissa_bits
    return source.mantissa_bits <= target.mantissa_bits and least and source.max <= target.max


def significand(e: Emitter, source: DType, target: DType, mode: Mode, element: ir.Value) -> Significand:
    """The element as sign, significand and exponent, in 32 bits where those hold what matters."""
    if source.is_int and source.width >= 32:
        return Significand.of_integer(e, resize(e.b, element, I64, is_signed(source)), is_signed(source))
    if source.is_int:
        convert = e.b.sitofp if is_signed(source) else e.b.uitofp
        value = convert(element, FLOAT)
    else:
        value = widen_float(e, source, element)
    narrow = target.mantissa_bits <= 10 and target.has_zero and mode.rounding != "stochastic"
    if value.type == FLOAT and narrow:
        return Significand.of_float(e, value)
    return Significand.of_double(e, value if value.type == DOUBLE else e.b.fpext(value, DOUBLE))


def int_to_int(e: Emitter, source: DType, target: DType, saturate: bool, element: ir.Value) -> ir.Value:
    """Modulo 2^width, or clamped."""
    type = element_type(target)
    if not saturate:
        return wrap(e.b, target, resize(e.b, element, type, is_signed(source)))
    wide = element.type if element.type.width >= type.width else type
    value = resize(e.b, element, wide, is_signed(source))
    kind = "s" if is_signed(source) else "u"
    most = min(int(target.max), int(source.max))
    value = e.call(f"llvm.{kind}min.{wide}", wide, value, ir.Constant(wide, most))
    if is_signed(source):
        least = max(int(target.min), int(source.min))
        value = e.call(f"llvm.smax.{wide}", wide, value, ir.Constant(wide, least))
    return resize(e.b, value, type, is_signed(source))


def float_to_int(e: Emitter, source: DType, target: DType, mode: Mode, element: ir.Value) -> ir.Value:
    """Rounded by the mode, clamped to the range; NaN becomes 0."""
    value = round_value(e, mode, widen_float(e, source, element))
    bits = 32 if target.width < 32 else target.width
    middle, signed = ir.IntType(bits), is_signed(target) or target.width < 32
    kind = "s" if signed else "u"
    suffix = "f64" if value.type == DOUBLE else "f32"
    whole = e.call(f"llvm.fpto{kind}i.sat.i{bits}.{suffix}", middle, value)
    if target.width < 32:
        whole = e.call("llvm.smin.i32", I32, whole, ir.Constant(I32, int(target.max)))
        whole = e.call("llvm.smax.i32", I32, whole, ir.Constant(I32, int(target.min)))
    return resize(e.b, whole, element_type(target), signed=True)


def round_value(e: Emitter, mode: Mode, value: ir.Value) -> ir.Value:
    """A float or double rounded to an integer value; a stochastic one as a double, in which the fraction is exact."""
    suffix = "f64" if value.type == DOUBLE else "f32"
    match mode.rounding:
        case "nearest_even":
            return e.call(f"llvm.roundeven.{suffix}", value.type, value)
        case "floor":
            return e.call(f"llvm.floor.{suffix}", value.type, value)
        case "toward_zero":
            return value
    b = e.b
    assert mode.noise is not None
    wide = value if value.type == DOUBLE else b.fpext(value, DOUBLE)
    whole = e.call("llvm.trunc.f64", DOUBLE, wide)
    rest = e.call("llvm.fabs.f64", DOUBLE, b.fsub(wide, whole))
    units = e.call("llvm.floor.f64", DOUBLE, b.fmul(rest, ir.Constant(DOUBLE, 2.0**32)))
    step = b.fcmp_ordered(">", units, b.uitofp(mode.noise, DOUBLE))
    one = e.call("llvm.copysign.f64", DOUBLE, ir.Constant(DOUBLE, 1.0), wide)
    return b.select(step, b.fadd(whole, one), whole)


def bitcast(e: Emitter, source: DType, target: DType, element: ir.Value) -> ir.Value:
    """The same bits as another type of the same width."""
    code = to_code(e.b, source, element)
    return from_code(e.b, target, resize(e.b, code, ir.IntType(container_bits(target)), signed=False))
