"""The places of the elements of a mask that are 1.

Sixteen elements of the mask at a time where the processor moves chosen lanes to the front of a vector (AVX-512), else
one after the other. Runs without a 1 are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu.elements import I8, I16, I32, I64
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Tile
from vmc.backends.cpu.vectors import splat
from vmc.ir.core import Op
from vmc.ir.types import dtype

PLACE = dtype("i32")
LANES, RUN, SPARSE = 16, 8, 64


def lower_nonzero(e: Emitter, op: Op) -> tuple[Tile, Tile]:
    mask = e.tile(op.operands[0])
    held, size = e.settle(mask), mask.size
    found = e.allocate(PLACE, size + LANES)
    e.fill(found, e.splat(PLACE, (size,), ir.Constant(I32, 0)))
    if "avx512f" in e.machine.features and size % LANES == 0:
        count = moved_to_the_front(e, held, found, size)
    else:
        count = one_after_the_other(e, held, found, size)
    places = e.settled_tile(PLACE, mask.shape, found)
    return places, e.splat(PLACE, (), e.b.trunc(count, I32))


def moved_to_the_front(e: Emitter, held: Buffer, found: Buffer, size: int) -> ir.Value:
    """Vectors of places, each stored where the one before it has its last that counts."""
    places = ir.VectorType(I32, LANES)
    lanes = ir.Constant(places, list(range(LANES)))

    def ones(first: ir.Value, count: int) -> ir.Value:
        bytes = e.load(held.scope, e.element(held, first), ir.VectorType(I8, count))
        return e.b.icmp_unsigned("!=", bytes, ir.Constant(bytes.type, None))

    def vector(first: ir.Value, count: ir.Value) -> ir.Value:
        chosen = ones(first, LANES)
        own = e.b.add(lanes, splat(e.b, e.b.trunc(first, I32), LANES))
        name = f"llvm.experimental.vector.compress.v{LANES}i32"
        front = e.call(name, places, own, chosen, ir.Constant(places, None))
        e.store(found.scope, front, e.element(found, count), 4)
        more = e.call("llvm.ctpop.i16", I16, e.b.bitcast(chosen, I16))
        return e.add(count, e.b.zext(more, I64))

    def several(first: ir.Value, carried: Sequence[ir.Value]) -> list[ir.Value]:
        def each() -> ir.Value:
            count = carried[0]
            for vector_first in range(0, SPARSE, LANES):
                count = vector(e.add(first, e.index(vector_first)), count)
            return count

        none = e.b.icmp_unsigned("==", e.b.bitcast(ones(first, SPARSE), I64), e.index(0))
        return [e.choose(none, I64, lambda: carried[0], each)]

    whole = size // SPARSE * SPARSE
    count = e.loop(e.index(0), e.index(whole), [e.index(0)], several, SPARSE)
    return e.loop(e.index(whole), e.index(size), count, lambda first, carried: [vector(first, carried[0])], LANES)[0]


def one_after_the_other(e: Emitter, held: Buffer, found: Buffer, size: int) -> ir.Value:
    """Every place is written behind those found so far, and stays if its element is 1."""

    def turn(place: ir.Value, carried: Sequence[ir.Value]) -> list[ir.Value]:
        e.write(found, carried[0], e.b.trunc(place, I32))
        return [e.add(carried[0], e.b.zext(e.read(held, place), I64))]

    def run(first: ir.Value, carried: Sequence[ir.Value]) -> list[ir.Value]:
        word = e.load(held.scope, e.element(held, first), I64)

        def each() -> ir.Value:
            after = list(carried)
            for place in range(RUN):
                after = turn(e.add(first, e.index(place)), after)
            return after[0]

        return [e.choose(e.b.icmp_unsigned("==", word, e.index(0)), I64, lambda: carried[0], each)]

    whole = size // RUN * RUN
    count = e.loop(e.index(0), e.index(whole), [e.index(0)], run, RUN)
    count = e.loop(e.index(whole), e.index(size), count, turn)
    e.write(found, count[0], ir.Constant(I32, 0))
    return count[0]
