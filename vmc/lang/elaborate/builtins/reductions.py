"""Reductions, scans and order along one axis. `min` and `max` of two values are elementwise."""

from __future__ import annotations

from collections.abc import Callable

from vmc.ir.core import Value
from vmc.lang.elaborate import operators
from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.builtins import elementwise
from vmc.lang.elaborate.builtins.definition import Builtin
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.typing import U1, arithmetic_type
from vmc.lang.elaborate.values import Const, Thing, Tile, TupleRef

Call = Callable[[Elaborator, Arguments], Thing]


def promoted(el: Elaborator, args: Arguments) -> Value:
    """The operand in the type that arithmetic on it is done in."""
    operand = args.tile("x")
    return el.as_type(operand, arithmetic_type(operand.dtype), args.span("x"))


def ranked(value: Value, args: Arguments) -> Value:
    """The value, if it has an axis to work along. Raises Reject."""
    if value.tile.rank == 0:
        raise Reject("E0314", f"`{args.callee}` works along an axis, and this is a scalar", args.span("x"))
    return value


def reduce(kind: str) -> Call:
    def call(el: Elaborator, args: Arguments) -> Thing:
        value = ranked(promoted(el, args), args)
        return along(el, args, value, lambda v, axis: el.at(args.call_span)("reduce", v, kind=kind, axis=axis))

    return call


def extreme(kind: str) -> Call:
    """`min(a, b)` elementwise, `min(x, axis=)` along an axis in the operand's own type."""

    def call(el: Elaborator, args: Arguments) -> Thing:
        if args.given("y"):
            return elementwise.pairwise(kind, el, args)
        operand = args.tile("x")
        kept = operand.dtype if operand.dtype.is_int else arithmetic_type(operand.dtype)
        value = ranked(el.as_type(operand, kept, args.span("x")), args)
        return along(el, args, value, lambda v, axis: el.at(args.call_span)("reduce", v, kind=kind, axis=axis))

    return call


def truth(kind: str) -> Call:
    """`any` and `all` of u1."""

    def call(el: Elaborator, args: Arguments) -> Thing:
        operand = operators.boolean(el, args.thing("x"), args.span("x"))
        if isinstance(operand, Const):
            return operand
        value = ranked(operand.value, args)
        return along(el, args, value, lambda v, axis: el.at(args.call_span)("reduce", v, kind=kind, axis=axis))

    return call


def along(el: Elaborator, args: Arguments, value: Value, step: Callable[[Value, int], Value]) -> Tile:
    """Applies a reduction to the given axis, or to every axis where none is given."""
    before = value.tile.shape
    axes = [args.axis("axis", value.tile.rank)] if args.given("axis") else list(range(value.tile.rank))
    for axis in reversed(axes):
        value = step(value, axis)
    if args.flag("keepdims"):
        kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(before))
        value = el.at(args.call_span)("reshape", value, shape=kept)
    return Tile(value)


def position(kind: str) -> Call:
    def call(el: Elaborator, args: Arguments) -> Thing:
        value = ranked(promoted(el, args), args)
        if value.tile.rank > 1 and not args.given("axis"):
            raise Reject("E0320", f"`{args.callee}` needs `axis=`", args.call_span)
        axis = args.axis("axis", value.tile.rank, 0)
        result = el.at(args.call_span)("arg", value, kind=kind, axis=axis)
        if args.flag("keepdims"):
            kept = tuple(1 if d == axis else extent for d, extent in enumerate(value.tile.shape))
            result = el.build("reshape", result, shape=kept)
        return Tile(result)

    return call


def scan(kind: str) -> Call:
    def call(el: Elaborator, args: Arguments) -> Thing:
        value = ranked(promoted(el, args), args)
        axis = args.axis("axis", value.tile.rank, 0 if value.tile.rank == 1 else None)
        exclusive, reverse = args.flag("exclusive"), args.flag("reverse")
        return Tile(el.at(args.call_span)("scan", value, kind=kind, axis=axis, exclusive=exclusive, reverse=reverse))

    return call


def sorted_pair(el: Elaborator, args: Arguments, descending: bool) -> tuple[Value, Value, int]:
    """Values in order, the places they came from, and the axis."""
    operand = args.tile("x")
    kept = operand.dtype if operand.dtype.is_int and operand.dtype != U1 else arithmetic_type(operand.dtype)
    value = ranked(el.as_type(operand, kept, args.span("x")), args)
    axis = args.axis("axis", value.tile.rank, 0 if value.tile.rank == 1 else None)
    values, places = el.at(args.call_span).many("sort", value, axis=axis, descending=descending)
    return values, places, axis


def sort(el: Elaborator, args: Arguments) -> Thing:
    values, places, _ = sorted_pair(el, args, args.flag("descending"))
    return TupleRef((Tile(values), Tile(places)))


def topk(el: Elaborator, args: Arguments) -> Thing:
    values, places, axis = sorted_pair(el, args, not args.flag("smallest"))
    k = args.integer("k")
    if not 1 <= k <= values.tile.shape[axis]:
        raise Reject("E0315", f"`topk` asks for {k} of {values.tile.shape[axis]} elements", args.span("k"))
    sizes = tuple(k if d == axis else extent for d, extent in enumerate(values.tile.shape))
    attrs = {"starts": (0,) * len(sizes), "sizes": sizes, "steps": (1,) * len(sizes)}
    return TupleRef(tuple(Tile(el.at(args.call_span)("slice", part, **attrs)) for part in (values, places)))


def nonzero(el: Elaborator, args: Arguments) -> Thing:
    mask = operators.boolean(el, args.thing("x"), args.span("x"))
    rank = 0 if isinstance(mask, Const) else mask.value.tile.rank
    if isinstance(mask, Const) or rank != 1:
        raise Reject("E0314", f"`nonzero` takes a tile of one axis, and this has {rank}", args.span("x"))
    return TupleRef(tuple(map(Tile, el.at(args.call_span).many("nonzero", mask.value))))


SCAN = ("x", "axis?", "exclusive?", "reverse?")

BUILTINS = (
    Builtin("sum", ("x", "axis?", "keepdims?"), reduce("sum"), "the sum along an axis, or of all elements"),
    Builtin("prod", ("x", "axis?", "keepdims?"), reduce("prod"), "the product along an axis, or of all elements"),
    Builtin("min", ("x", "y?", "axis?", "keepdims?"), extreme("min"), "elementwise of two, or along an axis of one"),
    Builtin("max", ("x", "y?", "axis?", "keepdims?"), extreme("max"), "elementwise of two, or along an axis of one"),
    Builtin("any", ("x", "axis?", "keepdims?"), truth("or"), "whether any element holds"),
    Builtin("all", ("x", "axis?", "keepdims?"), truth("and"), "whether all elements hold"),
    Builtin("argmin", ("x", "axis?", "keepdims?"), position("min"), "where the least element first is, i32"),
    Builtin("argmax", ("x", "axis?", "keepdims?"), position("max"), "where the greatest element first is, i32"),
    Builtin("cumsum", SCAN, scan("sum"), "running sums"),
    Builtin("cumprod", SCAN, scan("prod"), "running products"),
    Builtin("cummin", SCAN, scan("min"), "running minima"),
    Builtin("cummax", SCAN, scan("max"), "running maxima"),
    Builtin("nonzero", ("x",), nonzero, "the places of the elements that hold, in order and then 0, and how many: i32"),
    Builtin("sort", ("x", "axis?", "descending?"), sort, "values in order, and the places they came from (i32)"),
    Builtin("topk", ("x", "k", "axis?", "smallest?"), topk, "the k greatest values, and their places (i32)"),
)
