"""From a format's fields to its values: `value[i]`, elaborated on tiles of places.

An access says what `i` and the fields are. Before any, `study` elaborates the expression on one block of imagined
fields. That finds its mistakes, and tells which elements of the fields it takes, where that follows from `i` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vmc.ir.builder import argument
from vmc.ir.core import Op, TileType, Value
from vmc.ir.passes.evaluator import ConstantEvaluator, NotConstantError, evaluate
from vmc.ir.span import Span
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.formats import Access, Field, FieldAccess, Format, field_view
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import Const, Tensor, Thing, Tile

Array = np.ndarray[Any, Any]
Adjust = Callable[[Tile], Tile]


def format_value(
    el: Elaborator, format: Format, access: Access, index: Tile, span: Span, adjust: Adjust | None = None
) -> Tile:
    """The format's `value[i]`, with `index` for i. `adjust` may replace the tile of a line. Raises Reject."""
    from vmc.lang.elaborate import expressions

    scope = Scope(format.scope)
    node = format.declaration
    scope.names[node.value.index] = index
    el.calls.append((f"format {format.name}", span))
    try:
        for one in format.fields:
            scope.names[one.name] = access.single(one) if one.count is None else FieldAccess(one, access)
        for line in node.lines:
            thing = expressions.evaluate(el, line.value, scope)
            scope.names[line.name] = adjust(thing) if adjust and isinstance(thing, Tile) else thing
        result = expressions.evaluate(el, node.value.value, scope)
        if not isinstance(result, Tile | Const):
            message = f"the value of a format is a number, and this is {result.describe()}"
            raise Reject("E0804", message, node.value.span)
        return el.tile(result, node.value.span)
    finally:
        el.calls.pop()


class Statics:
    """The arrays of the tiles that follow from constants alone."""

    def __init__(self, el: Elaborator) -> None:
        self.el = el
        self.known: dict[Value, Array | None] = {}

    def of(self, value: Value) -> Array | None:
        """The tile's array; None where it depends on more."""
        if value not in self.known:
            self.known[value] = self.compute(value)
        return self.known[value]

    def compute(self, value: Value) -> Array | None:
        op = self.el.definitions.get(value)
        if op is None or not op.definition.pure or op.definition.reads_memory or op.regions:
            return None
        operands = [self.of(operand) for operand in op.operands]
        arrays = [operand for operand in operands if operand is not None]
        if len(arrays) < len(operands):
            return None
        try:
            return evaluate(op, arrays)[op.results.index(value)]
        except NotConstantError:
            return None


# ---- one block of imagined fields ----


@dataclass(frozen=True, eq=False, slots=True)
class Pattern:
    """How a format's expression uses the elements of a block.

    `indices` are the places that it takes of fields, in the order in which it takes them, for every i: i64[block] each;
    None unless all follow from i alone. `lines` are the values of those lines that do, else None. `zero`: a block of
    zero bits has the values 0.
    """

    indices: tuple[Array, ...] | None
    lines: tuple[Array | None, ...]
    zero: bool


@dataclass(eq=False)
class Imagined:
    """An access to fields whose elements are unknown, one block of them."""

    el: Elaborator
    block: int
    statics: Statics
    fields: list[Value] = field(default_factory=list)
    indices: list[tuple[Value, Span]] = field(default_factory=list)

    def single(self, field: Field) -> Tile:
        value = argument(TileType(field.dtype, (self.block,)), field.name)
        self.fields.append(value)
        return Tile(value)

    def element(self, field: Field, index: Tile, span: Span) -> Tile:
        self.indices.append((index.value, span))
        places = self.statics.of(index.value)
        if places is not None:
            check_places(field, places, span)
        return self.single(field)


def check_places(field: Field, places: Array, span: Span) -> None:
    """Raises Reject where an index leaves the field."""
    count = field.count or 1
    outside = np.flatnonzero((places < 0) | (places >= count))
    if not outside.size:
        return
    i = int(outside[0])
    message = f"`{field.name}` has {count} elements, and element {i} of the block takes number {places.flat[i]}"
    divides = places.size % count == 0 and bool((places == np.arange(places.size).reshape(places.shape)).all())
    help = f"index it with `i % {count}` or `i // {places.size // count}`" if divides else None
    raise Reject("E0803", message, span, help=help)


def study(el: Elaborator, format: Format, span: Span) -> Pattern:
    """What the format's expression does with a block. Raises Reject for its mistakes."""
    block = format.block
    with el.region() as inner:
        statics = Statics(el)
        index = Tile(el.at(span)("iota", n=block))
        imagined = Imagined(el, block, statics)
        lines: list[Array | None] = []
        value = format_value(el, format, imagined, index, span, lambda tile: noted(tile, statics, lines))
    last = (value.value, format.declaration.value.span)
    check_elementwise(inner.ops, {index.value, *imagined.fields}, [*imagined.indices, last])
    arrays = [statics.of(place) for place, _ in imagined.indices]
    known = tuple(np.broadcast_to(array.astype(np.int64), (block,)) for array in arrays if array is not None)
    zero = is_zero(inner.ops, imagined.fields, value.value)
    return Pattern(known if len(known) == len(arrays) else None, tuple(lines), zero)


def noted(tile: Tile, statics: Statics, lines: list[Array | None]) -> Tile:
    """The tile of a line, after its array is noted."""
    lines.append(statics.of(tile.value))
    return tile


def check_elementwise(ops: Sequence[Op], dependent: set[Value], ends: Sequence[tuple[Value, Span]]) -> None:
    """Raises Reject unless element i of the `ends` (indices and the value) is computed from elements i alone.

    `dependent` are the fields and i; joined by what is computed from them.
    """
    uniform: set[Value] = set()
    for op in ops:
        if not op.definition.pure or op.regions:
            raise Reject("E0810", f"`{op.name}` in the value of a format, which is an expression", op.span)
        if dependent.isdisjoint(op.operands):
            scalar = op.name == "constant" or all(not result.tile.shape for result in op.results)
            repeats = op.name == "broadcast" or op.definition.elementwise
            if scalar or (repeats and uniform.issuperset(op.operands)):
                uniform.update(op.results)
            continue
        along = op.definition.elementwise and all(o in dependent or o in uniform for o in op.operands)
        looked_up = op.name == "take" and op.operands[0] not in dependent and op.operands[0].tile.rank == 1
        if not along and not looked_up:
            message = f"`{op.name}` of several elements: the value of each element is computed on its own"
            raise Reject("E0810", message, op.span)
        dependent.update(op.results)
    for value, span in ends:
        if value not in dependent and value not in uniform:
            raise Reject("E0810", f"this is {Tile(value).describe()}, and not one number for each element", span)


def is_zero(ops: Sequence[Op], fields: Sequence[Value], value: Value) -> bool:
    """Whether fields of zero bits give values of zero bits."""
    machine = ConstantEvaluator()
    for one in fields:
        type = one.tile.dtype
        machine.values[one] = type.from_codes(np.zeros(one.tile.shape, type.code_dtype))
    try:
        machine.run(ops)
    except NotConstantError:
        return False
    return not value.tile.dtype.to_codes(machine.values[value]).any()


# ---- scattered places ----


@dataclass(frozen=True, eq=False)
class Scattered:
    """An access at computed places: index tiles of one shape for the leading dimensions, the block, and a mask."""

    el: Elaborator
    tensor: Tensor
    span: Span
    leading: tuple[Value, ...]
    block: Value
    shape: tuple[int, ...]
    mask: tuple[Value, ...]

    def single(self, field: Field) -> Tile:
        return self.read(field, (*self.leading, self.block))

    def element(self, field: Field, index: Tile, span: Span) -> Tile:
        wide = self.el.at(span).broadcast(self.el.build.cast(index.value, "i64"), self.shape)
        return self.read(field, (*self.leading, self.block, wide))

    def read(self, field: Field, places: tuple[Value, ...]) -> Tile:
        view = field_view(self.el, self.tensor, field, self.span)
        return Tile(self.el.at(self.span)("gather", view, *places, *self.mask, fill=None))


def gather(el: Elaborator, tensor: Tensor, indices: Sequence[Value], mask: Sequence[Value], span: Span) -> Tile:
    """The values at computed places; masked-off ones are 0."""
    assert tensor.format is not None
    build = el.at(span)
    last = build.cast(indices[-1], "i64")
    shape = last.tile.shape
    per_block = build.broadcast(el.index(Const(tensor.format.block), span), shape)
    block, inside = build("floordiv", last, per_block), build("mod", last, per_block)
    leading = tuple(build.cast(index, "i64") for index in indices[:-1])
    access = Scattered(el, tensor, span, leading, block, shape, tuple(mask))
    value = format_value(el, tensor.format, access, Tile(build.cast(inside, "i32")), span)
    whole = Tile(el.at(span).broadcast(value.value, shape))
    return masked(el, whole, mask[0], span) if mask else whole


def masked(el: Elaborator, value: Tile, mask: Value, span: Span) -> Tile:
    """The value where the mask is set, else 0."""
    zero = el.at(span).broadcast(el.constant(0, value.dtype, span), value.shape)
    return Tile(el.at(span)("select", el.build.broadcast(mask, value.shape), value.value, zero))


def load_scattered(el: Elaborator, tensor: Tensor, where: Any, span: Span) -> Tile:
    """The values of a slice (an `indexing.TensorSlice`), each gathered at its place."""
    indices: list[Value] = []
    axis = 0
    shape = where.shape
    for start, size, step in zip(where.starts, where.sizes, where.steps, strict=True):
        if size is None:
            indices.append(el.at(span).broadcast(start, shape))
            continue
        line = places_along(el, start, size, step, span)
        column = el.build("reshape", line, shape=tuple(size if d == axis else 1 for d in range(len(shape))))
        indices.append(el.build.broadcast(column, shape))
        axis += 1
    mask: Thing = Const(True)
    for place, dim in enumerate(tensor.dims):
        mask = both(el, mask, Tile(is_inside(el, indices[place], el.extent(dim, span), span)), span)
    return gather(el, tensor, indices, [el.tile(mask, span).value], span)


def places_along(el: Elaborator, start: Value, size: int, step: int, span: Span) -> Value:
    """i64[size]: start, start + step, ..."""
    build = el.at(span)
    line = build.cast(build("iota", n=size), "i64")
    if step != 1:
        line = build("mul", line, build.broadcast(el.index(Const(step), span), (size,)))
    return build("add", line, build.broadcast(start, (size,)))


def is_inside(el: Elaborator, index: Value, extent: Value, span: Span) -> Value:
    """A mask: 0 <= index < extent."""
    build = el.at(span)
    below = build("lt", index, build.broadcast(extent, index.tile.shape))
    above = build("ge", index, build.broadcast(el.index(Const(0), span), index.tile.shape))
    return build("and", below, above)


def both(el: Elaborator, a: Thing, b: Thing, span: Span) -> Thing:
    from vmc.lang.elaborate import operators

    return operators.logical(el, "and", a, b, span)
