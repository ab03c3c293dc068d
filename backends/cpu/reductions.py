"""Operations along one axis: reduce, arg and scan.

With the axis moved out of the way, a tile is lines: `outer` x `extent` x `inner`. Where `inner` is more than one, the
loop over it is innermost and the steps of neighbouring lines run side by side; else a line is reduced in vectors where
it can be had so, and sums of floats with leave to reassociate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from llvmlite import ir

from vmc.backends.cpu import arith, casts
from vmc.backends.cpu.elements import I1, I32, constant, element_size
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.filling import is_liftable
from vmc.backends.cpu.tiles import Index, Tile
from vmc.backends.cpu.vectors import Atom, Place, shuffle, splat, spot
from vmc.ir.core import Op
from vmc.ir.ops.reduction import identity
from vmc.ir.types import DType, dtype

STEPS = {"sum": "add", "prod": "mul", "min": "min", "max": "max", "and": "and", "or": "or", "xor": "xor"}
F32 = dtype("f32")
CHAINS = 4
"""Vectors that a row is reduced in side by side."""
NEAREST = casts.Mode("nearest_even", None)


def axis_of(op: Op) -> int:
    return int(str(op.attrs["axis"]))


def lower_reduce(e: Emitter, op: Op) -> tuple[Tile]:
    """f16 and bf16 sums and products are computed in f32 and rounded once."""
    source, kind, axis = e.tile(op.operands[0]), str(op.attrs["kind"]), axis_of(op)
    narrow = source.dtype.name in ("f16", "bf16") and kind in ("sum", "prod")
    if narrow:
        held = source.dtype
        source = e.map(F32, [source], lambda element: casts.widen_float(e, held, element))
    result = reduce_lines(e, source, kind, axis)
    if narrow:
        target = op.result.tile.dtype
        result = e.map(target, [result], lambda element: casts.cast(e, F32, target, NEAREST, element))
    return (result,)


def reduce_lines(e: Emitter, source: Tile, kind: str, axis: int) -> Tile:
    shape = source.shape[:axis] + source.shape[axis + 1 :]
    start = constant(source.dtype, identity(kind, source.dtype))
    step = stepper(e, kind, source.dtype)
    if prod(shape[axis:]) == 1 or not shape:
        return reduce_contiguous(e, source, axis, start, step)
    buffer = e.allocate(source.dtype, prod(shape))
    e.fill(buffer, e.splat(source.dtype, shape, start))

    def add(index: Index) -> None:
        element = e.at(source, (*index[:axis], index[axis], *index[axis + 1 :]))
        place = e.linear((*index[:axis], *index[axis + 1 :]), shape)
        e.write(buffer, place, step(e.read(buffer, place), element))

    e.nest(e.box(source.shape), add)
    return e.settled_tile(source.dtype, shape, buffer)


def reduce_contiguous(
    e: Emitter, source: Tile, axis: int, start: ir.Value, step: Callable[[ir.Value, ir.Value], ir.Value]
) -> Tile:
    """Lines that lie along the innermost loop: the running value stays in a register."""
    shape = source.shape[:axis] + source.shape[axis + 1 :]
    extent = e.index(source.shape[axis])

    lanes = lanes_along(e, source) if axis == len(source.shape) - 1 else 1

    def line(index: Index) -> ir.Value:
        def turn(place: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
            return [step(running[0], e.at(source, (*index[:axis], place, *index[axis:])))]

        if lanes > 1:
            return reduce_vectors(e, source, tuple(map(spot, index)), lanes, (start, step))
        return e.loop(e.index(0), extent, [start], turn)[0]

    if not shape:
        return e.splat(source.dtype, (), line(()))
    buffer = e.allocate(source.dtype, prod(shape))
    e.nest(e.box(shape), lambda index: e.write(buffer, e.linear(index, shape), line(index)))
    return e.settled_tile(source.dtype, shape, buffer)


def lanes_along(e: Emitter, source: Tile) -> int:
    """The lanes of vectors that a tile's rows are reduced in; 1 where elements are reduced one by one."""
    lanes = e.vector_bytes // max(4, element_size(source.dtype))
    return lanes if source.shape[-1] % lanes == 0 and is_liftable(source) else 1


def reduce_vectors(
    e: Emitter,
    source: Tile,
    row: Place,
    lanes: int,
    reduction: tuple[ir.Value, Callable[[ir.Value, ir.Value], ir.Value]],
) -> ir.Value:
    """One row, in several vectors side by side, which are put together at the end."""
    (start, step), extent, atom = reduction, source.shape[-1], Atom(1, lanes)
    count = next(count for count in (CHAINS, 2, 1) if extent % (count * lanes) == 0)

    def turn(place: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
        base, offset = spot(place)
        parts = (e.vector(source, (*row, (base, offset + i * lanes)), atom) for i in range(count))
        return [step(one, part) for one, part in zip(running, parts, strict=True)]

    found = e.loop(e.index(0), e.index(extent), [splat(e.b, start, lanes)] * count, turn, count * lanes)
    while len(found) > 1:
        found = [step(one, other) for one, other in zip(found[::2], found[1::2], strict=True)]
    vector = found[0]
    while lanes > 1:
        lanes //= 2
        low, high = (shuffle(e.b, vector, vector, range(first, first + lanes)) for first in (0, lanes))
        vector = step(low, high)
    return e.b.extract_element(vector, ir.Constant(I32, 0))


def stepper(e: Emitter, kind: str, dtype: DType) -> Callable[[ir.Value, ir.Value], ir.Value]:
    """One step, in any order: sums and products of floats may be reassociated."""
    if dtype.is_float and kind in ("sum", "prod"):
        operate = e.b.fadd if kind == "sum" else e.b.fmul
        return lambda running, element: operate(running, element, flags=("reassoc", *e.fast))
    return lambda running, element: arith.step(e, STEPS[kind], dtype, running, element)


def lower_arg(e: Emitter, op: Op) -> tuple[Tile]:
    """Where the extreme first is. A NaN counts as the extreme; the first one wins."""
    source, kind, axis = e.tile(op.operands[0]), str(op.attrs["kind"]), axis_of(op)
    shape = op.result.tile.shape

    def line(index: Index) -> ir.Value:
        def at(place: ir.Value) -> ir.Value:
            return e.at(source, (*index[:axis], place, *index[axis:]))

        def turn(place: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
            best, where = running
            element = at(place)
            better = beats(e, source.dtype, kind, element, best)
            return [e.b.select(better, element, best), e.b.select(better, e.b.trunc(place, I32), where)]

        first = [at(e.index(0)), ir.Constant(I32, 0)]
        return e.loop(e.index(1), e.index(source.shape[axis]), first, turn)[1]

    if not shape:
        return (e.splat(op.result.tile.dtype, (), line(())),)
    e.settle(source)
    buffer = e.allocate(op.result.tile.dtype, prod(shape))
    e.nest(e.box(shape), lambda index: e.write(buffer, e.linear(index, shape), line(index)))
    return (e.settled_tile(op.result.tile.dtype, shape, buffer),)


def beats(e: Emitter, dtype: DType, kind: str, element: ir.Value, best: ir.Value) -> ir.Value:
    """Whether a later element is more extreme than the best so far, as i1."""
    better = e.truth(arith.step(e, "lt" if kind == "min" else "gt", dtype, element, best))
    if not dtype.is_float:
        return better
    return e.b.and_(e.b.or_(better, is_nan(e, dtype, element)), e.b.not_(is_nan(e, dtype, best)))


def is_nan(e: Emitter, dtype: DType, element: ir.Value) -> ir.Value:
    """Whether an element is NaN, as i1; never of an integer."""
    if dtype.is_int:
        return ir.Constant(I1, 0)
    value = casts.widen_float(e, dtype, element)
    return e.b.fcmp_unordered("uno", value, value)


def lower_scan(e: Emitter, op: Op) -> tuple[Tile]:
    """Strictly in order, in the element type: element i from element i - 1 of the result."""
    source, kind, axis = e.tile(op.operands[0]), str(op.attrs["kind"]), axis_of(op)
    exclusive, reverse = bool(op.attrs["exclusive"]), bool(op.attrs["reverse"])
    type, extent = source.dtype, source.shape[axis]
    held = e.settle(source)
    buffer = e.allocate(type, source.size)
    start = constant(type, identity(kind, type))
    others = source.shape[:axis] + source.shape[axis + 1 :]
    last = e.index(extent - 1)

    def line(index: Index) -> None:
        def position(turn: ir.Value) -> ir.Value:
            place = e.b.sub(last, turn) if reverse else turn
            return e.linear((*index[:axis], place, *index[axis:]), source.shape)

        first = e.read(held, position(e.index(0)))
        e.write(buffer, position(e.index(0)), start if exclusive else first)

        def turn(place: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
            element = e.read(held, position(place))
            following = arith.step(e, STEPS[kind], type, running[0], element)
            e.write(buffer, position(place), running[0] if exclusive else following)
            return [following]

        e.loop(e.index(1), e.index(extent), [first], turn)

    e.nest(e.box(others), line)
    return (e.settled_tile(type, source.shape, buffer),)


def sort_key(e: Emitter, dtype: DType, descending: bool, a: ir.Value, b: ir.Value) -> ir.Value:
    """Whether b must come before a, which is in front of it: strictly, so that equal elements stay; as i1."""
    before = e.truth(arith.step(e, "gt" if descending else "lt", dtype, b, a))
    return e.b.or_(before, e.b.and_(is_nan(e, dtype, a), e.b.not_(is_nan(e, dtype, b))))
