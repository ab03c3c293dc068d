"""Functions that move elements, change shapes, or read bits anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.diagnostics import Note
from vmc.ir.core import IRError
from vmc.ir.layout import BIT, Layout, view_compatible
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.builtins.definition import Builtin
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.layouts import check_layout, evaluate_layout
from vmc.lang.elaborate.values import Thing, Tile, TypeRef


def transpose(el: Elaborator, args: Arguments) -> Thing:
    tile = args.tile("x")
    order = [el.integer(evaluate(el, expr, args.scope), expr.span) for expr in args.rest]
    order = order or list(reversed(range(tile.type.rank)))
    if sorted(order) != list(range(tile.type.rank)):
        raise Reject("E0309", f"{order} does not permute the axes of {tile.describe()}", args.call_span)
    return Tile(el.at(args.call_span)("transpose", tile.value, permutation=tuple(order)))


def reshape(el: Elaborator, args: Arguments) -> Thing:
    tile, shape = args.tile("x"), args.shape("shape")
    size = 1
    for extent in shape:
        size *= extent
    if size != tile.type.size:
        raise Reject(
            "E0306", f"{tile.describe()} has {tile.type.size} elements, and {list(shape)} has {size}", args.call_span
        )
    return Tile(el.at(args.call_span)("reshape", tile.value, shape=shape))


def broadcast(el: Elaborator, args: Arguments) -> Thing:
    tile, shape = args.tile("x"), args.shape("shape")
    try:
        return Tile(el.at(args.call_span).broadcast(tile.value, shape))
    except IRError as error:
        raise Reject("E0301", error.message, args.call_span) from None


def concat(el: Elaborator, args: Arguments) -> Thing:
    tiles = args.rest_tiles()
    if not tiles:
        raise Reject("E0112", "`concat` needs tiles to join", args.call_span)
    rank = tiles[0].type.rank
    axis = args.axis("axis", rank, 0 if rank == 1 else None)
    for tile in tiles:
        own, first = list(tile.shape), list(tiles[0].shape)
        if tile.dtype != tiles[0].dtype:
            raise Reject("E0222", f"`concat` of {tiles[0].dtype.name} and {tile.dtype.name}", args.call_span)
        if len(own) != rank or rank == 0 or own[:axis] + own[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise Reject("E0311", f"`concat` along axis {axis} of the shapes {first} and {own}", args.call_span)
    return Tile(el.at(args.call_span)("concat", *(tile.value for tile in tiles), axis=axis))


def flip(el: Elaborator, args: Arguments) -> Thing:
    tile = args.tile("x")
    axis = args.axis("axis", tile.type.rank, 0 if tile.type.rank == 1 else None)
    return Tile(el.at(args.call_span)("flip", tile.value, axis=axis))


def take(el: Elaborator, args: Arguments) -> Thing:
    tile, index = args.tile("x"), args.tile("index")
    if not index.dtype.is_int:
        raise Reject("E0221", f"`take` needs integer indices, and these are {index.describe()}", args.span("index"))
    axis = args.axis("axis", tile.type.rank, 0)
    wide = el.at(args.call_span).cast(
        index.value, "i64" if index.dtype.width >= 32 and index.dtype.name != "i32" else "i32"
    )
    return Tile(el.build("take", tile.value, wide, axis=axis))


def bitcast(el: Elaborator, args: Arguments) -> Thing:
    tile, type = args.tile("x"), args.thing("type")
    if not isinstance(type, TypeRef):
        raise el.unexpected(type, "a numeric type", args.span("type"), code="E0116")
    if type.dtype.width != tile.dtype.width:
        raise Reject(
            "E0215",
            f"`bitcast` from {tile.dtype.name} to {type.dtype.name} changes the width from {tile.dtype.width} to "
            f"{type.dtype.width} bits",
            args.call_span,
            help="`view` re-reads the bits of a whole row",
        )
    return Tile(el.at(args.call_span)("bitcast", tile.value, dtype=type.dtype))


def view(el: Elaborator, args: Arguments) -> Thing:
    """The bits of the last axis as another type, or, with layouts, the bits of every lane."""
    tile, type = args.tile("x"), args.thing("type")
    if not isinstance(type, TypeRef):
        raise el.unexpected(type, "a numeric type", args.span("type"), code="E0116")
    if tile.type.rank == 0:
        raise Reject("E0314", "`view` works along the last axis, and this is a scalar", args.call_span)
    bits = tile.shape[-1] * tile.dtype.width
    if bits % type.dtype.width:
        raise Reject(
            "E0401",
            f"a row of {tile.shape[-1]} {tile.dtype.name} has {bits} bits, no whole number of {type.dtype.name}",
            args.call_span,
        )
    shape = (*tile.shape[:-1], bits // type.dtype.width)
    if args.given("shape"):
        shape = args.shape("shape")
    layout = None
    if args.given("layout"):
        layout = check_layout(
            evaluate_layout(el, args.expr("layout"), args.scope), shape, type.dtype, args.span("layout")
        )
    check_view(el, tile, type.dtype.width, layout, args)
    build = el.at(args.call_span)
    return Tile(build("view", tile.value, dtype=type.dtype, shape=shape, layout=layout))


def check_view(el: Elaborator, tile: Tile, width: int, layout: Layout | None, args: Arguments) -> None:
    """Raises Reject for a view that would move bits between lanes, with a bit that would, and where the tile's layout
    comes from.
    """
    before = tile.type.layout
    mismatch, example = "", ""
    help = "`layout=` names the layout to read the bits in"
    if layout is None:
        example = "" if before is None else torn(before, tile.type.shape, width)
        mismatch = "the tile is spread over lanes, and this view would move bits between them" if example else ""
    elif before is None:
        mismatch = "the tile has no layout: pin one with an annotation or `relayout`"
    elif found := view_compatible(before, layout):
        mismatch, example = f"the layouts do not hold the same bits: {found}", found.example
        help = "`relayout` moves them, at its cost"
    if mismatch:
        notes = [Note(pinned, "the tile's layout comes from here")] if (pinned := origin(el, tile)) else []
        notes += [Note(None, f"for example, {example}")] if example else []
        raise Reject("E0402", mismatch, args.call_span, help=help, notes=notes)


def origin(el: Elaborator, tile: Tile) -> Span | None:
    """Where a tile of the block that is being built was given its layout; None where that was elsewhere."""
    return next((op.span for op in el.build.ops if op.name == "relayout" and tile.value in op.results), None)


def torn(layout: Layout, shape: Sequence[int], width: int) -> str:
    """In words, a run of `width` bits of a row that does not lie side by side in one lane; "" where all do."""
    each = max(1, layout.element_bits)
    for axis, places in sorted(layout.apply_all().items(), key=lambda each: each[0] == BIT):
        runs = places.reshape(-1, width)
        wrong = runs - runs[:, :1] != (np.arange(width) if axis == BIT else 0)
        if wrong.any():
            run, bit = (int(place[0]) for place in np.nonzero(wrong))
            first, other = (
                ", ".join(map(str, map(int, np.unravel_index((run * width + at) // each, shape)))) for at in (0, bit)
            )
            there, here = runs[run, bit], runs[run, 0]
            return f"one element would be made of [{first}], at {axis} {here}, and [{other}], at {axis} {there}"
    return ""


def relayout(el: Elaborator, args: Arguments) -> Thing:
    tile = args.tile("x")
    layout = evaluate_layout(el, args.expr("layout"), args.scope)
    layout = check_layout(layout, tile.shape, tile.dtype, args.span("layout"))
    return Tile(el.at(args.call_span)("relayout", tile.value, layout=layout))


def dot(el: Elaborator, args: Arguments) -> Thing:
    from vmc.lang.elaborate import operators

    acc = args.optional_tile("acc")
    a, b = args.numeric("a"), args.numeric("b")
    return operators.matmul(el, a, b, args.call_span, acc.value if acc else None)


def cdiv(el: Elaborator, args: Arguments) -> Thing:
    """(a + b - 1) // b without overflow: -((-a) // b)."""
    from vmc.lang.elaborate import operators
    from vmc.lang.elaborate.values import Const

    a, b = args.numeric("a"), args.numeric("b")
    if isinstance(a, Const) and isinstance(b, Const):
        return operators.unary(el, "-", operators.fold("//", Const(-a.value), b, args.call_span), args.call_span)
    type = operators.operand_type(el, "//", a, b, args.call_span)
    if type.is_float:
        raise Reject("E0216", "`cdiv` is defined on integers", args.call_span)
    if type.is_uint:
        quotient = operators.binary(el, "//", a, b, args.call_span)
        left_over = operators.compare(
            el, "!=", operators.binary(el, "%", a, b, args.call_span), Const(0), args.call_span
        )
        one = el.at(args.call_span).cast(el.tile(left_over, args.call_span).value, dtype(type.name))
        return operators.binary(el, "+", quotient, Tile(one), args.call_span)
    negated = operators.unary(el, "-", a, args.call_span)
    return operators.unary(el, "-", operators.binary(el, "//", negated, b, args.call_span), args.call_span)


BUILTINS = (
    Builtin("transpose", ("x", "*axes"), transpose, "axes in another order; reversed where none is given"),
    Builtin("reshape", ("x", "shape"), reshape, "the same elements, row-major, in another shape: `reshape(x, [4, 8])`"),
    Builtin("broadcast", ("x", "shape"), broadcast, "repeated to a shape"),
    Builtin("concat", ("*tiles", "axis?"), concat, "tiles joined along an axis"),
    Builtin("flip", ("x", "axis?"), flip, "an axis reversed"),
    Builtin("take", ("x", "index", "axis?"), take, "elements of a tile at computed places of one axis"),
    Builtin("bitcast", ("x", "type"), bitcast, "the same bits as another type of the same width"),
    Builtin(
        "view", ("x", "type", "shape?", "layout?"), view, "the bits of the last axis, or of every lane, as another type"
    ),
    Builtin("relayout", ("x", "layout"), relayout, "the same tile, held in a layout"),
    Builtin("dot", ("a", "b", "acc?"), dot, "a @ b, added to acc"),
)
