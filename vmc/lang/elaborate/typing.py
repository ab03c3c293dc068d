"""The typing rules of expressions: which type arithmetic is done in, and how operands get there.

Narrow integers compute in i32 and small floats in f32, both exactly; wider operands meet in the narrowest type that
holds the values of both; compile-time numbers take the type of what they meet. docs/language.md tells the rules.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np

from vmc.ir.types import DType, dtype

I32, U32, I64, U64 = map(dtype, ("i32", "u32", "i64", "u64"))
F16, BF16, F32, F64 = map(dtype, ("f16", "bf16", "f32", "f64"))
U1 = dtype("u1")


def arithmetic_type(type: DType) -> DType:
    """The type that arithmetic on one operand is done in."""
    if type.is_int:
        return type if type.width >= 32 else I32
    return type if type in (F16, BF16, F64) else F32


def common_type(a: DType, b: DType) -> DType | None:
    """The type that arithmetic on two operands is done in; None where there is none."""
    if a.is_int != b.is_int:
        return None
    first, second = arithmetic_type(a), arithmetic_type(b)
    if first == second:
        return first
    return common_integer(first, second) if a.is_int else common_float(first, second)


def common_integer(a: DType, b: DType) -> DType | None:
    """Of i32, u32, i64, u64: the narrowest that holds both; None for u64 with a signed type."""
    if U64 in (a, b):
        return U64 if a.is_uint and b.is_uint else None
    return I64


def common_float(a: DType, b: DType) -> DType | None:
    """Of f16, bf16, f32, f64: the wider; None for f16 with bf16."""
    if a.width == b.width:
        return None
    return a if a.width > b.width else b


def bitwise_type(a: DType, b: DType) -> DType | None:
    """The type of `&`, `|`, `^`: a common unsigned type stays, everything else is promoted as in arithmetic."""
    if a == b and a.is_uint:
        return a
    return common_type(a, b) if a.is_int and b.is_int else None


def holds(type: DType, value: int | float) -> bool:
    """Whether a compile-time number can become a constant of the type: integers exactly, floats by rounding."""
    low, high = bounds(type)
    if type.is_int:
        return isinstance(value, int) and low <= value <= high
    if math.isnan(value) or math.isinf(value):
        return True
    return abs(value) <= high or type in (F32, F64)


@cache
def bounds(type: DType) -> tuple[int | float, int | float]:
    """The least and the greatest finite value."""
    return type.min, type.max


def constant_code(type: DType, value: float) -> int:
    """The bit pattern of a number rounded to a float type."""
    return code_of_text(type, value.hex())


@lru_cache(maxsize=4096)
def code_of_text(type: DType, digits: str) -> int:
    """The same of a number in hexadecimal, which, unlike the number, tells 0 from -0 as a key."""
    return int(type.encode(np.asarray(float.fromhex(digits)))[()])


def default_type(value: int | float | bool) -> DType:
    """The type of a compile-time number that meets nothing: u1, i64 (as every index), f32, or f64 where f32 would make
    it 0 or infinite.
    """
    if isinstance(value, bool):
        return U1
    if isinstance(value, int):
        return I64
    return F32 if math.isinf(value) or math.isnan(value) or 2.0**-150 < abs(value) < 2.0**128 or not value else F64


def broadcast_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """NumPy's rule; None where the shapes do not fit."""
    rank = max(len(a), len(b))
    left, right = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(x != y and 1 not in (x, y) for x, y in zip(left, right, strict=True)):
        return None
    return tuple(max(x, y) for x, y in zip(left, right, strict=True))
