"""What the elementwise operations are on an element in a register: wrapping integers, floats rounded once.

f16 adds, subtracts and multiplies in its own instructions; what it lacks, and all of bf16, is computed in f32 and
rounded, which gives the same (Figueroa, "When is double rounding innocuous?", 1995: 24 >= 2*11 + 2).
"""

from __future__ import annotations

from collections.abc import Callable

from vmc.backends.cuda.tir import (
    F32,
    F64,
    I32,
    I64,
    U32,
    U64,
    Expr,
    binary,
    bits_of,
    call,
    cast,
    const,
    container,
    float_const,
    select,
    signed_of,
    tirx,
)
from vmc.ir.types import DType

Step = Callable[..., Expr]
COMPARISONS = {"eq": "EQ", "ne": "NE", "lt": "LT", "le": "LE", "gt": "GT", "ge": "GE"}


def is_signed(dtype: DType) -> bool:
    return dtype.is_int and not dtype.is_uint


def as_signed(dtype: DType, a: Expr) -> Expr:
    """The element with C's signed type, if its own is signed."""
    return cast(a, signed_of(container(dtype))) if is_signed(dtype) else a


def wrap(dtype: DType, a: Expr) -> Expr:
    """An unsigned container's low bits, extended as an element of the type is."""
    kind = container(dtype)
    unused = bits_of(kind) - dtype.width
    if unused == 0:
        return a
    if not is_signed(dtype):
        return binary("BitwiseAnd", a, const((1 << dtype.width) - 1, kind))
    moved = cast(a << const(unused, kind), signed_of(kind))
    return cast(moved >> const(unused, signed_of(kind)), kind)


def to_code(dtype: DType, a: Expr) -> Expr:
    """The bit pattern, in an unsigned container with zeros above."""
    kind = container(dtype)
    if kind == F32:
        return call(U32, "__float_as_uint", a)
    if kind == F64:
        return cast(call(I64, "__double_as_longlong", a), U64)
    if is_signed(dtype) and dtype.width < bits_of(kind):
        return binary("BitwiseAnd", a, const((1 << dtype.width) - 1, kind))
    return a


def from_code(dtype: DType, code: Expr) -> Expr:
    """The element of a bit pattern, the inverse of `to_code`; bits above the width may be anything."""
    kind = container(dtype)
    if kind == F32:
        return call(F32, "__uint_as_float", code)
    if kind == F64:
        return call(F64, "__longlong_as_double", cast(code, I64))
    return wrap(dtype, code)


def code_kind(dtype: DType) -> str:
    """The unsigned container of the type's codes."""
    return U32 if dtype.width <= 32 else U64


def constant(dtype: DType, code: int) -> Expr:
    """A constant element."""
    kind = container(dtype)
    if kind in (F32, F64):
        return float_const(code, kind)
    if is_signed(dtype) and code >> (dtype.width - 1):
        code |= ((1 << bits_of(kind)) - 1) ^ ((1 << dtype.width) - 1)
    return const(code, kind)


def truth(condition: Expr) -> Expr:
    """An element of u1."""
    return select(condition, const(1, U32), const(0, U32))


def holds(a: Expr) -> Expr:
    """An element of u1 as a condition."""
    return binary("NE", a, const(0, U32))


# Integers


def low_bits(node: str) -> Step:
    return lambda dtype, a, b: wrap(dtype, binary(node, a, b))


def bitwise(node: str) -> Step:
    return lambda dtype, a, b: binary(node, a, b)


def zero(dtype: DType) -> Expr:
    return const(0, container(dtype))


def int_negate(dtype: DType, a: Expr) -> Expr:
    return wrap(dtype, binary("Sub", zero(dtype), a))


def int_abs(dtype: DType, a: Expr) -> Expr:
    if dtype.is_uint:
        return a
    kind = signed_of(container(dtype))
    return select(binary("LT", cast(a, kind), const(0, kind)), int_negate(dtype, a), a)


def int_extreme(node: str) -> Step:
    def lower(dtype: DType, a: Expr, b: Expr) -> Expr:
        return select(binary(node, as_signed(dtype, a), as_signed(dtype, b)), a, b)

    return lower


def floor_quotient(dtype: DType, a: Expr, b: Expr) -> Expr:
    """The quotient rounded down, 0 for a zero divisor; a divisor of -1 negates, which C leaves undefined."""
    kind = container(dtype)
    none = binary("EQ", b, const(0, kind))
    if dtype.is_uint:
        return select(none, const(0, kind), binary("Div", a, select(none, const(1, kind), b)))
    signed, one = signed_of(kind), const(1, signed_of(kind))
    opposite = binary("EQ", cast(b, signed), const(-1, signed))
    divisor = select(binary("Or", none, opposite), one, cast(b, signed))
    quotient = binary("Div", cast(a, signed), divisor)
    rest = binary("Sub", cast(a, signed), binary("Mul", quotient, divisor))
    below = binary(
        "And",
        binary("NE", rest, const(0, signed)),
        binary("LT", binary("BitwiseXor", rest, divisor), const(0, signed)),
    )
    down = binary("Sub", quotient, select(below, one, const(0, signed)))
    negated = binary("Sub", const(0, kind), a)
    return select(none, const(0, kind), select(opposite, negated, cast(down, kind)))


def int_floordiv(dtype: DType, a: Expr, b: Expr) -> Expr:
    return wrap(dtype, floor_quotient(dtype, a, b))


def int_mod(dtype: DType, a: Expr, b: Expr) -> Expr:
    return wrap(dtype, binary("Sub", a, binary("Mul", floor_quotient(dtype, a, b), b)))


def divided(name: str, dtype: DType, a: Expr, divisor: int) -> Expr:
    """`floordiv` or `mod` by a constant above 0; by a power of two, a shift or a mask."""
    kind = container(dtype)
    if divisor & (divisor - 1):
        return step(name, dtype, a, const(divisor, kind))
    if name == "mod":
        return binary("BitwiseAnd", a, const(divisor - 1, kind))
    moved = as_signed(dtype, a) >> const(divisor.bit_length() - 1, signed_of(kind) if is_signed(dtype) else kind)
    return cast(moved, kind) if is_signed(dtype) else moved


def int_mulhi(dtype: DType, a: Expr, b: Expr) -> Expr:
    kind, width = container(dtype), dtype.width
    if width == 64:
        if dtype.is_uint:
            return call(U64, "__umul64hi", a, b)
        return cast(call(I64, "__mul64hi", cast(a, I64), cast(b, I64)), U64)
    if dtype.is_uint:
        product = binary("Mul", cast(a, U64), cast(b, U64))
        return cast(product >> const(width, U64), kind)
    product = binary("Mul", cast(cast(a, I32), I64), cast(cast(b, I32), I64))
    return wrap(dtype, cast(product >> const(width, I64), kind))


def int_not(dtype: DType, a: Expr) -> Expr:
    return wrap(dtype, tirx().BitwiseNot(a))


def int_shl(dtype: DType, a: Expr, count: Expr) -> Expr:
    kind = container(dtype)
    legal = binary("LT", count, const(dtype.width, kind))
    return wrap(dtype, select(legal, a << select(legal, count, const(0, kind)), const(0, kind)))


def int_shr(dtype: DType, a: Expr, count: Expr) -> Expr:
    kind = container(dtype)
    legal = binary("LT", count, const(dtype.width, kind))
    if is_signed(dtype):
        signed = signed_of(kind)
        amount = select(legal, count, const(dtype.width - 1, kind))
        return cast(cast(a, signed) >> cast(amount, signed), kind)
    return select(legal, a >> select(legal, count, const(0, kind)), const(0, kind))


def counting(narrow: str, wide: str) -> Step:
    def lower(dtype: DType, a: Expr) -> Expr:
        code, kind = to_code(dtype, a), container(dtype)
        if kind == U32:
            return cast(call(I32, narrow, cast(code, I32)), U32)
        return cast(call(I32, wide, cast(code, I64)), U64)

    return lower


count_ones = counting("__popc", "__popcll")
first_zeros = counting("__clz", "__clzll")
first_set = counting("__ffs", "__ffsll")


def int_popcount(dtype: DType, a: Expr) -> Expr:
    return wrap(dtype, count_ones(dtype, a))


def int_clz(dtype: DType, a: Expr) -> Expr:
    kind = container(dtype)
    return wrap(dtype, binary("Sub", first_zeros(dtype, a), const(bits_of(kind) - dtype.width, kind)))


def int_ctz(dtype: DType, a: Expr) -> Expr:
    kind = container(dtype)
    found = binary("Sub", first_set(dtype, a), const(1, kind))
    return wrap(dtype, select(binary("EQ", to_code(dtype, a), const(0, kind)), const(dtype.width, kind), found))


def int_compare(node: str) -> Step:
    return lambda dtype, a, b: truth(binary(node, as_signed(dtype, a), as_signed(dtype, b)))


INTEGER: dict[str, Step] = {
    "add": low_bits("Add"),
    "sub": low_bits("Sub"),
    "mul": low_bits("Mul"),
    "and": bitwise("BitwiseAnd"),
    "or": bitwise("BitwiseOr"),
    "xor": bitwise("BitwiseXor"),
    "floordiv": int_floordiv,
    "mod": int_mod,
    "mulhi": int_mulhi,
    "neg": int_negate,
    "abs": int_abs,
    "min": int_extreme("LT"),
    "max": int_extreme("GT"),
    "not": int_not,
    "shl": int_shl,
    "shr": int_shr,
    "popcount": int_popcount,
    "clz": int_clz,
    "ctz": int_ctz,
    **{name: int_compare(node) for name, node in COMPARISONS.items()},
}


# Floats


def widen(dtype: DType, a: Expr) -> Expr:
    """The value that f16 and bf16 are computed as, f32; f32 and f64 as they are."""
    return call(F32, f"vmc_{dtype.name}_to_f32", a) if dtype.width == 16 else a


def rounded(dtype: DType, a: Expr) -> Expr:
    """The element of a value of `widen`'s type."""
    return call(U32, f"vmc_f32_to_{dtype.name}", a) if dtype.width == 16 else a


def float_binary(name: str, node: str, half: bool) -> Step:
    def lower(dtype: DType, a: Expr, b: Expr) -> Expr:
        if half and dtype.name == "f16":
            return call(U32, f"vmc_{name}_f16", a, b)
        return rounded(dtype, binary(node, widen(dtype, a), widen(dtype, b)))

    return lower


def float_call(single: str, double: str) -> Step:
    """A function of CUDA's, rounded once in either type."""

    def lower(dtype: DType, *operands: Expr) -> Expr:
        wide = [widen(dtype, operand) for operand in operands]
        return rounded(dtype, call(F64, double, *wide) if dtype.name == "f64" else call(F32, single, *wide))

    return lower


def float_compare(node: str) -> Step:
    return lambda dtype, a, b: truth(binary(node, widen(dtype, a), widen(dtype, b)))


def on_sign(node: str, clear: bool) -> Step:
    """The sign bit flipped, or cleared."""

    def lower(dtype: DType, a: Expr) -> Expr:
        kind, sign = code_kind(dtype), 1 << (dtype.width - 1)
        return from_code(dtype, binary(node, to_code(dtype, a), const(sign - 1 if clear else sign, kind)))

    return lower


FLOATING: dict[str, Step] = {
    "add": float_binary("add", "Add", half=True),
    "sub": float_binary("sub", "Sub", half=True),
    "mul": float_binary("mul", "Mul", half=True),
    "div": float_call("__fdiv_rn", "__ddiv_rn"),
    "neg": on_sign("BitwiseXor", clear=False),
    "abs": on_sign("BitwiseAnd", clear=True),
    "min": float_call("vmc_min_f32", "vmc_min_f64"),
    "max": float_call("vmc_max_f32", "vmc_max_f64"),
    "fma": float_call("__fmaf_rn", "__fma_rn"),
    "sqrt": float_call("__fsqrt_rn", "__dsqrt_rn"),
    "floor": float_call("floorf", "floor"),
    "ceil": float_call("ceilf", "ceil"),
    "trunc": float_call("truncf", "trunc"),
    "round": float_call("rintf", "rint"),
    **{name: float_compare(node) for name, node in COMPARISONS.items()},
}


def step(name: str, dtype: DType, *operands: Expr) -> Expr:
    """One elementwise operation of the tile IR on elements of `dtype`."""
    return (INTEGER if dtype.is_int else FLOATING)[name](dtype, *operands)


# Casts that expansions consist of (`vmc.ir.math.casts`)


def cast_element(source: DType, target: DType, a: Expr) -> Expr:
    """A primitive cast: integers wrap, floats round to nearest even, float to integer toward zero, saturating."""
    if source.is_int and target.is_int:
        return wrap(target, cast(as_signed(source, a), container(target)))
    if source.is_int:
        return cast(as_signed(source, a), container(target))
    if target.is_int:
        return float_to_int(source, target, a)
    if source.name == "f16":
        return call(F32, "vmc_f16_to_f32", a)
    if target.name == "f16":
        return call(U32, "vmc_f32_to_f16", a)
    return cast(a, container(target))


def float_to_int(source: DType, target: DType, a: Expr) -> Expr:
    """Toward zero, saturating; NaN, of which PTX makes the least number in some types, to 0."""
    letter = "double" if source.name == "f64" else "float"
    word = {"i32": "int", "u32": "uint", "i64": "ll", "u64": "ull"}[target.name]
    kind = container(target)
    result = {"int": I32, "uint": U32, "ll": I64, "ull": U64}[word]
    converted = cast(call(result, f"__{letter}2{word}_rz", a), kind)
    return select(binary("NE", a, a), const(0, kind), converted)
