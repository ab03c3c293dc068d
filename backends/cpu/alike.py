"""Rows that are alike: what a region computes of rows beyond the edge of its inputs is computed for one of them.

A block of 64 rows of x[M, K] with M = 1 has 63 rows of nothing but fill. Where a `once` region treats each row by
itself, these rows have equal results: one is computed, and stored for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu.emitter import Emitter
from vmc.ir.core import Op, TensorType, Value, walk

FEWEST = 8
"""Rows of a tile from which on it is worth the trouble."""
PLAIN = frozenset({"constant", "broadcast", "reshape", "load", "store", "reduce", "for", "yield", "prefetch"})
"""Operations that keep to rows, under the conditions of `keeps_to_rows`, besides the elementwise ones."""


def edge_of(once: Op) -> tuple[Op, ...] | None:
    """The loads of a region that treats each row by itself; None of another. Their tensors and first rows are known
    before the region, and their tiles have the same number of rows.
    """
    inner = [op for region in once.regions for op in walk(region)]
    loads = tuple(op for op in inner if op.name == "load" and op.result.tile.shape)
    rows = {op.result.tile.shape[0] for op in loads}
    if len(rows) != 1 or min(rows) < FEWEST or not all(keeps_to_rows(op, min(rows)) for op in inner):
        return None
    made = {result for op in inner for result in op.results}
    made |= {arg for op in (once, *inner) for region in op.regions for arg in region.args}
    return loads if not any(value in made for op in loads for value in op.operands[:2]) else None


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


def rows_to_compute(e: Emitter, loads: Sequence[Op]) -> tuple[int, ir.Value]:
    """The rows of the tiles, and how many of them to compute: up to the last one that any load finds, and one more."""
    rows, most = loads[0].result.tile.shape[0], e.index(0)
    for load in loads:
        left = e.b.sub(e.tensor(load.operands[0]).extents[0], e.scalar(load.operands[1]))
        most = e.b.select(e.b.icmp_signed(">", left, most), left, most)
    return rows, e.clamp(e.add(most, e.index(1)), e.index(1), e.index(rows))
