"""TVM's tensor IR, as this backend builds it: the import, containers of elements, and expressions without surprises.

TVM folds and simplifies signed indices as though they never wrapped, and C leaves signed overflow undefined. Integer
elements are therefore held unsigned, in 32 or 64 bits, sign-extended where the type is signed; what needs the sign
casts for one operation. Small floats, f16 and bf16 are held as their codes in 32 bits; f32 and f64 as themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vmc.ir.types import DType

Expr = Any
Stmt = Any

U32, U64, I32, I64, F32, F64 = "uint32", "uint64", "int32", "int64", "float32", "float64"


@lru_cache(maxsize=1)
def tirx() -> Any:
    """The module `tvm.tirx`. Raises ModuleNotFoundError where TVM is not installed."""
    import tvm.tirx

    return tvm.tirx


@lru_cache(maxsize=4096)
def container(dtype: DType) -> str:
    """How an element lies in a register."""
    if dtype.name in ("f32", "f64"):
        return F32 if dtype.name == "f32" else F64
    return U32 if dtype.width <= 32 else U64


def signed_of(kind: str) -> str:
    """The signed type of a container's width."""
    return I32 if kind == U32 else I64


def bits_of(kind: str) -> int:
    return int(kind.lstrip("uintfloa"))


@lru_cache(maxsize=4096)
def const(value: int, kind: str = I32) -> Expr:
    """An integer constant."""
    if kind == U64 and value >= 1 << 63:
        return binary("BitwiseOr", cast(const(value >> 32, U32), U64) << const(32, U64), const(value & 0xFFFFFFFF, U64))
    return tirx().const(value, kind)


@lru_cache(maxsize=4096)
def float_const(code: int, kind: str) -> Expr:
    """The f32 or f64 of a bit pattern: decimal digits are not trusted."""
    if kind == F32:
        return call(F32, "__uint_as_float", const(code, U32))
    return call(F64, "__longlong_as_double", cast(const(code, U64), I64))


def cast(value: Expr, kind: str) -> Expr:
    """A C conversion, which between integers keeps the low bits and extends by the sign of the source."""
    return tirx().Cast(kind, value)


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    """C's `?:`, which evaluates one side."""
    return tirx().Select(condition, a, b)


def call(kind: str, name: str, *arguments: Expr) -> Expr:
    """A call of a device function without effects."""
    return tirx().call_pure_extern(kind, name, *arguments)


def binary(name: str, a: Expr, b: Expr) -> Expr:
    """A node of TVM's (`Add`, `Div`, `LT`, ...), without the rewriting that its operators do."""
    return getattr(tirx(), name)(a, b)


def true() -> Expr:
    return tirx().const(True, "bool")


def conjunction(conditions: list[Expr]) -> Expr | None:
    """All of the conditions; None for none."""
    result = None
    for condition in conditions:
        result = condition if result is None else binary("And", result, condition)
    return result
