"""Conversions between numeric types on one element: exact decoding, rounding once, every mode, saturating or not.

A vector of elements gives the vector of the results. The meaning is `vmc.ir.types.encoding`'s. Quick ways (an LLVM
conversion, a few integer operations) are taken where they give the same; everything else goes through `rounding`, the
integer algorithm on significands.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu import small_floats
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
    like,
    number,
    resize,
    scalar_of,
    suffix,
    to_code,
    width_of,
    wrap,
)
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.rounding import Significand, encode_float
from vmc.ir.types import DType, dtype

F16, F32 = dtype("f16"), dtype("f32")


@dataclass(frozen=True)
class Mode:
    """How a cast rounds; `noise` is the i32 of random bits of a stochastic one, a vector where the element is one."""

    rounding: str
    saturate: bool | None
    noise: ir.Value | None = None


def is_signed(dtype: DType) -> bool:
    return dtype.is_int and not dtype.is_uint


# Decoding


def widen_float(e: Emitter, dtype: DType, element: ir.Value) -> ir.Value:
    """The exact value of a float's element: double for f64, float for every other type."""
    float_type = like(element.type, FLOAT)
    match dtype.name:
        case "f32" | "f64":
            return element
        case "f16" if e.has_half:
            return e.b.fpext(element, float_type)
        case "bf16":
            bits = e.b.zext(element, like(element.type, I32))
            return e.b.bitcast(e.b.shl(bits, number(bits.type, 16)), float_type)
        case "tf32":
            used = number(element.type, (1 << 32) - (1 << dtype.unused_bits))
            return e.b.bitcast(e.b.and_(element, used), float_type)
    code, form = to_code(e.b, dtype, element), small_floats.reading(dtype) if e.has_half else None
    if form is not None:
        return form.value(e.b, form.place(e.b, small_floats.words_of(e, code)))
    return decode_fields(e, dtype, resize(e.b, code, I32, signed=False))


def decode_fields(e: Emitter, dtype: DType, code: ir.Value) -> ir.Value:
    """The value of a code (i32) of at most 16 bits: its significand times a power of two, both exact floats."""
    b, float_type = e.b, like(code.type, FLOAT)

    def constant(value: int) -> ir.Constant:
        return ir.Constant(code.type, value)

    magnitude = b.and_(code, constant((1 << dtype.magnitude_bits) - 1))
    exponent = b.lshr(magnitude, constant(dtype.mantissa_bits))
    if dtype.has_zero:
        mantissa = b.and_(magnitude, constant((1 << dtype.mantissa_bits) - 1))
        normal = b.icmp_unsigned("!=", exponent, constant(0))
        significand = b.or_(mantissa, b.select(normal, constant(1 << dtype.mantissa_bits), constant(0)))
        power = b.select(normal, exponent, constant(1))
        scale = b.shl(b.add(power, constant(127 - dtype.bias - dtype.mantissa_bits)), constant(23))
        value = b.bitcast(b.fmul(b.sitofp(significand, float_type), b.bitcast(scale, float_type)), code.type)
    else:
        value = pure_scale(e, dtype, magnitude, exponent)
    if dtype.inf_code is not None:
        value = b.select(b.icmp_unsigned("==", magnitude, constant(dtype.inf_code)), constant(0x7F800000), value)
    if dtype.nan_start is not None:
        value = b.select(b.icmp_unsigned(">=", magnitude, constant(dtype.nan_start)), constant(0x7FC00000), value)
    if dtype.has_sign:
        sign = b.and_(b.lshr(code, constant(dtype.magnitude_bits)), constant(1))
        value = b.or_(value, b.shl(sign, constant(31)))
    return b.bitcast(value, float_type)


def pure_scale(e: Emitter, dtype: DType, magnitude: ir.Value, exponent: ir.Value) -> ir.Value:
    """The bits of a float whose exponent 0 is an ordinary power of two, which may be one of float's subnormals."""
    b, type, rebias = e.b, magnitude.type, 127 - dtype.bias
    normal = b.add(b.shl(magnitude, number(type, 23 - dtype.mantissa_bits)), number(type, rebias << 23))
    if rebias > 0:
        return normal
    significand = b.or_(normal, number(type, 1 << 23))
    subnormal = b.lshr(significand, number(type, 1))
    return b.select(b.icmp_unsigned("==", exponent, number(type, 0)), subnormal, normal)


# Quick roundings to nearest even


def round_to_half(e: Emitter, value: ir.Value) -> ir.Value:
    """A float rounded to half, ties to even."""
    if e.has_half:
        return e.b.fptrunc(value, like(value.type, HALF))
    code = encode_float(e, F16, Significand.of_float(e, value), Mode("nearest_even", None))
    return from_code(e.b, F16, code)


def round_to_bfloat(e: Emitter, value: ir.Value) -> ir.Value:
    """A float rounded to the code of bf16, ties to even, in integer arithmetic: AVX512-BF16 flushes subnormals."""
    b = e.b
    bits = b.bitcast(value, like(value.type, I32))
    sixteen = number(bits.type, 16)
    odd = b.and_(b.lshr(bits, sixteen), number(bits.type, 1))
    rounded = b.lshr(b.add(bits, b.add(odd, number(bits.type, 0x7FFF))), sixteen)
    quiet = b.or_(b.lshr(bits, sixteen), number(bits.type, 0x40))
    return b.trunc(b.select(b.fcmp_unordered("uno", value, value), quiet, rounded), like(value.type, I16))


# Casts


def cast(e: Emitter, source: DType, target: DType, mode: Mode, element: ir.Value) -> ir.Value:
    """An element of `source` as an element of `target`; a vector of them as a vector."""
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
        type = like(element.type, element_type(target))
        if source.is_int:
            return e.b.sitofp(element, type) if is_signed(source) else e.b.uitofp(element, type)
        value = widen_float(e, source, element)
        if value.type == type:
            return value
        return e.b.fpext(value, type) if target.name == "f64" else e.b.fptrunc(value, type)
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
        value = convert(element, like(element.type, FLOAT))
    else:
        value = widen_float(e, source, element)
    narrow = target.mantissa_bits <= 10 and target.has_zero and mode.rounding != "stochastic"
    if scalar_of(value.type) == FLOAT and narrow:
        return Significand.of_float(e, value)
    return Significand.of_double(e, e.b.fpext(value, like(value.type, DOUBLE)))


def int_to_int(e: Emitter, source: DType, target: DType, saturate: bool, element: ir.Value) -> ir.Value:
    """Modulo 2^width, or clamped."""
    type = element_type(target)
    if not saturate:
        return wrap(e.b, target, resize(e.b, element, type, is_signed(source)))
    wide = type if type.width > width_of(element.type) else scalar_of(element.type)
    value = resize(e.b, element, wide, is_signed(source))
    kind = "s" if is_signed(source) else "u"
    most = number(value.type, min(int(target.max), int(source.max)))
    value = e.call(f"llvm.{kind}min.{suffix(value.type)}", value.type, value, most)
    if is_signed(source):
        least = number(value.type, max(int(target.min), int(source.min)))
        value = e.call(f"llvm.smax.{suffix(value.type)}", value.type, value, least)
    return resize(e.b, value, type, is_signed(source))


def float_to_int(e: Emitter, source: DType, target: DType, mode: Mode, element: ir.Value) -> ir.Value:
    """Rounded by the mode, clamped to the range; NaN becomes 0.

    Clamped as a float: LLVM takes its saturating conversions of vectors apart, lane by lane.
    """
    b, value = e.b, round_value(e, mode, widen_float(e, source, element))
    least, most = int(target.min), int(target.max)
    digits = 53 if scalar_of(value.type) == DOUBLE else 24
    cut = max(0, most.bit_length() - digits)
    highest = most >> cut << cut  # the largest float that converts
    low, high = number(value.type, least), number(value.type, highest)
    raised = b.select(b.fcmp_ordered(">", value, low), value, low)  # NaN becomes low
    clamped = b.select(b.fcmp_ordered("<", raised, high), raised, high)
    middle = like(value.type, ir.IntType(max(32, target.width)))
    convert = b.fptosi if is_signed(target) or target.width < 32 else b.fptoui
    whole = convert(clamped, middle)
    if highest < most:
        whole = b.select(b.fcmp_ordered(">", value, high), number(middle, most), whole)
    if least:
        whole = b.select(b.fcmp_unordered("uno", value, value), number(middle, 0), whole)
    return resize(b, whole, element_type(target), signed=True)


def round_value(e: Emitter, mode: Mode, value: ir.Value) -> ir.Value:
    """A float or double rounded to an integer value; a stochastic one as a double, in which the fraction is exact."""
    match mode.rounding:
        case "nearest_even":
            return e.call(f"llvm.roundeven.{suffix(value.type)}", value.type, value)
        case "floor":
            return e.call(f"llvm.floor.{suffix(value.type)}", value.type, value)
        case "toward_zero":
            return value
    b = e.b
    assert mode.noise is not None
    double = like(value.type, DOUBLE)
    wide, name = b.fpext(value, double), suffix(double)
    whole = e.call(f"llvm.trunc.{name}", double, wide)
    rest = e.call(f"llvm.fabs.{name}", double, b.fsub(wide, whole))
    units = e.call(f"llvm.floor.{name}", double, b.fmul(rest, number(double, 2.0**32)))
    step = b.fcmp_ordered(">", units, b.uitofp(mode.noise, double))
    one = e.call(f"llvm.copysign.{name}", double, number(double, 1.0), wide)
    return b.select(step, b.fadd(whole, one), whole)


def bitcast(e: Emitter, source: DType, target: DType, element: ir.Value) -> ir.Value:
    """The same bits as another type of the same width."""
    code = to_code(e.b, source, element)
    return from_code(e.b, target, resize(e.b, code, ir.IntType(container_bits(target)), signed=False), exact=True)
