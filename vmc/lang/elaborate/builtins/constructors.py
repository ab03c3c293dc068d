"""Tiles from nothing: constants, ranges, tables."""

from __future__ import annotations

import numpy as np

from vmc.ir.core import Table
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.builtins.definition import Builtin
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.typing import holds
from vmc.lang.elaborate.values import Const, ListRef, Thing, Tile


def filled(el: Elaborator, args: Arguments, value: float) -> Thing:
    type = el.shaped(args.thing("type"), args.span("type"))
    scalar = el.constant(value, type.dtype, args.call_span)
    return Tile(el.at(args.call_span).broadcast(scalar, type.shape))


def full(el: Elaborator, args: Arguments) -> Thing:
    type = el.shaped(args.thing("type"), args.span("type"))
    value = args.numeric("value")
    if isinstance(value, Tile) and (value.shape != () or value.dtype != type.dtype):
        raise Reject("E0223", f"expected a scalar of {type.dtype.name}, found {value.describe()}", args.span("value"))
    scalar = el.as_type(value, type.dtype, args.span("value"))
    return Tile(el.at(args.call_span).broadcast(scalar, type.shape))


def arange(el: Elaborator, args: Arguments) -> Thing:
    low = args.integer("first") if args.given("end") else 0
    high = args.integer("end") if args.given("end") else args.integer("first")
    el.check_shape((high - low,), args.call_span)
    line = el.at(args.call_span)("iota", n=high - low)
    if low:
        line = el.build(
            "add", line, el.build.broadcast(el.constant(low, line.tile.dtype, args.call_span), (high - low,))
        )
    return Tile(line)


def table(el: Elaborator, args: Arguments) -> Thing:
    type = el.shaped(args.thing("type"), args.span("type"))
    contents = table_of(el, type.dtype, type.shape, args.thing("values"), args.span("values"))
    return Tile(el.at(args.call_span)("table", table=contents))


def table_of(el: Elaborator, type: DType, shape: tuple[int, ...], values: Thing, span: Span) -> Table:
    """A constant tile from nested lists of compile-time numbers. Raises Reject."""
    numbers = numbers_of(el, type, shape, values, span)
    if type.is_int:
        codes = np.array([int(n) & ((1 << type.width) - 1) for n in numbers], np.uint64)
    else:
        codes = np.asarray(type.encode(np.array(numbers, np.float64)))
    return Table.of(type, codes.astype(type.code_dtype).reshape(shape))


def numbers_of(el: Elaborator, type: DType, shape: tuple[int, ...], thing: Thing, span: Span) -> list[int | float]:
    """The numbers of nested lists in row-major order. Raises Reject where they do not have the shape."""
    if not shape:
        if not isinstance(thing, Const):
            raise el.unexpected(
                thing, "a compile-time number", span, code="E0310" if isinstance(thing, ListRef) else "E0217"
            )
        if not holds(type, thing.value):
            raise Reject("E0204", f"the number {thing.value} is out of range for {type.name}", span)
        return [thing.value]
    if not isinstance(thing, ListRef) or len(thing.items) != shape[0]:
        found = f"a list of {len(thing.items)}" if isinstance(thing, ListRef) else thing.describe()
        raise Reject("E0310", f"expected a list of {shape[0]} for the shape {list(shape)}, found {found}", span)
    return [number for item in thing.items for number in numbers_of(el, type, shape[1:], item, span)]


BUILTINS = (
    Builtin("zeros", ("type",), lambda el, args: filled(el, args, 0), "a tile of zeros: `zeros(f32[64, 64])`"),
    Builtin("ones", ("type",), lambda el, args: filled(el, args, 1), "a tile of ones"),
    Builtin("full", ("type", "value"), full, "a tile of one value"),
    Builtin("arange", ("first", "end?"), arange, "i32: 0 up to `first`, or `first` up to `end`"),
    Builtin("table", ("type", "values"), table, "a tile of compile-time numbers: `table(f32[2], [1, 2])`"),
)
