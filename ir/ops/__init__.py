"""The operations of the tile IR: one table of all definitions, by name."""

from vmc.ir.opdef import OpDef
from vmc.ir.ops import arith, control, convert, linear, memory, shape

FAMILIES = {
    "arithmetic": arith.DEFINITIONS,
    "conversion": convert.DEFINITIONS,
    "control": control.DEFINITIONS,
    "matrix product": linear.DEFINITIONS,
    "memory": memory.DEFINITIONS,
    "shape": shape.DEFINITIONS,
}
"""Definitions by family, as the reference documentation groups them."""

OPS: dict[str, OpDef] = {definition.name: definition for family in FAMILIES.values() for definition in family}
