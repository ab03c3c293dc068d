"""Slices of whole blocks: every field is loaded once, and values are computed on tiles [..., blocks, digits of i].

A field's tile is [..., blocks, count]. An index that follows from `i` alone picks from it without looking at memory: as
it is, as a slice, or by `take`. Along a digit on which an index does not depend its tile has the extent 1, so that what
is computed from scales is computed once for all elements that share them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd

import numpy as np

from vmc.ir.core import Table, Value
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.lang.elaborate import decoding
from vmc.lang.elaborate.decoding import Array, Pattern, Statics
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.formats import Field, Format, field_view
from vmc.lang.elaborate.indexing import TensorSlice
from vmc.lang.elaborate.values import Const, Tensor, Thing, Tile

MAX_DEPTH = 32


def is_whole(el: Elaborator, format: Format, where: TensorSlice) -> bool:
    """Whether a slice is known to begin and end between blocks."""
    size = where.sizes[-1]
    if size is None or size % format.block or where.steps[-1] != 1:
        return False
    return divisor(el, where.starts[-1]) % format.block == 0


def divisor(el: Elaborator, value: Value, depth: int = MAX_DEPTH) -> int:
    """A number that divides an i64 scalar, whatever its value; 0 for what is always 0."""
    if value in el.inductions:
        low, step = el.inductions[value]
        return gcd(divisor(el, low, depth - 1), divisor(el, step, depth - 1))
    op = el.definitions.get(value)
    if op is None or not depth:
        return 1
    match op.name:
        case "constant":
            return abs(int(value.tile.dtype.decode(np.asarray(op.attrs["code"]))[()]))
        case "cast" if op.operands[0].tile.dtype.is_int:
            known = divisor(el, op.operands[0], depth - 1)
            return known if op.operands[0].tile.dtype == value.tile.dtype else known & -known
    parts = [divisor(el, operand, depth - 1) for operand in op.operands]
    match op.name, parts:
        case "mul", [a, b]:
            return a * b
        case (("add" | "sub" | "min" | "max"), [a, b]):
            return gcd(a, b)
        case "neg", [a]:
            return a
        case "select", [_, a, b]:
            return gcd(a, b)
        case "floordiv", [a, b] if b and a % b == 0 and is_constant(el, op.operands[1]):
            return a // b
    return 1


def is_constant(el: Elaborator, value: Value) -> bool:
    op = el.definitions.get(value)
    return op is not None and op.name == "constant"


@dataclass(eq=False)
class Blocked:
    """An access to whole blocks: `where` without its last dimension, and there `blocks` blocks from `first` on."""

    el: Elaborator
    tensor: Tensor
    where: TensorSlice
    first: Value
    blocks: int
    digits: tuple[int, ...]
    span: Span
    statics: Statics
    loaded: dict[str, Value] = field(default_factory=dict)

    @property
    def outer(self) -> tuple[int, ...]:
        """The extents in front of the digits."""
        return (*self.where.shape[:-1], self.blocks)

    def single(self, field: Field) -> Tile:
        return self.spread(self.load(field), (1,) * len(self.digits))

    def element(self, field: Field, index: Tile, span: Span) -> Tile:
        places = self.statics.of(index.value)
        assert places is not None
        places = narrowed(places, len(self.digits))
        return self.spread(self.pick(field, places.reshape(-1).astype(np.int64)), places.shape)

    def spread(self, value: Value, inner: tuple[int, ...]) -> Tile:
        """A tile [..., blocks, elements] or [..., blocks] with the digits as axes."""
        return Tile(self.el.at(self.span)("reshape", value, shape=(*self.outer, *inner)))

    def load(self, field: Field) -> Value:
        """The field in all blocks: [..., blocks] or [..., blocks, count]."""
        if field.name not in self.loaded:
            view = field_view(self.el, self.tensor, field, self.span)
            starts = [*self.where.starts[:-1], self.first]
            sizes = [*self.where.sizes[:-1], self.blocks]
            steps = [*self.where.steps[:-1], 1]
            if field.count is not None:
                starts.append(self.el.index(Const(0), self.span))
                sizes.append(field.count)
                steps.append(1)
            self.loaded[field.name] = self.el.at(self.span)(
                "load",
                view,
                *starts,
                sizes=tuple(sizes),
                steps=tuple(steps),
                fill=0,
                inbounds=(False,) * len(sizes),
            )
        return self.loaded[field.name]

    def pick(self, field: Field, places: Array) -> Value:
        """The elements at constant places of a field."""
        value = self.load(field)
        start, step = int(places[0]), int(places[1] - places[0]) if len(places) > 1 else 1
        if np.array_equal(places, np.arange(field.count or 1)):
            return value
        build = self.el.at(self.span)
        if step >= 1 and np.array_equal(places, start + step * np.arange(len(places))):
            rest = len(self.outer)
            starts, sizes, steps = (0,) * rest, self.outer, (1,) * rest
            return build("slice", value, starts=(*starts, start), sizes=(*sizes, len(places)), steps=(*steps, step))
        table = Table.of(dtype("i32"), places.astype(np.uint32))
        return build("take", value, build("table", table=table), axis=len(self.outer))

    def narrow_line(self, line: Tile) -> Tile:
        """The tile of a line, with the extent 1 along the digits that it does not depend on."""
        array = self.statics.of(line.value)
        if array is None or array.ndim != len(self.digits):
            return line
        shape = narrowed(array, len(self.digits)).shape
        if shape == array.shape:
            return line
        rank = len(shape)
        return Tile(self.el.at(self.span)("slice", line.value, starts=(0,) * rank, sizes=shape, steps=(1,) * rank))


def narrowed(array: Array, rank: int) -> Array:
    """An array of this rank, with the extent 1 along every axis that it does not change along."""
    result = array.reshape((1,) * (rank - array.ndim) + array.shape)
    for axis in range(rank):
        first = result.take([0], axis)
        if (result == first).all():
            result = first
    return result


def load(el: Elaborator, tensor: Tensor, where: TensorSlice, pattern: Pattern, span: Span) -> Tile:
    """The values of a slice of whole blocks. Raises Reject."""
    format, size = tensor.format, where.sizes[-1]
    assert format is not None and size is not None
    build = el.at(span)
    first = build("floordiv", where.starts[-1], el.index(Const(format.block), span))
    index = el.at(span)("reshape", el.build("iota", n=format.block), shape=pattern.digits)
    access = Blocked(el, tensor, where, first, size // format.block, pattern.digits, span, Statics(el))
    value = decoding.format_value(el, format, access, Tile(index), span, access.narrow_line)
    values = Tile(el.at(span).broadcast(value.value, (*access.outer, *pattern.digits)))
    if not pattern.zero:
        values = cut_off(el, access, values)
    return Tile(el.at(span)("reshape", values.value, shape=where.shape))


def cut_off(el: Elaborator, access: Blocked, values: Tile) -> Tile:
    """The values, with 0 for what lies outside of the tensor."""
    where, span = access.where, access.span
    rank, axis = len(values.shape), 0
    mask: Thing = Const(True)
    starts = (*where.starts[:-1], access.first)
    sizes = (*where.sizes[:-1], access.blocks)
    extents = access.tensor.type.shape[:-1]
    for start, size, step, extent in zip(starts, sizes, where.steps, extents, strict=True):
        here, axis = axis, axis + (size is not None)
        known = el.definitions.get(start)
        if isinstance(extent, int) and known is not None and known.name == "constant":
            low = int(start.tile.dtype.decode(np.asarray(known.attrs["code"]))[()])
            if low >= 0 and low + ((size or 1) - 1) * step < extent:
                continue
        places = start if size is None else decoding.places_along(el, start, size, step, span)
        inside = decoding.is_inside(el, places, el.extent(extent, span), span)
        shape = () if size is None else tuple(size if d == here else 1 for d in range(rank))
        inside = el.at(span)("reshape", inside, shape=shape)
        mask = decoding.both(el, mask, Tile(inside), span)
    if isinstance(mask, Tile):
        return decoding.masked(el, values, mask.value, span)
    return values
