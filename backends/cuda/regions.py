"""Control: loops, branches, barriers. What a loop carries has registers of its own, written at the end of a turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from vmc.backends.cuda.arith import holds
from vmc.backends.cuda.emitter import Emitter, Scalar, Tile
from vmc.backends.cuda.scaled import Turns
from vmc.backends.cuda.tir import I32, I64, U64, Expr, binary, cast, const, container, tirx
from vmc.ir.core import Op, Region, Value

Lowering = Callable[[Emitter, Op], None]


def lower_nothing(e: Emitter, op: Op) -> None:
    """An operation that needs no code here."""


def lower_region(e: Emitter, region: Region) -> None:
    """All operations but the last, which yields."""
    from vmc.backends.cuda.lowering import lower

    before = set(e.under_way)
    for op in region.ops[:-1]:
        lower(e, op)
    e.finish(keep=before)


def home(e: Emitter, value: Value) -> Any:
    """Registers that hold a carried value, as a tile or as a scalar."""
    if value.tile.rank:
        return e.tile(value.tile, value.name)
    return Cell(e, value)


class Cell:
    """A register that holds a scalar which changes."""

    def __init__(self, e: Emitter, value: Value) -> None:
        self.dtype = value.tile.dtype
        self.buffer = e.buffer(container(self.dtype), 1, value.name or "c")


def assign(e: Emitter, places: Sequence[Any], values: Sequence[Value]) -> None:
    """Writes values to their places, all at once: a value may be what another place holds so far."""
    copies: list[Any] = []
    for place, value in zip(places, values, strict=True):
        held = e.values[value]
        if isinstance(place, Cell):
            copies.append(Scalar(place.dtype, e.let(held.value, container(place.dtype))))
        else:
            copies.append(copied(e, held, place, places))
    for place, copy in zip(places, copies, strict=True):
        if isinstance(place, Cell):
            e.put(place.buffer, 0, copy.value)
        elif copy.buffer is not place.buffer:
            move(e, place, copy)


def move(e: Emitter, place: Tile, source: Tile) -> None:
    """Copies a tile's registers to others."""
    e.each(place.registers.slots, lambda slot: e.put(place.buffer, slot, e.held(source, slot)))


def copied(e: Emitter, held: Tile, own: Any, places: Sequence[Any]) -> Tile:
    """The tile, in registers of its own where it lies in another place that is about to change."""
    if held.buffer is None or held.buffer is own.buffer or all(held.buffer is not p.buffer for p in places):
        return held
    fresh = e.buffer(container(held.dtype), held.registers.slots)
    e.each(held.registers.slots, lambda slot: e.put(fresh, slot, e.get(held.buffer, slot)))
    return Tile(held.dtype, held.registers, fresh)


def bind(e: Emitter, values: Sequence[Value], places: Sequence[Any]) -> None:
    """Region arguments, or results, stand for what their places hold."""
    for value, place in zip(values, places, strict=True):
        e.define(value, Scalar(place.dtype, e.get(place.buffer, 0)) if isinstance(place, Cell) else place)


def settle(e: Emitter, values: Sequence[Value], places: Sequence[Any]) -> None:
    """Results: scalars are read once, as their register may not be read where it has changed."""
    for value, place in zip(values, places, strict=True):
        if isinstance(place, Cell):
            e.define_scalar(value, e.get(place.buffer, 0))
        else:
            e.define(value, place)


def lower_for(e: Emitter, op: Op) -> None:
    (body,) = op.regions
    places = [home(e, value) for value in op.results]
    assign(e, places, op.operands[3:])
    low, high, step = (e.let(cast(e.scalar(bound), I64), I64, "bound") for bound in op.operands[:3])
    counter = e.buffer(I64, 1, body.args[0].name or "i")
    e.put(counter, 0, low)
    turns = Turns(op)

    def turn() -> None:
        index = e.let(e.get(counter, 0), I64, body.args[0].name or "i")
        e.define_scalar(body.args[0], cast(index, U64))
        settle(e, body.args[1:], places)
        e.turns.append(turns)
        lower_region(e, body)
        turns.advance(e)
        e.turns.pop()
        assign(e, places, body.yielded)
        e.put(counter, 0, binary("Add", index, step))

    block = e.block(turn)
    e.statements += turns.head
    e.emit(tirx().While(binary("LT", e.get(counter, 0), high), block))
    settle(e, op.results, places)


def lower_while(e: Emitter, op: Op) -> None:
    """The condition is computed before the loop and at the end of every turn."""
    condition, body = op.regions
    places = [home(e, value) for value in op.results]
    assign(e, places, op.operands)
    more = e.buffer("int32", 1, "more")
    e.put(more, 0, const(1, I32))

    def turn() -> None:
        settle(e, condition.args, places)
        lower_region(e, condition)
        verdict = e.scalar(condition.yielded[0])
        e.put(more, 0, cast(verdict, I32))

        def go() -> None:
            settle(e, body.args, places)
            lower_region(e, body)
            assign(e, places, body.yielded)

        e.emit(tirx().IfThenElse(holds(verdict), e.block(go), None))

    e.emit(tirx().While(binary("NE", e.get(more, 0), const(0, I32)), e.block(turn)))
    settle(e, op.results, places)


def lower_if(e: Emitter, op: Op) -> None:
    places = [home(e, value) for value in op.results]

    def branch(region: Region) -> Callable[[], None]:
        def build() -> None:
            lower_region(e, region)
            assign(e, places, region.yielded)

        return build

    def assuming() -> None:
        with e.multiples.assuming(op.operands[0]) if e.multiples is not None else nullcontext():
            branch(then)()

    then, otherwise = op.regions
    e.choose([holds(e.scalar(op.operands[0]))], assuming, branch(otherwise))
    settle(e, op.results, places)


def lower_barrier(e: Emitter, op: Op) -> None:
    if e.shows_writes:
        e.call("vmc_fence_proxy")
    e.emit(tirx().Evaluate(barrier()))


def barrier() -> Expr:
    return tirx().call_extern(I32, "__syncthreads")
