"""Elements as shared memory takes them: in machine types, so that no two of them share a byte."""

from __future__ import annotations

from vmc.ir.builder import Builder
from vmc.ir.core import Value
from vmc.ir.types import DType, dtype

MACHINE_WIDTHS = (8, 16, 32, 64)


def stored_type(type: DType) -> DType:
    """The type whose elements carry those of a type: itself, or bytes that hold its codes."""
    return type if type.width in MACHINE_WIDTHS else dtype("u8")


def carried(build: Builder, value: Value) -> Value:
    """A tile of its elements' carriers."""
    type = value.tile.dtype
    if stored_type(type) == type:
        return value
    code = dtype(f"u{type.width}")
    return build.cast(value if type == code else build("bitcast", value, dtype=code), "u8")


def restored(build: Builder, value: Value, type: DType) -> Value:
    """The tile that `carried` was given."""
    if value.tile.dtype == type:
        return value
    code = build.cast(value, f"u{type.width}")
    return code if code.tile.dtype == type else build("bitcast", code, dtype=type)
