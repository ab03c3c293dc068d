"""A rough estimate of what a block costs, which decides whether a launch is worth several threads.

Loops count with as many turns as they will have, where their bounds follow from what the launch gives; the code that
computes the estimate is part of `.blocks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llvmlite import ir

from vmc.backends.cpu.elements import I64, element_size
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.regions import trip_count
from vmc.ir.core import Op, Region, TileType, Value, walk
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.effects import is_total

WORD = 4  # bytes of an element whose operation counts as one: a vector has more elements of fewer bytes
MULTIPLIED = 8  # products that `dot` adds up in the time of one operation
TURNS = 16  # assumed of a loop whose bounds are not known before a block runs
MOST_TURNS, MOST = 1 << 20, 1 << 40  # what is beyond makes no difference, and products stay in 64 bits


def known_before(given: Iterable[Value], regions: Iterable[Region]) -> list[Op]:
    """The operations on scalars, at any depth of the regions, that follow from `given` alone and can be executed early:
    without memory, and without an error. In order.
    """
    known = set(given)
    found = []
    for op in (op for region in regions for op in walk(region)):
        early = is_total(op) and not op.definition.reads_memory
        if early and known.issuperset(op.operands) and all(is_scalar(result) for result in op.results):
            known.update(op.results)
            found.append(op)
    return found


def is_scalar(value: Value) -> bool:
    """Whether a value is a tile of rank 0."""
    return isinstance(value.type, TileType) and not value.type.shape


def loops_within(region: Region, known: set[Value]) -> Iterator[Op]:
    """The counted loops of a region, at any depth, whose bounds are known."""
    return (op for op in walk(region) if op.name == "for" and known.issuperset(op.operands[:3]))


def emit_work(e: Emitter, region: Region) -> ir.Value:
    """Element operations of one execution of a region; loops count with the turns that their bounds in `e.env` give."""
    total: ir.Value = e.index(0)
    for op in region.ops:
        total = at_most(e, MOST, e.add(total, cost(e, op)))
    return total


def cost(e: Emitter, op: Op) -> ir.Value:
    """Element operations of one execution of an operation: operations on 32-bit elements take that long."""
    if op.name in DOTS:
        a, b = op.operands[0].tile, op.operands[1].tile
        return e.index(a.size * b.shape[1] * element_size(a.dtype) // (WORD * MULTIPLIED))
    inner: ir.Value = e.index(0)
    for region in op.regions:
        inner = e.add(inner, emit_work(e, region))
    if op.regions:
        return e.add(e.index(1), at_most(e, MOST, e.mul(turns(e, op), inner)))
    values = (*op.results, *op.operands[1:2]) if op.name in ("store", "scatter") else op.results
    tiles = [value.type for value in values if isinstance(value.type, TileType)]
    return e.index(1 + sum(tile.size * element_size(tile.dtype) for tile in tiles) // WORD)


def turns(e: Emitter, op: Op) -> ir.Value:
    """How often an operation executes its regions."""
    if op.name == "for" and all(value in e.env for value in op.operands[:3]):
        low, high, step = (e.scalar(value) for value in op.operands[:3])
        return at_most(e, MOST_TURNS, trip_count(e, low, high, step))
    return e.index(TURNS if op.name in ("for", "while") else 1)


def at_most(e: Emitter, most: int, value: ir.Value) -> ir.Value:
    """The smaller one of a number and a constant; both are not negative, or the number is so large that it seems so."""
    if isinstance(value, ir.Constant):
        return e.index(min(most, value.constant))
    return e.call("llvm.umin.i64", I64, value, e.index(most))
