"""The operations of the tile IR: one table of all definitions, by name."""

from vmc.ir.opdef import OpDef
from vmc.ir.ops import (
    arith,
    control,
    convert,
    copies,
    debug,
    indexed,
    linear,
    math,
    memory,
    once,
    prefetch,
    random,
    reduction,
    shape,
    views,
)

FAMILIES: dict[str, tuple[OpDef, ...]] = {
    "arithmetic": arith.DEFINITIONS,
    "mathematics": math.DEFINITIONS,
    "conversion": convert.DEFINITIONS,
    "control": control.DEFINITIONS,
    "work that blocks share": once.DEFINITIONS,
    "matrix product": linear.DEFINITIONS,
    "reduction, scan and sort": reduction.DEFINITIONS,
    "memory": (*memory.DEFINITIONS, *prefetch.DEFINITIONS),
    "indexed memory": indexed.DEFINITIONS,
    "asynchronous copies": copies.DEFINITIONS,
    "shape": shape.DEFINITIONS,
    "layout": views.DEFINITIONS,
    "random numbers": random.DEFINITIONS,
    "debugging": debug.DEFINITIONS,
}
"""Definitions by family, as the reference documentation groups them."""

OPS: dict[str, OpDef] = {definition.name: definition for family in FAMILIES.values() for definition in family}
