"""Regions and control flow: loops that carry tiles in buffers of their own, branches that fill common ones.

A carried scalar is a phi. A carried tile lives in one *state* buffer: the body reads it, and at its end the yielded
tiles are written there, at once or through temporaries where one state is still read for another. An accumulator that
the body overwrites in place is never copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from llvmlite import ir

from vmc.backends.cpu.elements import I64, element_type
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Scope, Tensor, Tile
from vmc.ir.core import Op, Region, Value, walk

Lowering = Callable[[Emitter, Op], Sequence[Tile | Tensor]]


T = TypeVar("T")


def run_region(e: Emitter, region: Region, args: Sequence[Tile | Tensor], finish: Callable[[list[Tile]], T]) -> T:
    """Emits a region, and at its end what is done with the tiles that it yields."""
    outer, e.region = e.region, object()
    for value, tile in zip(region.args, args, strict=True):
        e.env[value] = tile
    for op in region.ops:
        lower(e, op)
    result = finish([e.tile(value) for value in region.yielded])
    for value in set(region.yielded):
        e.plan.remaining[value] -= 1
    e.region = outer
    return result


def lower(e: Emitter, op: Op) -> None:
    """Emits one operation and binds its results."""
    from vmc.backends.cpu.lowering import LOWERINGS

    if op.name == "yield":
        return
    if any(e.plan.remaining[result] for result in op.results) or not op.definition.pure:
        if op.regions:
            settle_before(e, op)
        for value, result in zip(op.results, LOWERINGS[op.name](e, op), strict=True):
            if isinstance(result, Tile):
                e.define(value, result)
            else:
                e.env[value] = result
    for value in e.plan.needs[op]:
        e.plan.remaining[value] -= 1


def settle_before(e: Emitter, op: Op) -> None:
    """Makes the loads now that are still to come from memory that the operation's regions write."""
    for inner in (inner for region in op.regions for inner in walk(region)):
        if inner.definition.writes_memory:
            scope = scope_of(e, inner.operands[0])
            for tile in e.pending_loads(scope) if scope is not None else ():
                e.settle(tile)


def scope_of(e: Emitter, value: Value) -> Scope | None:
    """The memory of a tensor; None if the tensor is made, or an argument, inside the region to come."""
    while value not in e.env:
        definer = e.plan.definer.get(value)
        if definer is None or definer.name == "alloc":
            return None
        value = definer.operands[0]
    return e.tensor(value).scope


# Carried values


class States:
    """The carried values of a loop: `buffers[i]` of a tile, None of a scalar."""

    def __init__(self, e: Emitter, initial: Sequence[Value]) -> None:
        self.e = e
        self.types = [value.tile for value in initial]
        self.buffers = [e.take_over(value) if value.tile.shape else None for value in initial]
        self.scalars = [e.scalar(value) for value in initial if not value.tile.shape]

    def tiles(self, scalars: Sequence[ir.Value]) -> list[Tile]:
        """The carried values, given the current scalars."""
        current = iter(scalars)
        return [
            self.e.splat(type.dtype, (), next(current))
            if buffer is None
            else self.e.settled_tile(type.dtype, type.shape, buffer)
            for type, buffer in zip(self.types, self.buffers, strict=True)
        ]

    def assign(self, yielded: Sequence[Tile]) -> list[ir.Value]:
        """Writes the yielded tiles to the states, as though all at once; the yielded scalars."""
        late: list[tuple[Buffer, Buffer, Tile]] = []
        for number, (tile, buffer) in enumerate(zip(yielded, self.buffers, strict=True)):
            if buffer is None or tile.buffer is buffer:
                continue
            others = (other for place, other in enumerate(yielded) if place != number)
            read_elsewhere = any(buffer in other.sources for other in others)
            if read_elsewhere or not tile.sources.get(buffer, True):
                temporary = self.e.allocate(tile.dtype, tile.size)
                self.e.fill(temporary, tile)
                late.append((buffer, temporary, tile))
            else:
                self.e.fill(buffer, tile)
        for buffer, temporary, tile in late:
            self.e.fill(buffer, self.e.settled_tile(tile.dtype, tile.shape, temporary))
        return [self.e.at(tile, ()) for tile in yielded if not tile.shape]


def lower_for(e: Emitter, op: Op) -> list[Tile]:
    low, high, step = (e.scalar(value) for value in op.operands[:3])
    shown = step.constant if isinstance(step, ir.Constant) else None
    if shown is None or shown < 1:
        bad = e.b.icmp_signed("<", step, e.index(1))
        e.fail_when(bad, op, "the step of this loop is less than 1")
    count = trip_count(e, low, high, step)
    states = States(e, op.operands[3:])
    (region,) = op.regions

    def body(turn: ir.Value, scalars: Sequence[ir.Value]) -> list[ir.Value]:
        place = e.add(low, e.mul(turn, step))
        index = e.splat(op.operands[0].tile.dtype, (), place)
        return run_region(e, region, [index, *states.tiles(scalars)], states.assign)

    return states.tiles(e.loop(e.index(0), count, states.scalars, body))


def trip_count(e: Emitter, low: ir.Value, high: ir.Value, step: ir.Value) -> ir.Value:
    """How often a loop runs whose step is at least 1."""
    if all(isinstance(value, ir.Constant) for value in (low, high, step)):
        return e.index(max(0, -((low.constant - high.constant) // max(1, step.constant))))
    last = e.sub(e.sub(high, low), e.index(1))
    divisor = step if isinstance(step, ir.Constant) else e.call("llvm.smax.i64", I64, step, e.index(1))
    turns = e.b.add(e.b.udiv(last, divisor), e.index(1))
    return e.b.select(e.b.icmp_signed("<", low, high), turns, e.index(0))


def lower_while(e: Emitter, op: Op) -> list[Tile]:
    condition, body = op.regions
    states = States(e, op.operands)
    before, test = e.b.block, e.function.append_basic_block("while")
    inside, after = e.function.append_basic_block("turn"), e.function.append_basic_block("done")
    e.b.branch(test)
    e.b.position_at_end(test)
    phis = [e.b.phi(value.type) for value in states.scalars]
    with e.fresh_memo():
        holds = run_region(e, condition, states.tiles(phis), lambda tiles: e.truth(e.at(tiles[0], ())))
        e.b.cbranch(holds, inside, after)
    e.b.position_at_end(inside)
    with e.fresh_memo():
        following = run_region(e, body, states.tiles(phis), states.assign)
    for phi, first, later in zip(phis, states.scalars, following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, e.b.block)
    e.b.branch(test)
    e.b.position_at_end(after)
    return states.tiles(phis)


def lower_if(e: Emitter, op: Op) -> list[Tile]:
    types = [result.tile for result in op.results]
    buffers = [e.allocate(type.dtype, type.size) if type.shape else None for type in types]
    ends: list[tuple[ir.Block, list[ir.Value]]] = []

    def keep(tiles: Sequence[Tile]) -> list[ir.Value]:
        scalars = []
        for tile, buffer in zip(tiles, buffers, strict=True):
            if buffer is None:
                scalars.append(e.at(tile, ()))
            else:
                e.fill(buffer, tile)
        return scalars

    def branch(region: Region) -> None:
        scalars = run_region(e, region, (), keep)
        ends.append((e.b.block, scalars))

    with e.b.if_else(e.condition(op.operands[0])) as (then, otherwise):
        for arm, region in ((then, op.regions[0]), (otherwise, op.regions[1])):
            with arm, e.fresh_memo():
                branch(region)
    joined = iter(
        [
            e.join(element_type(type.dtype), *((scalars[place], block) for block, scalars in ends))
            for place, type in enumerate(type for type in types if not type.shape)
        ]
    )
    return [
        e.splat(type.dtype, (), next(joined)) if buffer is None else e.settled_tile(type.dtype, type.shape, buffer)
        for type, buffer in zip(types, buffers, strict=True)
    ]


def lower_symbol(e: Emitter, op: Op) -> tuple[Tile]:
    return (e.splat(op.result.tile.dtype, (), e.symbols[str(op.attrs["name"])]),)


def lower_nothing(e: Emitter, op: Op) -> tuple[()]:
    """A barrier, or a step of the asynchronous copies: one thread executes a block, in order."""
    return ()
