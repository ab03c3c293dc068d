"""Slices of whole blocks, or of one of the equal parts of a block: every field is loaded once.

Values are computed on tiles [..., blocks, digits of i]. A field's tile is [..., blocks, count], and what the expression
takes of it is known from `decoding.study`: it is picked as it is, as a slice, or by `take`. Along a digit on which an
index does not depend its tile has the extent 1, so that what is computed from scales is computed once for all elements
that share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import gcd

import numpy as np

from vmc.ir.core import Table, Value
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.lang.elaborate import decoding
from vmc.lang.elaborate.decoding import Array, Pattern
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.formats import Field, Format, field_view
from vmc.lang.elaborate.indexing import TensorSlice
from vmc.lang.elaborate.values import Const, Tensor, Thing, Tile

MAX_DEPTH = 32


# ---- where slices begin ----


def is_aligned(el: Elaborator, format: Format, where: TensorSlice) -> bool:
    """Whether a slice is known to be whole blocks, or one of the parts of its length that a block is made of."""
    size = where.sizes[-1]
    if size is None or where.steps[-1] != 1 or (size % format.block and format.block % size):
        return False
    return divisor(el, where.starts[-1]) % min(size, format.block) == 0


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
            return abs(constant(el, value) or 0)
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
        case "floordiv", [a, b] if b and a % b == 0 and constant(el, op.operands[1]) is not None:
            return a // b
    return 1


def constant(el: Elaborator, value: Value) -> int | None:
    """An integer scalar's number, where it is a constant."""
    op = el.definitions.get(value)
    if op is None or op.name != "constant":
        return None
    return int(value.tile.dtype.decode(np.asarray(op.attrs["code"]))[()])


# ---- arrays of places ----


def digits_of(size: int, indices: Sequence[Array]) -> tuple[int, ...]:
    """Extents, outermost first, whose product is `size`: cuts where indices, [..., size], stop changing, or repeat."""
    cuts = {1, size}
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    for index in indices:
        runs = {n: index.reshape(-1, size // n, n) for n in divisors}
        cuts.add(max(n for n in divisors if (runs[n] == runs[n][..., :1]).all()))
        cuts.add(min(n for n in divisors if (runs[n] == runs[n][:, :1]).all()))
    chain = [1]
    for cut in sorted(cuts):
        if cut > chain[-1] and cut % chain[-1] == 0:
            chain.append(cut)
    return tuple(high // low for low, high in pairwise(chain))[::-1] or (1,)


def narrowed(array: Array) -> Array:
    """An array with the extent 1 along every axis, the first excepted, that it does not change along."""
    for axis in range(1, array.ndim):
        first = array.take([0], axis)
        if (array == first).all():
            array = first
    return array


# ---- the access ----


@dataclass(eq=False)
class Blocked:
    """An access to `blocks` whole blocks from `first` on, or to the part number `part` of the `parts` of one block.

    `where` says the other dimensions. `indices` are the places still to be taken, i64[parts, digits] each.
    """

    el: Elaborator
    tensor: Tensor
    where: TensorSlice
    first: Value
    blocks: int
    part: Value
    parts: int
    digits: tuple[int, ...]
    span: Span
    indices: Iterator[Array]
    lines: Iterator[Array | None]
    loaded: dict[str, Value] = field(default_factory=dict)

    @property
    def outer(self) -> tuple[int, ...]:
        """The extents in front of the digits."""
        return (*self.where.shape[:-1], self.blocks)

    def single(self, field: Field) -> Tile:
        return self.spread(self.load(field), (1,) * len(self.digits))

    def element(self, field: Field, index: Tile, span: Span) -> Tile:
        places = narrowed(next(self.indices).reshape(self.parts, *self.digits))
        return self.spread(self.pick(field, places.reshape(self.parts, -1)), places.shape[1:])

    def spread(self, value: Value, inner: tuple[int, ...]) -> Tile:
        """A tile [..., blocks, elements] or [..., blocks] with the digits as axes."""
        return Tile(self.el.at(self.span)("reshape", value, shape=(*self.outer, *inner)))

    def load(self, field: Field) -> Value:
        """The field in all blocks: [..., blocks] or [..., blocks, count]."""
        if field.name not in self.loaded:
            own = () if field.count is None else ((self.el.index(Const(0), self.span), field.count),)
            self.loaded[field.name] = self.load_view(field_view(self.el, self.tensor, field, self.span), own)
        return self.loaded[field.name]

    def load_view(self, view: Value, own: Sequence[tuple[Value, int | None]]) -> Value:
        """Of a view of a field what lies in the blocks; `own` are start and size of the dimensions after them."""
        starts = (*self.where.starts[:-1], self.first, *(start for start, _ in own))
        sizes = (*self.where.sizes[:-1], self.blocks, *(size for _, size in own))
        steps = (*self.where.steps[:-1], *(1,) * (1 + len(own)))
        inbounds = (False,) * len(sizes)
        return self.el.at(self.span)("load", view, *starts, sizes=sizes, steps=steps, fill=0, inbounds=inbounds)

    def pick(self, field: Field, places: Array) -> Value:
        """Elements of a field: in part p of the block those at places[p], i64[parts, elements]."""
        count, width = field.count or 1, places.shape[1]
        if (places == places[0]).all():
            return self.pick_constant(field, places[0])
        if np.array_equal(places.reshape(-1), np.arange(count)):
            view = field_view(self.el, self.tensor, field, self.span, self.parts)
            return self.load_view(view, ((self.part, None), (self.el.index(Const(0), self.span), width)))
        build = self.el.at(self.span)
        row = build("reshape", self.part, shape=(1,))
        chosen = build("reshape", build("take", self.table(places), row, axis=0), shape=(width,))
        return self.el.at(self.span)("take", self.load(field), chosen, axis=len(self.outer))

    def pick_constant(self, field: Field, places: Array) -> Value:
        """The elements at constant places of a field."""
        value, count = self.load(field), len(places)
        start, step = int(places[0]), int(places[1] - places[0]) if count > 1 else 1
        if np.array_equal(places, np.arange(field.count or 1)):
            return value
        build, rest = self.el.at(self.span), len(self.outer)
        if step >= 1 and np.array_equal(places, start + step * np.arange(count)):
            starts, sizes, steps = (*(0,) * rest, start), (*self.outer, count), (*(1,) * rest, step)
            return build("slice", value, starts=starts, sizes=sizes, steps=steps)
        return build("take", value, self.table(places), axis=rest)

    def table(self, places: Array) -> Value:
        return self.el.at(self.span)("table", table=Table.of(dtype("i32"), places.astype(np.uint32)))

    def index(self) -> Tile:
        """i, at every digit."""
        size = int(np.prod(self.digits))
        build = self.el.at(self.span)
        line = build("iota", n=size)
        if self.parts > 1:
            offset = build("mul", self.part, self.el.index(Const(size), self.span))
            line = build("add", line, build.broadcast(build.cast(offset, "i32"), (size,)))
        return Tile(build("reshape", line, shape=self.digits))

    def narrow_line(self, line: Tile) -> Tile:
        """The tile of a line, with the extent 1 along the digits that it does not depend on."""
        array = next(self.lines)
        if array is None or line.shape != self.digits:
            return line
        shape = narrowed(array.reshape(self.parts, *self.digits)).shape[1:]
        if shape == line.shape:
            return line
        rank = len(shape)
        return Tile(self.el.at(self.span)("slice", line.value, starts=(0,) * rank, sizes=shape, steps=(1,) * rank))


def load(el: Elaborator, tensor: Tensor, where: TensorSlice, pattern: Pattern, span: Span) -> Tile:
    """The values of an aligned slice. Raises Reject."""
    format = tensor.format
    assert format is not None
    access = access_to(el, tensor, format, where, pattern, span)
    value = decoding.format_value(el, format, access, access.index(), span, access.narrow_line)
    values = Tile(el.at(span).broadcast(value.value, (*access.outer, *access.digits)))
    if not pattern.zero:
        values = cut_off(el, access, values)
    return Tile(el.at(span)("reshape", values.value, shape=where.shape))


def access_to(
    el: Elaborator, tensor: Tensor, format: Format, where: TensorSlice, pattern: Pattern, span: Span
) -> Blocked:
    size = where.sizes[-1]
    assert size is not None and pattern.indices is not None
    part_size = min(size, format.block)
    parts, start = format.block // part_size, where.starts[-1]
    build = el.at(span)
    first = build("floordiv", start, el.index(Const(format.block), span))
    number = build("floordiv", start, el.index(Const(part_size), span))
    part = build("mod", number, el.index(Const(parts), span))
    digits = digits_of(part_size, pattern.indices)
    blocks = size // part_size
    indices, lines = iter(pattern.indices), iter(pattern.lines)
    return Blocked(el, tensor, where, first, blocks, part, parts, digits, span, indices, lines)


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
        low = constant(el, start)
        if isinstance(extent, int) and low is not None and 0 <= low < extent - ((size or 1) - 1) * step:
            continue
        places = start if size is None else decoding.places_along(el, start, size, step, span)
        inside = decoding.is_inside(el, places, el.extent(extent, span), span)
        if size is not None:
            shape = tuple(size if d == here else 1 for d in range(rank))
            inside = el.at(span)("reshape", inside, shape=shape)
        mask = decoding.both(el, mask, Tile(inside), span)
    if isinstance(mask, Tile):
        return decoding.masked(el, values, mask.value, span)
    return values
