"""Rows that are alike: what a region computes of rows beyond the edge of its inputs is computed for one of them.

A block of 64 rows of x[M, K] with M = 1 has 63 rows of nothing but fill. Where a `once` region treats each row by
itself, these rows have equal results: one is computed, and stored for all.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu.emitter import Emitter
from vmc.ir.core import Op, TensorType, Value, walk

FEWEST = 8
"""Rows of a tile from which on it is worth the trouble."""
PLAIN = frozenset({"constant", "broadcast", "reshape", "load", "store", "reduce", "for", "yield", "prefetch"})
"""Operations that keep to rows, under the conditions of `keeps_to_rows`, besides the elementwise ones."""


@dataclass(frozen=True)
class Edge:
    """The rows of a region's tiles, and one of its inputs with the first of them; both are known before the region."""

    rows: int
    loads: tuple[Op, ...]


def edge_of(region_op: Op) -> Edge | None:
    """The rows of a region that treats each by itself, where loads may reach over the last one; None of another."""
    inner = [op for region in region_op.regions for op in walk(region)]
    loads = [op for op in inner if op.name == "load" and op.result.tile.shape]
    rows = {op.result.tile.shape[0] for op in loads}
    if len(rows) != 1 or min(rows) < FEWEST or not all(keeps_to_rows(op, min(rows)) for op in inner):
        return None
    made = {result for op in inner for result in op.results} | {
        arg for op in inner for r in op.regions for arg in r.args
    }
    fixed = all(op.operands[1] not in made and op.operands[0] not in made for op in loads)
    return Edge(min(rows), tuple(loads)) if fixed else None


def keeps_to_rows(op: Op, rows: int) -> bool:
    """Whether row r of each result, and of what is stored, depends on rows r of the operands alone."""
    tiles = [value for value in (*op.operands, *op.results) if has_shape(value)]
    if any(value.tile.shape[0] != rows for value in tiles) or (op.name not in PLAIN and not op.definition.elementwise):
        return False
    if op.name == "load":
        sizes, steps = op.attrs["sizes"], op.attrs["steps"]
        tall = not tiles or (op.result.tile.rank >= 2 and sizes[0] == rows and steps[0] == 1)
        return tall and isinstance(op.operands[0].type, TensorType)
    if op.name == "for":
        return not op.results
    return op.name != "reduce" or int(str(op.attrs["axis"])) > 0


def has_shape(value: Value) -> bool:
    return not isinstance(value.type, TensorType) and bool(value.tile.shape)


def rows_to_compute(e: Emitter, edge: Edge) -> ir.Value:
    """The rows up to the last one that any input has, and one more, of at most all."""
    most: ir.Value = e.index(0)
    for load in edge.loads:
        left = e.b.sub(e.tensor(load.operands[0]).extents[0], e.scalar(load.operands[1]))
        most = e.b.select(e.b.icmp_signed(">", left, most), left, most)
    return e.clamp(e.add(most, e.index(1)), e.index(1), e.index(edge.rows))
