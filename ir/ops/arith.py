"""Elementwise arithmetic, comparison, selection and bit operations.

Operands of one operation have one shape and, unless said otherwise, one dtype. Integers of b bits wrap modulo 2^b.
Integer division rounds down; x // 0 is 0 and x % 0 is x; a shift by b or more gives 0, or all sign bits for `shr` of a
signed type. Floats follow IEEE 754 in their own type: f16 and bf16 results are rounded from the exact one (both are so
narrow that computing in f32 and rounding again gives the same). `min` and `max` propagate NaN and order -0 below +0.
Comparisons give u1, which is the boolean type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vmc.ir.core import IRError, Op, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, filtered, operands, require, tile
from vmc.ir.types import DType, dtype

U1 = dtype("u1")
WIDE_FLOATS = tuple(map(dtype, ("f16", "bf16", "f32", "f64")))


def is_arithmetic(type: DType) -> bool:
    """Types that arithmetic is defined on: every integer, and the floats f16, bf16, f32, f64."""
    return type.is_int or type in WIDE_FLOATS


def widen(array: Array, type: DType) -> Array:
    """The operand as an array to compute on: integers as 64 bits, bf16 as f32, other floats as they are."""
    if type.is_uint:
        return array.astype(np.uint64)
    if type.is_int:
        return array.astype(np.int64)
    if type.name == "bf16":
        return type.to_values(array).astype(np.float32)
    return array


def wrap(values: Array, type: DType) -> Array:
    """64-bit integers taken modulo 2^width, as an array of the type."""
    bits = np.asarray(values).astype(np.uint64, copy=False)
    if type.width < 64:
        bits = bits & np.uint64((1 << type.width) - 1)
    return type.from_codes(bits.astype(type.code_dtype))


def narrow(values: Array, type: DType) -> Array:
    """The inverse of `widen`: integers wrap, floats round to nearest even."""
    values = np.asarray(values)
    if type.is_int:
        return wrap(values, type)
    if type.name == "bf16":
        return type.from_codes(type.encode(values))
    return values.astype(type.array_dtype, copy=False)


Meaning = Callable[..., Any]


def common_operand(name: str, types: Sequence[Type], arity: int, legal: Callable[[DType], bool]) -> TileType:
    """The one type that all operands have. Raises IRError where they differ, or the operation is not defined on it."""
    operands(types, arity, name)
    first = tile(types[0])
    if not legal(first.dtype):
        raise IRError(f"{name} is not defined on {first.dtype.name}")
    for other in map(tile, types[1:]):
        if (other.dtype, other.shape) != (first.dtype, first.shape):
            raise IRError(f"{name} takes operands of one type, and got {first} and {other}")
    return first


class Elementwise(OpDef):
    """An operation whose operands all have the result's shape and dtype."""

    elementwise = True

    def __init__(self, name: str, arity: int, legal: Callable[[DType], bool], meaning: Meaning, text: str) -> None:
        self.name, self.arity, self.legal, self.meaning, self.text = name, arity, legal, meaning, text
        self.signature = f"({', '.join('abc'[:arity])})"

    @property
    def summary(self) -> str:
        return self.text

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(self.legal)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        return (self.result(common_operand(self.name, types, self.arity, self.legal)),)

    def result(self, operand: TileType) -> TileType:
        return TileType(operand.dtype, operand.shape)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        type = op.operands[0].tile.dtype
        with np.errstate(all="ignore"):
            values = self.meaning(*(widen(operand, type) for operand in operands))
            return (self.pack(values, op.result.tile.dtype),)

    def pack(self, values: Array, type: DType) -> Array:
        return narrow(values, type)


class Comparison(Elementwise):
    """An elementwise operation that gives u1."""

    def result(self, operand: TileType) -> TileType:
        return TileType(U1, operand.shape)

    def pack(self, values: Array, type: DType) -> Array:
        return np.asarray(values).astype(np.uint8)


class Bitwise(Elementwise):
    """An operation on bit patterns, whose meaning also takes the width."""

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        type = op.operands[0].tile.dtype
        with np.errstate(all="ignore"):
            values = self.meaning(type, *(widen(operand, type) for operand in operands))
        return (wrap(values, type),)


class Select(OpDef):
    """`select(condition u1, a, b)`: a where the condition holds, else b; any dtype."""

    name = "select"
    signature = "(condition, a, b)"
    elementwise = True

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 3, self.name)
        condition, a, b = map(tile, types)
        require(condition.dtype == U1, f"the condition of select must be u1, and is {condition}")
        same = (a.dtype, a.shape) == (b.dtype, b.shape) and condition.shape == a.shape
        require(same, f"select takes tiles of one shape and two values of one type, and got {condition}, {a}, {b}")
        return (TileType(a.dtype, a.shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        condition, a, b = operands
        return (np.where(condition != 0, a, b),)


def floor_divide(a: Array, b: Array) -> Array:
    """Division rounded down; by zero gives 0."""
    zero = b == 0
    return np.where(zero, 0, a // np.where(zero, 1, b)).astype(a.dtype)


def floor_modulo(a: Array, b: Array) -> Array:
    """What `floor_divide` leaves: a - (a // b) * b; for b = 0, a."""
    return np.asarray(a - floor_divide(a, b) * b)


def minimum(a: Array, b: Array) -> Array:
    """IEEE 754-2019 minimum: NaN if either is, and -0 below +0."""
    if a.dtype.kind != "f":
        return np.minimum(a, b)
    return np.where((a == b) & np.signbit(a), a, np.where((a == b), b, np.minimum(a, b)))


def maximum(a: Array, b: Array) -> Array:
    """IEEE 754-2019 maximum: NaN if either is, and +0 above -0."""
    if a.dtype.kind != "f":
        return np.maximum(a, b)
    return np.where((a == b) & np.signbit(a), b, np.where((a == b), a, np.maximum(a, b)))


def shift_left(type: DType, a: Array, count: Array) -> Array:
    amount = count.astype(np.uint64)
    bits = a.astype(np.uint64)
    return np.where(amount < type.width, bits << np.minimum(amount, np.uint64(63)), np.uint64(0))


def shift_right(type: DType, a: Array, count: Array) -> Array:
    amount = np.minimum(count.astype(np.uint64), np.uint64(63))
    if not type.is_uint:
        amount = np.minimum(amount, np.uint64(type.width - 1))
        return (a >> amount.astype(np.int64)).astype(np.uint64)
    return np.where(count < type.width, a >> amount, np.uint64(0))


def multiply_high(type: DType, a: Array, b: Array) -> Array:
    """floor(a * b / 2^width), by halves where the product takes more than 64 bits."""
    if type.width <= 32:
        return np.asarray((a * b) >> a.dtype.type(type.width))
    half, low = a.dtype.type(32), a.dtype.type(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & low, b >> half, b & low
    lower = (a0.astype(np.uint64) * b0.astype(np.uint64)) >> np.uint64(32)
    cross = a1 * b0 + lower.astype(a.dtype)
    return np.asarray(a1 * b1 + (cross >> half) + ((a0 * b1 + (cross & low)) >> half))


def unsigned_bits(type: DType, a: Array) -> Array:
    """The bit pattern of integers of a type, as u64 with zeros above."""
    return np.asarray(a.astype(np.uint64) & np.uint64((1 << type.width) - 1))


def count_bits(bits: Array) -> Array:
    """The number of bits set in u64 values: sums of neighbouring fields of 1, 2, 4, ... bits."""
    for width, mask in ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F)):
        bits = (bits & np.uint64(mask)) + ((bits >> np.uint64(width)) & np.uint64(mask))
    with np.errstate(over="ignore"):
        return np.asarray((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


def population_count(type: DType, a: Array) -> Array:
    return count_bits(unsigned_bits(type, a)).astype(np.uint64)


def leading_zeros(type: DType, a: Array) -> Array:
    bits = unsigned_bits(type, a)
    for shift in (1, 2, 4, 8, 16, 32):
        bits = bits | (bits >> np.uint64(shift))
    return np.uint64(type.width) - count_bits(bits).astype(np.uint64)


def trailing_zeros(type: DType, a: Array) -> Array:
    bits = unsigned_bits(type, a)
    below = ~bits & (bits - np.uint64(1))
    return np.asarray(np.minimum(count_bits(below), type.width)).astype(np.uint64)


def is_integer(type: DType) -> bool:
    return type.is_int


def is_wide_float(type: DType) -> bool:
    return type in WIDE_FLOATS


def is_fma_float(type: DType) -> bool:
    return type.name in ("f32", "f64")


def fused_multiply_add(a: Array, b: Array, c: Array) -> Array:
    """a*b + c, rounded once."""
    from vmc.ir.exact import fma

    return fma(a, b, c)


DEFINITIONS: tuple[OpDef, ...] = (
    Elementwise("add", 2, is_arithmetic, np.add, "a + b."),
    Elementwise("sub", 2, is_arithmetic, np.subtract, "a - b."),
    Elementwise("mul", 2, is_arithmetic, np.multiply, "a * b."),
    Elementwise("div", 2, is_wide_float, np.divide, "a / b, rounded once."),
    Elementwise("floordiv", 2, is_integer, floor_divide, "The quotient rounded down; 0 where b is 0."),
    Elementwise("mod", 2, is_integer, floor_modulo, "a - floordiv(a, b) * b, which has the sign of b; a where b is 0."),
    Bitwise("mulhi", 2, is_integer, multiply_high, "The upper half of the product in twice the width."),
    Elementwise("neg", 1, is_arithmetic, np.negative, "0 - a for integers, which wraps; the other sign for floats."),
    Elementwise("abs", 1, is_arithmetic, np.abs, "The magnitude; of the least signed value, that value."),
    Elementwise("min", 2, is_arithmetic, minimum, "The smaller; NaN if either is, and -0 below +0."),
    Elementwise("max", 2, is_arithmetic, maximum, "The larger; NaN if either is, and +0 above -0."),
    Elementwise("fma", 3, is_fma_float, fused_multiply_add, "a * b + c, rounded once."),
    Elementwise("sqrt", 1, is_wide_float, np.sqrt, "The square root, rounded once."),
    Elementwise("floor", 1, is_wide_float, np.floor, "Rounded down to an integer."),
    Elementwise("ceil", 1, is_wide_float, np.ceil, "Rounded up to an integer."),
    Elementwise("trunc", 1, is_wide_float, np.trunc, "Rounded toward zero to an integer."),
    Elementwise("round", 1, is_wide_float, np.rint, "Rounded to the nearest integer, ties to even."),
    Comparison("eq", 2, is_arithmetic, np.equal, "a == b."),
    Comparison("ne", 2, is_arithmetic, np.not_equal, "a != b, true where either is NaN."),
    Comparison("lt", 2, is_arithmetic, np.less, "a < b."),
    Comparison("le", 2, is_arithmetic, np.less_equal, "a <= b."),
    Comparison("gt", 2, is_arithmetic, np.greater, "a > b."),
    Comparison("ge", 2, is_arithmetic, np.greater_equal, "a >= b."),
    Bitwise("and", 2, is_integer, lambda type, a, b: a & b, "Bitwise and."),
    Bitwise("or", 2, is_integer, lambda type, a, b: a | b, "Bitwise or."),
    Bitwise("xor", 2, is_integer, lambda type, a, b: a ^ b, "Bitwise exclusive or."),
    Bitwise("not", 1, is_integer, lambda type, a: ~a, "All bits inverted."),
    Bitwise("shl", 2, is_integer, shift_left, "The bits moved up by b places, b counting as unsigned."),
    Bitwise("shr", 2, is_integer, shift_right, "The bits moved down by b places; a signed type's sign is copied."),
    Bitwise("popcount", 1, is_integer, population_count, "The number of one bits."),
    Bitwise("clz", 1, is_integer, leading_zeros, "The number of zero bits above the highest one; the width for 0."),
    Bitwise("ctz", 1, is_integer, trailing_zeros, "The number of zero bits below the lowest one; the width for 0."),
    Select(),
)
