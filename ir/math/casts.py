"""`cast` between any two dtypes in terms of casts that every machine has, for executors without the others.

`expand_cast(build, op)` gives None for the casts that it builds on, the primitive ones:

    integer -> integer                wrapping
    integer -> f32, f64               to nearest even, or exact
    f32, f64 -> i32, i64, u32, u64    toward zero, saturating, NaN to 0
    f16 -> f32, f32 <-> f64, f32 -> f16    to nearest even, overflow to infinity

Everything else becomes these and integer, bit and select operations, with the results of `DType.encode` and `decode`:
small floats decode to f32 exactly (`decode`), and floats and integers are rounded as in `vmc.ir.types.rounding`, on
significands (`encode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from vmc.ir.math.expression import Expression, where
from vmc.ir.math.format import F32, format_of
from vmc.ir.types import DType, dtype

if TYPE_CHECKING:
    from vmc.ir.builder import Builder
    from vmc.ir.core import Op, Value

FLOAT32, FLOAT64, HALF = dtype("f32"), dtype("f64"), dtype("f16")
REGISTERS = tuple(map(dtype, ("i32", "i64", "u32", "u64")))
HALVES = {(HALF, FLOAT32), (FLOAT32, FLOAT64), (FLOAT64, FLOAT32), (FLOAT32, HALF)}
FAR = 2000
"""An exponent below every type's, for zero."""


@dataclass(frozen=True)
class Mode:
    """How to round, whether to saturate, and the random bits (u32) of stochastic rounding."""

    rounding: str
    saturate: bool
    random_bits: Expression | None


@dataclass(frozen=True)
class Number:
    """(-1)**negative * significand * 2**(exponent - top); unsigned and signed integers of one width."""

    negative: Expression
    significand: Expression
    exponent: Expression
    top: int


def is_primitive(source: DType, target: DType, rounding: str, saturate: bool | None) -> bool:
    """Whether the cast is one of those that expansions consist of."""
    if source.is_int:
        exact = source.width <= {"f32": 24, "f64": 32}.get(target.name, 0)
        rounded = target in (FLOAT32, FLOAT64) and (exact or rounding == "nearest_even")
        return rounded or (target.is_int and not saturate)
    if target.is_int:
        return source in (FLOAT32, FLOAT64) and target in REGISTERS and rounding == "toward_zero"
    return (source, target) in HALVES and not saturate and (rounding == "nearest_even" or target.width > source.width)


def expand_cast(build: Builder, op: Op) -> Value | None:
    """The result of a `cast` in primitive operations emitted into `build`, or None if the cast is primitive itself."""
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    rounding, saturate = str(op.attrs["rounding"]), bool(op.attrs["saturate"])
    if is_primitive(source, target, rounding, saturate):
        return None
    x = Expression(build, op.operands[0])
    noise = Expression(build, op.operands[1]) if len(op.operands) == 2 else None
    return convert(x, target, Mode(rounding, saturate, noise)).value


def convert(x: Expression, target: DType, mode: Mode) -> Expression:
    """x as `target`."""
    source = x.dtype
    if source.is_int and target.is_int:
        return narrow_integer(x, target)
    if source.is_int:
        return from_integer(x, target, mode)
    if source not in (FLOAT32, FLOAT64):
        x = decode(x, may_convert=target.is_int or target.has_nan)
    if target.is_int:
        return to_integer(x, target, mode)
    if x.dtype == target or (target == FLOAT64 and x.dtype == FLOAT32):
        return saturated(x.cast(target), mode)
    if target in (HALF, FLOAT32) and not mode.saturate and (embeds(source, target) or is_nearest_half(x, target, mode)):
        return x.cast(target)
    return encode_float(x, target, mode)


def is_nearest_half(x: Expression, target: DType, mode: Mode) -> bool:
    return (x.dtype, target) in HALVES and mode.rounding == "nearest_even"


@lru_cache(maxsize=1024)
def embeds(source: DType, target: DType) -> bool:
    """Whether every value of a source of at most 16 bits is one of the target's."""
    if source.width > 16:
        return False
    values = source.decode(source.codes())
    return bool(np.array_equal(target.decode(target.encode(values)), values, equal_nan=True))


def saturated(x: Expression, mode: Mode) -> Expression:
    """x with infinities clamped, if asked."""
    return x.most(float(x.dtype.min)).least(float(x.dtype.max)) if mode.saturate else x


# Integers


def narrow_integer(x: Expression, target: DType) -> Expression:
    """Integer to integer, clamped."""
    low, high = max(int(target.min), int(x.dtype.min)), min(int(target.max), int(x.dtype.max))
    return x.most(low).least(high).cast(target)


def to_integer(x: Expression, target: DType, mode: Mode) -> Expression:
    """f32 or f64 to an integer: rounded as a float, clamped, converted."""
    rounded = round_to_integer(x, mode)
    if target in REGISTERS:
        return toward_zero(rounded, target)
    return toward_zero(rounded.most(float(target.min)).least(float(target.max)), dtype("i32")).cast(target)


def toward_zero(x: Expression, target: DType | str) -> Expression:
    return Expression(x.build, x.build.cast(x.value, target, "toward_zero"))


def round_to_integer(x: Expression, mode: Mode) -> Expression:
    match mode.rounding:
        case "nearest_even":
            return x.rint()
        case "toward_zero":
            return x.trunc()
        case "floor":
            return x.floor()
    assert mode.random_bits is not None
    whole = x.trunc()
    step = toward_zero(abs(x - whole) * 2.0**32, "u32") > mode.random_bits
    return where(step, whole + where(x < 0.0, x.constant(-1.0), 1.0), whole)


def from_integer(x: Expression, target: DType, mode: Mode) -> Expression:
    """Integer to float. Up to 32 bits the detour through f32 or f64 is exact; 64 bits are normalized."""
    if x.dtype.width <= 32:
        exact = x.cast(FLOAT32 if x.dtype.width <= 24 else FLOAT64)
        return convert(exact, target, mode) if exact.dtype != target else exact
    negative = x < 0 if x.dtype.has_sign else x.differs(x)
    pattern = x.bits("u64")
    size = where(negative, ~pattern + 1, pattern)
    zeros = size.emit("clz")
    exponent = where(size.same(0), (63 - zeros.bits("i64")).constant(-FAR), 63 - zeros.bits("i64"))
    return encode(Number(negative, size << zeros, exponent, 63), target, mode)


# Floats


def decode(x: Expression, may_convert: bool = True) -> Expression:
    """Any float of at most 16 bits, or tf32, as f32, exactly.

    Machines that convert halves may lose a NaN's sign, which types without NaN make a zero's: `may_convert` is
    False where that matters, and fields are moved instead.
    """
    kind = x.dtype
    if kind == HALF and may_convert:
        return x.cast(FLOAT32)
    bits = x.bits(f"u{kind.width}").cast("u32") >> kind.unused_bits
    magnitude = bits & ((1 << kind.magnitude_bits) - 1) if kind.has_sign else bits
    pattern = small_pattern(magnitude, kind)
    if kind.has_sign:
        pattern = pattern | ((bits >> kind.magnitude_bits) << 31)
    return pattern.bits(FLOAT32)


def small_pattern(magnitude: Expression, kind: DType) -> Expression:
    """The bits of the f32 of a magnitude.

    The fields are moved to their place and the exponent biased anew. A subnormal number lacks the hidden bit: it is
    given one more step of the exponent, and the hidden bit is subtracted, which avoids slow subnormal arithmetic.
    """
    moved = magnitude << (F32.mantissa - kind.mantissa_bits)
    if kind.exponent_bits == 8:
        pattern = moved if kind.has_zero else where(magnitude.same(0), moved.constant(1 << 22), moved)
    else:
        pattern = moved + ((F32.bias - kind.bias) << F32.mantissa)
        if kind.mantissa_bits:
            raised = (pattern + (1 << F32.mantissa)).bits(FLOAT32) - 2.0 ** (1 - kind.bias)
            pattern = where(magnitude < 1 << kind.mantissa_bits, raised.bits("u32"), pattern)
        else:
            pattern = where(magnitude.same(0), magnitude, pattern)
    if kind.exponent_bits == 8 and kind.has_infinity:
        return pattern
    if kind.inf_code is not None:
        pattern = where(magnitude.same(kind.inf_code), pattern.constant(F32.inf_bits), pattern)
    if kind.nan_start is not None:
        pattern = where(magnitude >= kind.nan_start, pattern.constant(F32.inf_bits | 1 << 22), pattern)
    return pattern


def encode_float(x: Expression, target: DType, mode: Mode) -> Expression:
    """f32 or f64 to a narrower float."""
    if not target.has_zero:
        x = x.cast(FLOAT64)  # in which the subnormal numbers of f32, which such a type reaches, are normal
    form = format_of(x)
    bits = x.bits(form.unsigned)
    size = bits & (form.sign_bit - 1)
    negative = x.bits(form.signed) < 0
    if form is F32 and target.exponent_bits == 8 and target.has_infinity:
        magnitude = same_exponent(size, negative, target, mode)
    else:
        field = size >> form.mantissa
        normal = field.differs(0)
        hidden = where(normal, field.constant(1 << form.mantissa), 0)
        exponent = field.most(1).bits(form.signed) - form.bias
        significand = (size & ((1 << form.mantissa) - 1)) | hidden
        magnitude = round_number(Number(negative, significand, exponent, form.mantissa), target, mode)
    infinite, nan, zero = size.same(form.inf_bits), size > form.inf_bits, size.same(0)
    magnitude = within_range(magnitude, negative, infinite, zero, target, mode)
    magnitude = where(nan, magnitude.constant(target.nan_code or 0), magnitude)
    return assemble(magnitude, negative if target.has_nan else negative ^ nan, target)


def encode(number: Number, target: DType, mode: Mode) -> Expression:
    """A finite number to any float."""
    never = number.negative & ~number.negative
    magnitude = round_number(number, target, mode)
    magnitude = within_range(magnitude, number.negative, never, number.significand.same(0), target, mode)
    return assemble(magnitude, number.negative, target)


def same_exponent(size: Expression, negative: Expression, target: DType, mode: Mode) -> Expression:
    """The magnitude code of an f32 magnitude in bf16 or tf32, whose exponent field is the same: a shift, rounded."""
    cut = F32.mantissa - target.mantissa_bits
    below = size >> cut
    rest = size & ((1 << cut) - 1)
    return stepped(below, rest, size.constant(1 << (cut - 1)), size.constant(cut), negative, target, mode)


def round_number(number: Number, target: DType, mode: Mode) -> Expression:
    """The magnitude code, as though the target's exponents had no upper bound: see `vmc.ir.types.rounding`."""
    significand, exponent, least = number.significand, number.exponent, target.min_exponent
    width = significand.dtype.width
    if not target.has_zero:
        significand = where(exponent < least, significand.constant(1 << number.top), significand)
        exponent = exponent.most(least)
    scale = exponent.most(least)
    shift = (scale - exponent + (number.top - target.mantissa_bits)).bits(f"u{width}")
    cut = shift.least(width - 1)
    kept = significand >> cut
    rest = significand - (kept << cut)
    offset = least if target.has_zero else least + 1
    below = ((scale - offset) << target.mantissa_bits).bits(f"u{width}") + kept
    half = shift.constant(1) << (cut - 1)
    return stepped(below, rest, half, shift, number.negative, target, mode)


def stepped(
    below: Expression,
    rest: Expression,
    half: Expression,
    shift: Expression,
    negative: Expression,
    target: DType,
    mode: Mode,
) -> Expression:
    """The code below, or the next one, by what rounding makes of the rest that was cut off; half is half a step."""
    match mode.rounding:
        case "toward_zero":
            return below
        case "floor":
            step = rest.differs(0) & negative
        case "stochastic":
            assert mode.random_bits is not None
            left = shift.constant(32) - shift.least(32)
            fraction = (rest << left) >> (shift.most(32) - 32)
            step = fraction > mode.random_bits.cast(fraction.dtype)
        case _:
            odd = below & 1 if target.has_zero or target.mantissa_bits else below.constant(1)
            step = rest + odd > half
    return below + step.cast(below.dtype)


def within_range(
    magnitude: Expression, negative: Expression, infinite: Expression, zero: Expression, target: DType, mode: Mode
) -> Expression:
    """The magnitude with overflow, and what a type without sign or zero lacks, replaced as `encoding` says."""
    beyond = target.inf_code if target.inf_code is not None else target.nan_code
    largest = magnitude.constant(target.max_code)
    overflow = largest
    if beyond is not None and not mode.saturate:
        outside = magnitude.constant(beyond)
        match mode.rounding:
            case "toward_zero":
                overflow = where(infinite, outside, largest)
            case "floor":
                overflow = where(infinite | negative, outside, largest)
            case _:
                overflow = outside
    result = where(magnitude.bits(signed(magnitude)) > target.max_code, overflow, magnitude)
    if target.has_sign:
        return result
    missing = (negative & ~zero) if target.has_zero else (negative & ~zero) | zero
    lowest = 0 if mode.saturate or target.nan_code is None else target.nan_code
    return where(missing, result.constant(lowest), result)


def signed(x: Expression) -> str:
    return f"i{x.dtype.width}"


def assemble(magnitude: Expression, negative: Expression, target: DType) -> Expression:
    """The float of a magnitude code and a sign."""
    code = magnitude
    if target.has_sign:
        code = code | (negative.cast(code.dtype) << target.magnitude_bits)
    code = code << target.unused_bits if target.unused_bits else code
    return code.cast(f"u{target.width}").bits(target)
