"""A rough estimate of what a block costs, which decides whether a launch is worth several threads."""

from __future__ import annotations

from vmc.ir.core import Op, Region, TileType

TURNS = 16  # assumed of a loop whose bounds are not constant


def estimate(region: Region) -> int:
    """Element operations of one execution of a region."""
    return sum(cost(op) for op in region.ops)


def cost(op: Op) -> int:
    inner = sum(estimate(region) for region in op.regions)
    if op.name in ("for", "while"):
        return 1 + TURNS * inner
    if op.name == "dot":
        a, b = op.operands[0].tile, op.operands[1].tile
        return a.size * b.shape[1] // 8
    values = (*op.results, *op.operands[1:2]) if op.name in ("store", "scatter") else op.results
    return 1 + inner + sum(value.tile.size for value in values if isinstance(value.type, TileType))
