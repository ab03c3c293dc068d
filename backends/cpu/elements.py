"""How an element of each numeric type is held in LLVM: the type in buffers and registers, and how codes become that.

Integers lie sign- or zero-extended in i8, i16, i32 or i64; f16, f32 and f64 are LLVM's half, float and double; every
other float is its bit pattern. This is the `array_dtype` of the tile IR, in LLVM's words.

What computes on an element computes on an LLVM vector of elements as well, lane by lane: the operands say which it is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from llvmlite import ir

from vmc.ir.types import DType

I1, I8, I16, I32, I64 = (ir.IntType(width) for width in (1, 8, 16, 32, 64))
HALF, FLOAT, DOUBLE = ir.HalfType(), ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()


class BFloatType(ir.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite has no name for; only instructions for it take it."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloatType)

    def __hash__(self) -> int:
        return hash(BFloatType)


BFLOAT = BFloatType()

_NATIVE = {"f16": HALF, "f32": FLOAT, "f64": DOUBLE}


def container_bits(dtype: DType) -> int:
    """The width of the integer that holds a code."""
    return dtype.code_dtype.itemsize * 8


def code_type(dtype: DType) -> ir.IntType:
    """The integer that holds a code."""
    return ir.IntType(container_bits(dtype))


def element_type(dtype: DType) -> ir.Type:
    """The LLVM type of an element in a buffer or a register."""
    return _NATIVE.get(dtype.name) or code_type(dtype)


def element_size(dtype: DType) -> int:
    """Bytes of an element in a buffer."""
    return container_bits(dtype) // 8


def scalar_of(type: ir.Type) -> ir.Type:
    """The type of one lane: of a vector its elements', of anything else the type itself."""
    return type.element if isinstance(type, ir.VectorType) else type


def like(type: ir.Type, element: ir.Type) -> ir.Type:
    """A scalar type, or the vector of it that has as many lanes as `type` where that is a vector."""
    return ir.VectorType(element, type.count) if isinstance(type, ir.VectorType) else element


def width_of(type: ir.Type) -> int:
    """Bits of an integer, or of a lane of a vector of integers."""
    return int(scalar_of(type).width)


def number(type: ir.Type, value: float) -> ir.Constant:
    """A number of an LLVM type, in every lane of a vector."""
    return ir.Constant(type, value)


def suffix(type: ir.Type) -> str:
    """An LLVM type's name in an intrinsic's: `f32`, `v16i8`."""
    if isinstance(type, ir.VectorType):
        return f"v{type.count}{suffix(type.element)}"
    return {"half": "f16", "float": "f32", "double": "f64"}.get(str(type), str(type))


def to_code(b: ir.IRBuilder, dtype: DType, element: ir.Value) -> ir.Value:
    """The bit pattern of an element, zero above the type's width."""
    if dtype.name in _NATIVE:
        return b.bitcast(element, like(element.type, code_type(dtype)))
    if dtype.is_int and not dtype.is_uint and dtype.width < container_bits(dtype):
        return b.and_(element, number(element.type, (1 << dtype.width) - 1))
    return element


def from_code(b: ir.IRBuilder, dtype: DType, code: ir.Value, *, exact: bool = False) -> ir.Value:
    """The element with a bit pattern, whose bits above the type's width are ignored, or known to be none if `exact`."""
    if dtype.name in _NATIVE:
        return b.bitcast(code, like(code.type, element_type(dtype)))
    is_signed = dtype.is_int and not dtype.is_uint
    return code if exact and not is_signed else wrap(b, dtype, code)


def wrap(b: ir.IRBuilder, dtype: DType, element: ir.Value) -> ir.Value:
    """An integer in its container taken modulo 2^width, extended as its type is; bit patterns lose what is above."""
    spare = container_bits(dtype) - dtype.width
    if not spare:
        return element
    if dtype.is_int and not dtype.is_uint:
        shift = number(element.type, spare)
        return b.ashr(b.shl(element, shift), shift)
    return b.and_(element, number(element.type, (1 << dtype.width) - 1))


@lru_cache(maxsize=4096)
def constant(dtype: DType, code: int, lanes: int | None = None) -> ir.Constant:
    """The element with a bit pattern, as a constant; a vector of `lanes` of them where that is given."""
    if lanes is not None:
        return ir.Constant(ir.VectorType(element_type(dtype), lanes), constant(dtype, code))
    array = dtype.from_codes(np.array([code], dtype.code_dtype))
    if dtype.name not in _NATIVE:
        return ir.Constant(element_type(dtype), int(array[0]))
    if np.isnan(array[0]):
        return ir.Constant(code_type(dtype), code).bitcast(element_type(dtype))
    return ir.Constant(element_type(dtype), float(array[0]))


def resize(b: ir.IRBuilder, value: ir.Value, target: ir.IntType, signed: bool) -> ir.Value:
    """An integer, or all of a vector, widened or cut to the width of the integer type `target`."""
    result = like(value.type, target)
    if width_of(value.type) == target.width:
        return value
    if width_of(value.type) > target.width:
        return b.trunc(value, result)
    return b.sext(value, result) if signed else b.zext(value, result)


def step_to(b: ir.IRBuilder, pointer: ir.Value, place: ir.Value, type: ir.Type, *, inbounds: bool = False) -> ir.Value:
    """The address of element `place` (i64) of an array of an LLVM type; an opaque pointer, whatever is read there."""
    address = b.gep(pointer, [place], inbounds=inbounds, source_etype=type)
    address.type = POINTER
    return address
