"""Expressions: from syntax to `Thing`s, emitting operations for whatever is computed at run time."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.ir.core import TileType
from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.elaborate import formats, operators
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import AlreadyReported, Reject
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import (
    Const,
    FormatRef,
    ListRef,
    ModuleRef,
    Poison,
    ShapedRef,
    TableRef,
    Tensor,
    TextRef,
    Thing,
    Tile,
    TypeRef,
)


def evaluate(el: Elaborator, expr: syntax.Expr, scope: Scope) -> Thing:
    """What an expression stands for. Raises Reject at a mistake."""
    match expr:
        case syntax.Int(value) | syntax.Float(value) | syntax.Bool(value):
            return Const(value)
        case syntax.Str(value):
            return TextRef(value)
        case syntax.Name(name):
            return lookup(el, name, scope, expr.span)
        case syntax.Attribute():
            return attribute(el, expr, scope)
        case syntax.Unary(op, operand):
            return operators.unary(el, op, evaluate(el, operand, scope), expr.span)
        case syntax.Binary(op, left, right):
            first, second = evaluate_all(el, (left, right), scope)
            return operators.binary(el, op, first, second, expr.span)
        case syntax.Compare(op, left, right):
            first, second = evaluate_all(el, (left, right), scope)
            return operators.compare(el, op, first, second, expr.span)
        case syntax.BoolOp(op, left, right):
            return boolean_operation(el, op, left, right, scope, expr.span)
        case syntax.Not(operand):
            return operators.negate(el, evaluate(el, operand, scope), expr.span)
        case syntax.Conditional():
            return conditional(el, expr, scope)
        case syntax.Call():
            from vmc.lang.elaborate.calls import call

            return call(el, expr, scope)
        case syntax.Index():
            return index(el, expr, scope)
        case syntax.ListExpr(items):
            return ListRef(tuple(evaluate_all(el, items, scope)))
        case syntax.ScopedAlloc():
            from vmc.lang.elaborate.calls import scoped_alloc

            return scoped_alloc(el, expr, scope)
    raise AssertionError(f"no such expression: {expr!r}")


def evaluate_all(el: Elaborator, exprs: Sequence[syntax.Expr], scope: Scope) -> list[Thing]:
    """What several expressions stand for. The mistakes of all are reported. Raises Reject or AlreadyReported."""
    things: list[Thing] = []
    failures: list[Reject] = []
    spoiled = False
    for expr in exprs:
        try:
            things.append(evaluate(el, expr, scope))
        except Reject as reject:
            failures.append(reject)
        except AlreadyReported:
            spoiled = True
    for failure in failures[: None if spoiled else -1]:
        el.report(failure.diagnostic)
    if spoiled:
        raise AlreadyReported
    if failures:
        raise failures[-1]
    return things


def lookup(el: Elaborator, name: str, scope: Scope, span: Span) -> Thing:
    """What a name stands for. Raises Reject for an unknown or unusable one."""
    thing = scope.find(name)
    if thing is None:
        raise el.unknown_name(name, scope, span)
    match thing:
        case Poison():
            raise el.unexpected(thing, "a value", span)
        case TableRef(table):
            return Tile(el.at(span)("table", table=table))
    return thing


def attribute(el: Elaborator, expr: syntax.Attribute, scope: Scope) -> Thing:
    """`module.name`, or `tile.T`. Raises Reject."""
    base = evaluate(el, expr.base, scope)
    if isinstance(base, ModuleRef):
        found = base.scope.names.get(expr.name)
        if found is None:
            raise el.unknown_name(expr.name, base.scope, expr.name_span, "E0105", f"name in module {base.name}:")
        return lookup(el, expr.name, base.scope, expr.name_span)
    if expr.name == "T" and isinstance(base, Tile):
        if base.type.rank != 2:
            raise Reject(
                "E0314",
                f"`.T` transposes rank 2, and this is {base.describe()}",
                expr.span,
                help="use `transpose(x, ...)` with the order of the axes",
            )
        return Tile(el.at(expr.span)("transpose", base.value, permutation=(1, 0)))
    raise Reject(
        "E0109",
        f"{base.describe()} has no attribute `{expr.name}`",
        expr.name_span,
        help=attribute_help(expr.name),
    )


def attribute_help(name: str) -> str:
    """What to write instead of an attribute."""
    from vmc.lang.elaborate.builtins import BUILTINS

    if name in BUILTINS:
        return f"write `{name}(x, ...)`"
    if name in ("shape", "size"):
        return "an extent is `dim(x, axis)`"
    return "convert with a type: `f32(x)`" if name in ("astype", "to", "dtype") else "tiles have `.T`"


def boolean_operation(
    el: Elaborator, op: str, left: syntax.Expr, right: syntax.Expr, scope: Scope, span: Span
) -> Thing:
    """`and`/`or`; a compile-time left side that decides keeps the right side from being elaborated."""
    first = evaluate(el, left, scope)
    if isinstance(first, Const) and isinstance(first.value, bool) and first.value == (op == "or"):
        return first
    return operators.logical(el, op, first, evaluate(el, right, scope), span)


def conditional(el: Elaborator, expr: syntax.Conditional, scope: Scope) -> Thing:
    """`a if c else b`: a compile-time condition elaborates one side only."""
    condition = evaluate(el, expr.condition, scope)
    if isinstance(condition, Const) and isinstance(condition.value, bool):
        return evaluate(el, expr.if_true if condition.value else expr.if_false, scope)
    chosen, other = evaluate_all(el, (expr.if_true, expr.if_false), scope)
    return operators.select(el, condition, chosen, other, expr.span)


def index(el: Elaborator, expr: syntax.Index, scope: Scope) -> Thing:
    """`x[...]`: a load from a tensor, a slice of a tile, or a type with extents. Raises Reject."""
    from vmc.lang.elaborate import indexing

    base = evaluate(el, expr.base, scope)
    match base:
        case Tensor():
            return indexing.load(el, base, expr, scope)
        case Tile():
            return indexing.index_tile(el, base, expr, scope)
        case formats.FieldAccess():
            return field_index(el, base, expr, scope)
        case FormatRef():
            raise Reject("E0807", f"{base.describe()} has values of a type; name that type", expr.base.span)
        case TypeRef(dtype):
            return ShapedRef(TileType(dtype, tile_extents(el, expr.items, scope)))
    raise Reject("E0115", f"{base.describe()} cannot be indexed", expr.base.span)


def field_index(el: Elaborator, base: formats.FieldAccess, expr: syntax.Index, scope: Scope) -> Thing:
    """`q[i]` inside a format's value. Raises Reject."""
    (item, *more) = expr.items
    if more or isinstance(item, syntax.Slice | syntax.NewAxis):
        raise Reject("E0303", f"the field `{base.field.name}` takes one index", expr.span)
    return formats.index_field(el, base, evaluate(el, item, scope), item.span)


def tile_extents(el: Elaborator, items: tuple[syntax.IndexItem, ...], scope: Scope) -> tuple[int, ...]:
    """Compile-time extents between brackets. Raises Reject."""
    extents = []
    for item in items:
        if isinstance(item, syntax.Slice | syntax.NewAxis):
            raise Reject("E0304", "expected a compile-time extent", item.span)
        extents.append(el.integer(evaluate(el, item, scope), item.span, "a compile-time extent", "E0304"))
    return el.check_shape(extents, items[0].span.to(items[-1].span))
