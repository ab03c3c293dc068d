"""Rounding a number to a float type's code: the integer algorithm of `vmc.ir.types.rounding`, emitted as LLVM code.

A number comes as sign, significand and exponent, `sig * 2**(exponent - top)`. It is cut at the type's spacing there;
the mode and what was cut off decide whether to step up; adding the kept part to the shifted exponent gives the
magnitude code, since a carry out of the mantissa is a step of the exponent. All of it holds for vectors, lane by lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llvmlite import ir

from vmc.backends.cpu.elements import I1, I32, I64, code_type, like, resize, suffix, width_of
from vmc.backends.cpu.emitter import Emitter
from vmc.ir.types import DType

if TYPE_CHECKING:
    from vmc.backends.cpu.casts import Mode


@dataclass(frozen=True)
class Significand:
    """`(-1)**negative * sig * 2**(exponent - top)`: i1, two integers of one type, and what the number is."""

    negative: ir.Value
    sig: ir.Value
    exponent: ir.Value
    top: int
    zero: ir.Value
    infinite: ir.Value
    nan: ir.Value

    @property
    def type(self) -> ir.Type:
        return self.sig.type

    @staticmethod
    def of_float(e: Emitter, value: ir.Value) -> Significand:
        """A float, in 32 bits. A subnormal is not normalized: for types whose spacing is no finer than float's."""
        return _of_bits(e, e.b.bitcast(value, like(value.type, I32)), 23, 0)

    @staticmethod
    def of_double(e: Emitter, value: ir.Value) -> Significand:
        """A double, in 64 bits, moved up so that even f64 finds bits to cut off."""
        return _of_bits(e, e.b.bitcast(value, like(value.type, I64)), 52, 9)

    @staticmethod
    def of_integer(e: Emitter, value: ir.Value, signed: bool) -> Significand:
        """An i64, all 64 bits of it, normalized to bit 63."""
        b, type = e.b, value.type
        zero, never = ir.Constant(type, 0), ir.Constant(like(type, I1), 0)
        negative = b.icmp_signed("<", value, zero) if signed else never
        magnitude = b.select(negative, b.sub(zero, value), value)
        leading = e.call(f"llvm.ctlz.{suffix(type)}", type, magnitude, ir.Constant(I1, 0))
        none = b.icmp_unsigned("==", magnitude, zero)
        sig = b.shl(magnitude, b.and_(leading, ir.Constant(type, 63)))
        exponent = b.select(none, ir.Constant(type, -2000), b.sub(ir.Constant(type, 63), leading))
        return Significand(negative, sig, exponent, 63, none, never, never)


def _of_bits(e: Emitter, bits: ir.Value, mantissa: int, up: int) -> Significand:
    b, type = e.b, bits.type
    width = width_of(type)
    bias = (1 << (width - mantissa - 2)) - 1
    infinity = ((1 << (width - mantissa - 1)) - 1) << mantissa

    def number(value: int) -> ir.Constant:
        return ir.Constant(type, value)

    magnitude = b.and_(bits, number((1 << (width - 1)) - 1))
    field = b.lshr(magnitude, number(mantissa))
    normal = b.zext(b.icmp_unsigned("!=", field, number(0)), type)
    exponent = b.sub(b.sub(field, normal), number(bias - 1))
    sig = b.or_(b.and_(magnitude, number((1 << mantissa) - 1)), b.shl(normal, number(mantissa)))
    return Significand(
        b.icmp_signed("<", bits, number(0)),
        b.shl(sig, number(up)) if up else sig,
        exponent,
        mantissa + up,
        b.icmp_unsigned("==", magnitude, number(0)),
        b.icmp_unsigned("==", magnitude, number(infinity)),
        b.icmp_unsigned(">", magnitude, number(infinity)),
    )


def encode_float(e: Emitter, target: DType, number: Significand, mode: Mode) -> ir.Value:
    """The code of a number in a float type, as the integer that holds codes."""
    b, type = e.b, number.type
    magnitude = _round(e, target, number, mode)
    over = b.icmp_signed(">", magnitude, ir.Constant(type, target.max_code))
    magnitude = b.select(over, _overflowed(e, target, number, mode), magnitude)
    negative = number.negative
    if not target.has_sign:
        outside = b.and_(negative, b.not_(number.zero))
        if not target.has_zero:
            outside = b.or_(outside, number.zero)
        least = 0 if mode.saturate or target.nan_code is None else target.nan_code
        magnitude = b.select(outside, ir.Constant(type, least), magnitude)
        negative = ir.Constant(like(type, I1), 0)
    magnitude = b.select(number.nan, ir.Constant(type, target.nan_code or 0), magnitude)
    if target.has_sign:
        if not target.has_nan:
            negative = b.xor(negative, number.nan)
        magnitude = b.or_(magnitude, b.shl(b.zext(negative, type), ir.Constant(type, target.magnitude_bits)))
    if target.unused_bits:
        magnitude = b.shl(magnitude, ir.Constant(type, target.unused_bits))
    return resize(b, magnitude, code_type(target), signed=False)


def _round(e: Emitter, target: DType, number: Significand, mode: Mode) -> ir.Value:
    """The magnitude code, as though the exponent had no upper bound."""
    b, type, top = e.b, number.type, number.top

    def constant(value: int) -> ir.Constant:
        return ir.Constant(type, value)

    def larger(value: ir.Value, least: int) -> ir.Value:
        return e.call(f"llvm.smax.{suffix(type)}", type, value, constant(least))

    sig, exponent, least = number.sig, number.exponent, target.min_exponent
    if not target.has_zero:
        below = b.icmp_signed("<", exponent, constant(least))
        sig = b.select(below, constant(1 << top), sig)
        exponent = larger(exponent, least)
    scale = larger(exponent, least)
    shift = b.add(b.sub(scale, exponent), constant(top - target.mantissa_bits))
    cut = e.call(f"llvm.smin.{suffix(type)}", type, shift, constant(width_of(type) - 1))
    kept = b.lshr(sig, cut)
    rest = b.sub(sig, b.shl(kept, cut))
    offset = least if target.has_zero else least + 1
    code = b.add(b.shl(b.sub(scale, constant(offset)), constant(target.mantissa_bits)), kept)
    step = _step(e, target, number, mode, (code, rest, shift, cut))
    return code if step is None else b.add(code, b.zext(step, type))


def _step(e: Emitter, target: DType, number: Significand, mode: Mode, parts: tuple[ir.Value, ...]) -> ir.Value | None:
    """Whether the magnitude steps up, as i1; None for never."""
    b, type = e.b, number.type
    code, rest, shift, cut = parts
    one = ir.Constant(type, 1)
    match mode.rounding:
        case "nearest_even":
            odd = b.and_(code, one) if target.has_zero or target.mantissa_bits else one
            half = b.shl(one, b.sub(cut, one))
            return b.icmp_unsigned(">", b.add(rest, odd), half)
        case "floor":
            return b.and_(b.icmp_unsigned("!=", rest, ir.Constant(type, 0)), number.negative)
        case "stochastic":
            assert mode.noise is not None
            zero, most, thirty_two = (ir.Constant(type, value) for value in (0, 63, 32))
            up = e.call(f"llvm.smax.{suffix(type)}", type, b.sub(thirty_two, shift), zero)
            down = e.clamp(b.sub(shift, thirty_two), zero, most)
            fraction = b.lshr(b.shl(rest, up), down)
            return b.icmp_unsigned(">", fraction, b.zext(mode.noise, type))
    return None


def _overflowed(e: Emitter, target: DType, number: Significand, mode: Mode) -> ir.Value:
    """The magnitude of a number beyond the largest finite one."""
    type = number.type
    beyond = target.inf_code if target.inf_code is not None else target.nan_code
    largest = ir.Constant(type, target.max_code)
    if mode.saturate or beyond is None:
        return largest
    match mode.rounding:
        case "toward_zero":
            return e.b.select(number.infinite, ir.Constant(type, beyond), largest)
        case "floor":
            outward = e.b.or_(number.infinite, number.negative)
            return e.b.select(outward, ir.Constant(type, beyond), largest)
    return ir.Constant(type, beyond)
