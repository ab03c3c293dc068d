"""Whether work that blocks share pays for a launch of its own: estimates in cycles of a multiprocessor.

Blocks that do the work each, wave after wave, are compared with a launch more, whose blocks do every turn of a loop at
once. Symbols are unknown: every extent is taken to be `TYPICAL`, and rows of blocks to be one, as in the products with
few rows for which a launch more weighs most. The figures are those of a large GPU, by its data sheet; none is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod

from vmc.ir.core import Op, TileType, Value, walk
from vmc.ir.dims import Dim, evaluate, symbols
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.effects import size
from vmc.ir.passes.extents import turns_of
from vmc.ir.passes.hoist import Candidate
from vmc.ir.passes.invariants import HEAVY, MOVING

MULTIPROCESSORS, LANES = 132, 128
LAUNCH = 2500
"""Cycles of a launch behind another on a stream, likely: about 1.5 us."""
TYPICAL = 4096
DIVISION, COMPOSITE = 8, 16
"""Instructions for an element of a quotient or a root, and of a function that is expanded."""
HOLDERS = 4
"""Warps that hold a product's first factor, and make it if each block does."""
PRODUCTS = 16
"""Multiply-adds of matrix instructions that take as long as one other instruction."""


def pays(candidate: Candidate) -> bool:
    """Whether a `once` is worth a launch of its own, and can be one."""
    once, keys = candidate.once, [candidate.grid[place] for place in candidate.keys]
    if any(extent is None for extent in (*keys, candidate.grid[-1])) or not fits_workspace(once):
        return False
    rows = prod(extent if isinstance(extent, int) else 1 for extent in keys)
    blocks = rows * typical(candidate.grid[-1])
    turns = typical(candidate.turns) if candidate.turns is not None else 1
    work = sum(instructions(op, candidate.producers) for op in once.regions[0].ops) / LANES
    each = ceil(blocks / MULTIPROCESSORS) * work * (HOLDERS if candidate.is_factor else 1)
    return LAUNCH + ceil(rows * turns / MULTIPROCESSORS) * work / turns < each


def fits_workspace(once: Op) -> bool:
    """Whether the results can lie in device memory as blocks write them, and no layout is pinned on the way."""
    whole = all(result.tensor.dtype.width % 8 == 0 for result in once.results)
    return whole and not any(
        isinstance(value.type, TileType) and value.type.layout is not None
        for op in walk(once.regions[0])
        for value in op.results
    )


def typical(extent: Dim | None) -> int:
    """An extent with typical values of its symbols."""
    assert extent is not None
    return max(1, evaluate(extent, dict.fromkeys(symbols(extent), TYPICAL)))


def instructions(op: Op, producers: Mapping[Value, Op]) -> float:
    """Those of all lanes together, for an operation and what is in its regions."""
    if op.name in DOTS:
        return op.operands[0].tile.size * op.operands[1].tile.shape[1] / PRODUCTS
    if op.regions:
        count = turns_of(op, producers) if op.name == "for" else None
        inner = sum(instructions(one, producers) for region in op.regions for one in region.ops)
        return inner * (typical(count) if count is not None else 1)
    elements = max(map(size, (*op.operands, *op.results)), default=0)
    if elements <= 1 or op.name in MOVING or op.name == "constant":
        return 0
    if op.definition.composite:
        return COMPOSITE * elements
    return (DIVISION if op.name in HEAVY - {"reduce"} else 1) * elements
