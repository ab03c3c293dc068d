"""What the elementwise operations are on an element: wrapping integers, IEEE floats, each operation rounded once.

Vectors of elements give the vector of the results, lane by lane. f16 and bf16 compute in float and round, which gives
the correctly rounded result (Figueroa, "When is double rounding innocuous?", 1995: 24 >= 2*11 + 2). LLVM's integer
division is undefined for zero divisors and for the least value over -1, so neither ever reaches it.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from vmc.backends.cpu.casts import is_signed, round_to_bfloat, round_to_half, widen_float
from vmc.backends.cpu.elements import (
    I1,
    I8,
    container_bits,
    like,
    number,
    suffix,
    to_code,
    wrap,
)
from vmc.backends.cpu.emitter import Emitter
from vmc.ir.types import DType

Lowering = Callable[..., ir.Value]


# Integers


def int_binary(name: str) -> Lowering:
    """An operation whose low bits depend on the operands' low bits alone."""

    def lower(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
        return wrap(e.b, dtype, getattr(e.b, name)(a, b))

    return lower


def int_extreme(name: str) -> Lowering:
    def lower(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
        return e.call(f"llvm.{'s' if is_signed(dtype) else 'u'}{name}.{suffix(a.type)}", a.type, a, b)

    return lower


def int_negate(e: Emitter, dtype: DType, a: ir.Value) -> ir.Value:
    return wrap(e.b, dtype, e.b.sub(number(a.type, 0), a))


def int_abs(e: Emitter, dtype: DType, a: ir.Value) -> ir.Value:
    if dtype.is_uint:
        return a
    negative = e.b.icmp_signed("<", a, number(a.type, 0))
    return e.b.select(negative, int_negate(e, dtype, a), a)


def floor_quotient(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    """The quotient rounded down, 0 for a zero divisor, not wrapped to the width."""
    zero, one = number(a.type, 0), number(a.type, 1)
    if positive_constant(b):
        return quotient_by_constant(e, dtype, a, b)
    none = e.b.icmp_unsigned("==", b, zero)
    if dtype.is_uint:
        return e.b.select(none, zero, e.b.udiv(a, e.b.select(none, one, b)))
    opposite = e.b.icmp_signed("==", b, number(a.type, -1))
    divisor = e.b.select(e.b.or_(none, opposite), one, b)
    quotient = e.b.sdiv(a, divisor)
    rest = e.b.sub(a, e.b.mul(quotient, divisor))
    inexact = e.b.icmp_signed("!=", rest, zero)
    below = e.b.and_(inexact, e.b.icmp_signed("<", e.b.xor(rest, divisor), zero))
    down = e.b.sub(quotient, e.b.zext(below, a.type))
    return e.b.select(none, zero, e.b.select(opposite, e.b.sub(zero, a), down))


def positive_constant(value: ir.Value) -> bool:
    """Whether an integer, not a vector, is known and above 0, whether or not it has a sign."""
    known = isinstance(value, ir.Constant) and isinstance(value.type, ir.IntType)
    return known and isinstance(value.constant, int) and 0 < value.constant < 1 << (value.type.width - 1)


def quotient_by_constant(e: Emitter, dtype: DType, a: ir.Value, b: ir.Constant) -> ir.Value:
    """The quotient by a number above 0, rounded down."""
    if b.constant & (b.constant - 1) == 0:
        shift = number(a.type, b.constant.bit_length() - 1)
        return e.b.ashr(a, shift) if is_signed(dtype) else e.b.lshr(a, shift)
    if not is_signed(dtype):
        return e.b.udiv(a, b)
    quotient = e.b.sdiv(a, b)
    rest = e.b.sub(a, e.b.mul(quotient, b))
    return e.b.add(quotient, e.b.ashr(rest, number(a.type, a.type.width - 1)))


def int_floordiv(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    return wrap(e.b, dtype, floor_quotient(e, dtype, a, b))


def int_mod(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    return wrap(e.b, dtype, e.b.sub(a, e.b.mul(floor_quotient(e, dtype, a, b), b)))


def int_mulhi(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    wide = like(a.type, ir.IntType(2 * container_bits(dtype)))
    extend = e.b.sext if is_signed(dtype) else e.b.zext
    product = e.b.mul(extend(a, wide), extend(b, wide))
    return wrap(e.b, dtype, e.b.trunc(e.b.lshr(product, number(wide, dtype.width)), a.type))


def int_not(e: Emitter, dtype: DType, a: ir.Value) -> ir.Value:
    return wrap(e.b, dtype, e.b.not_(a))


def int_shl(e: Emitter, dtype: DType, a: ir.Value, count: ir.Value) -> ir.Value:
    legal = e.b.icmp_unsigned("<", count, number(a.type, dtype.width))
    shifted = e.b.shl(a, e.b.select(legal, count, number(a.type, 0)))
    return wrap(e.b, dtype, e.b.select(legal, shifted, number(a.type, 0)))


def int_shr(e: Emitter, dtype: DType, a: ir.Value, count: ir.Value) -> ir.Value:
    legal = e.b.icmp_unsigned("<", count, number(a.type, dtype.width))
    if is_signed(dtype):
        return e.b.ashr(a, e.b.select(legal, count, number(a.type, dtype.width - 1)))
    shifted = e.b.lshr(a, e.b.select(legal, count, number(a.type, 0)))
    return e.b.select(legal, shifted, number(a.type, 0))


def int_popcount(e: Emitter, dtype: DType, a: ir.Value) -> ir.Value:
    return wrap(e.b, dtype, e.call(f"llvm.ctpop.{suffix(a.type)}", a.type, to_code(e.b, dtype, a)))


def int_clz(e: Emitter, dtype: DType, a: ir.Value) -> ir.Value:
    defined = number(I1, 0)
    zeros = e.call(f"llvm.ctlz.{suffix(a.type)}", a.type, to_code(e.b, dtype, a), defined)
    return wrap(e.b, dtype, e.b.sub(zeros, number(a.type, container_bits(dtype) - dtype.width)))


def int_ctz(e: Emitter, dtype: DType, a: ir.Value) -> ir.Value:
    defined = number(I1, 0)
    code = to_code(e.b, dtype, a)
    if container_bits(dtype) > dtype.width:
        code = e.b.or_(code, number(a.type, 1 << dtype.width))
    return wrap(e.b, dtype, e.call(f"llvm.cttz.{suffix(a.type)}", a.type, code, defined))


def int_compare(sign: str) -> Lowering:
    def lower(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
        compare = e.b.icmp_signed if is_signed(dtype) else e.b.icmp_unsigned
        return e.b.zext(compare(sign, a, b), like(a.type, I8))

    return lower


# Floats


def rounded(e: Emitter, dtype: DType, value: ir.Value) -> ir.Value:
    """A result in the type that f16, bf16, f32 or f64 compute in, as an element."""
    match dtype.name:
        case "f16":
            return round_to_half(e, value)
        case "bf16":
            return round_to_bfloat(e, value)
    return value


def float_binary(name: str) -> Lowering:
    def lower(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
        operate = getattr(e.b, name)
        return rounded(e, dtype, operate(widen_float(e, dtype, a), widen_float(e, dtype, b), flags=e.fast))

    return lower


def float_intrinsic(name: str) -> Lowering:
    def lower(e: Emitter, dtype: DType, *operands: ir.Value) -> ir.Value:
        wide = [widen_float(e, dtype, operand) for operand in operands]
        type = wide[0].type
        return rounded(e, dtype, e.call(f"llvm.{name}.{suffix(type)}", type, *wide))

    return lower


def float_compare(sign: str) -> Lowering:
    def lower(e: Emitter, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
        compare = e.b.fcmp_unordered if sign == "!=" else e.b.fcmp_ordered
        return e.b.zext(compare(sign, widen_float(e, dtype, a), widen_float(e, dtype, b)), like(a.type, I8))

    return lower


def sign_bit(dtype: DType) -> int:
    return 1 << (dtype.width - 1)


def on_code(operate: Callable[..., ir.Value]) -> Lowering:
    """An operation on the bit patterns of floats."""

    def lower(e: Emitter, dtype: DType, *operands: ir.Value) -> ir.Value:
        codes = [to_code(e.b, dtype, operand) for operand in operands]
        return e.b.bitcast(operate(e, sign_bit(dtype), *codes), operands[0].type)

    return lower


def flip_sign(e: Emitter, sign: int, a: ir.Value) -> ir.Value:
    return e.b.xor(a, number(a.type, sign))


def clear_sign(e: Emitter, sign: int, a: ir.Value) -> ir.Value:
    return e.b.and_(a, number(a.type, sign - 1))


def take_sign(e: Emitter, sign: int, a: ir.Value, b: ir.Value) -> ir.Value:
    return e.b.or_(clear_sign(e, sign, a), e.b.and_(b, number(b.type, sign)))


INTEGER: dict[str, Lowering] = {
    "add": int_binary("add"),
    "sub": int_binary("sub"),
    "mul": int_binary("mul"),
    "and": int_binary("and_"),
    "or": int_binary("or_"),
    "xor": int_binary("xor"),
    "floordiv": int_floordiv,
    "mod": int_mod,
    "mulhi": int_mulhi,
    "neg": int_negate,
    "abs": int_abs,
    "min": int_extreme("min"),
    "max": int_extreme("max"),
    "not": int_not,
    "shl": int_shl,
    "shr": int_shr,
    "popcount": int_popcount,
    "clz": int_clz,
    "ctz": int_ctz,
    "eq": int_compare("=="),
    "ne": int_compare("!="),
    "lt": int_compare("<"),
    "le": int_compare("<="),
    "gt": int_compare(">"),
    "ge": int_compare(">="),
}

FLOATING: dict[str, Lowering] = {
    "add": float_binary("fadd"),
    "sub": float_binary("fsub"),
    "mul": float_binary("fmul"),
    "div": float_binary("fdiv"),
    "neg": on_code(flip_sign),
    "abs": on_code(clear_sign),
    "copysign": on_code(take_sign),
    "min": float_intrinsic("minimum"),
    "max": float_intrinsic("maximum"),
    "fma": float_intrinsic("fma"),
    "sqrt": float_intrinsic("sqrt"),
    "floor": float_intrinsic("floor"),
    "ceil": float_intrinsic("ceil"),
    "trunc": float_intrinsic("trunc"),
    "round": float_intrinsic("roundeven"),
    "eq": float_compare("=="),
    "ne": float_compare("!="),
    "lt": float_compare("<"),
    "le": float_compare("<="),
    "gt": float_compare(">"),
    "ge": float_compare(">="),
}


def step(e: Emitter, name: str, dtype: DType, *operands: ir.Value) -> ir.Value:
    """One elementwise operation of the tile IR on elements, or lane by lane on vectors of equally many."""
    table = INTEGER if dtype.is_int else FLOATING
    return table[name](e, dtype, *operands)


def element_bytes(type: ir.Type) -> int:
    """Bytes of an LLVM element type."""
    return type.width // 8 if isinstance(type, ir.IntType) else {"half": 2, "float": 4, "double": 8}[str(type)]
