"""What the generator of random IR knows of operations and dtypes, asked of their definitions."""

from __future__ import annotations

from vmc.ir.core import IRError, TileType
from vmc.ir.opdef import OpDef
from vmc.ir.ops import OPS
from vmc.ir.types import ALL_DTYPES, DType, dtype

SMALL_INTEGERS = tuple(map(dtype, ("u1", "u2", "u3", "i2", "i3", "i4")))
"""Integers whose products and short sums every float of `SMALL_FLOATS` holds exactly, in f32 at least."""
SMALL_FLOATS = tuple(map(dtype, ("f16", "bf16", "f32", "f64", "f8e4m3", "f8e5m2", "f6e2m3", "f4e2m1")))


def has_nan(type: DType) -> bool:
    """Whether a value of the type may be NaN, whose bits executors may choose."""
    return type.has_nan


def accepts(definition: OpDef, type: DType, arity: int) -> bool:
    try:
        definition.infer([TileType(type, (2,))] * arity, {})
    except IRError:
        return False
    return True


def arities() -> dict[str, tuple[frozenset[DType], int]]:
    """The dtypes and the number of operands of each elementwise operation without attributes."""
    table: dict[str, tuple[frozenset[DType], int]] = {"select": (frozenset(ALL_DTYPES), 3)}
    for name, definition in OPS.items():
        if not definition.elementwise or definition.attrs or name in ("select", "philox"):
            continue
        for arity in (1, 2, 3):
            types = frozenset(type for type in ALL_DTYPES if accepts(definition, type, arity))
            if types:
                table[name] = types, arity
    return table


ARITIES = arities()
