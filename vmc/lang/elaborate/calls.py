"""Calls: casts by type names, user functions (elaborated in place at every call), and functions of the language."""

from __future__ import annotations

import typing

import numpy as np

from vmc.diagnostics import Note
from vmc.ir.core import Access, Space, TensorType, TileType, Value
from vmc.ir.ops.convert import ROUNDINGS
from vmc.ir.span import Span
from vmc.ir.types import DType, Rounding
from vmc.lang import syntax
from vmc.lang.elaborate.arguments import Arguments, bind
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate, evaluate_all
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.statics import check_kind
from vmc.lang.elaborate.types import numeric_type
from vmc.lang.elaborate.values import (
    BuiltinRef,
    Const,
    FunctionRef,
    KernelRef,
    Nothing,
    Poison,
    Tensor,
    Thing,
    Tile,
    TupleRef,
    TypeRef,
)

MAX_CALL_DEPTH = 64
CAST_PARAMETERS = ("x", "round?", "saturate?", "bits?")


def call(el: Elaborator, node: syntax.Call, scope: Scope) -> Thing:
    """The value of a call. Raises Reject."""
    if isinstance(node.func, syntax.Name) and scope.find(node.func.id) is None:
        raise el.unknown_name(node.func.id, scope, node.func.span, "E0102", "function")
    target = evaluate(el, node.func, scope)
    if not isinstance(target, FunctionRef) and (node.static or node.static_keywords):
        raise Reject("E0039", f"{target.describe()} takes no compile-time arguments", node.func.span)
    match target:
        case TypeRef(dtype):
            return cast(el, dtype, bind(el, dtype.name, CAST_PARAMETERS, node, scope), node.span)
        case FunctionRef():
            return call_function(el, target, node, scope)
        case BuiltinRef(builtin):
            return builtin.call(el, bind(el, builtin.name, builtin.parameters, node, scope))
    if isinstance(target, KernelRef):
        raise Reject("E0708", f"{target.describe()} cannot be called from the language", node.func.span)
    raise Reject("E0114", f"{target.describe()} cannot be called", node.func.span)


def cast(el: Elaborator, type: DType, args: Arguments, span: Span) -> Tile:
    """`f16(x)`, `u4(x, round=nearest_even, saturate=true)`. Raises Reject."""
    rounding = args.optional_word("round", ROUNDINGS, "E0213")
    saturate = args.optional_bool("saturate")
    operand = args.numeric("x")
    bits = args.optional_tile("bits")
    if isinstance(operand, Const):
        return Tile(cast_constant(el, operand.value, type, rounding, span))
    if rounding is None:
        rounding = "toward_zero" if operand.dtype.is_float and type.is_int else "nearest_even"
    if (rounding == "stochastic") != (bits is not None):
        raise Reject("E0214", "`bits=` (a u32 tile) goes with `round=stochastic`, and only with it", span)
    if operand.dtype == type and bits is None:
        return operand
    operands = [operand.value]
    if bits is not None:
        operands.append(el.at(span).broadcast(el.as_type(bits, bits.dtype, span), operand.shape))
    return Tile(el.at(span)("cast", *operands, dtype=type, rounding=rounding, saturate=saturate))


def cast_constant(el: Elaborator, value: int | float, type: DType, rounding: str | None, span: Span) -> Value:
    """A compile-time number in a type: integers must fit, floats round, and saturate where an integer is wanted."""
    if isinstance(value, int) or type.is_float or rounding == "stochastic":
        return el.constant(value, type, span)
    code = int(np.asarray(type.encode(np.asarray(value), typing.cast(Rounding, rounding or "toward_zero")))[()])
    return el.at(span)("constant", type=TileType(type), code=code)


def scoped_alloc(el: Elaborator, node: syntax.ScopedAlloc, scope: Scope) -> Thing:
    """`alloc(f16[64, 64]) in shared`: a mutable buffer of the block. Raises Reject."""
    from vmc.lang.elaborate.layouts import evaluate_layout

    if node.space not in (None, "shared"):
        raise Reject(
            "E0042", f"there is no memory space `{node.space}` to allocate in", node.span, help="use `in shared`"
        )
    args = bind(el, "alloc", ("type",), node.call, scope)
    type = el.shaped(args.thing("type"), args.span("type"))
    if node.layout is not None:
        evaluate_layout(el, node.layout.expr, scope)
    return allocate(el, type, node.span)


def allocate(el: Elaborator, type: TileType, span: Span) -> Tensor:
    """A fresh shared buffer."""
    memory = TensorType(type.dtype, type.shape, Access.INOUT, Space.SHARED)
    return Tensor(el.at(span)("alloc", type=memory), "buffer", type.shape, declared=span)


def call_function(el: Elaborator, target: FunctionRef, node: syntax.Call, scope: Scope) -> Thing:
    """Elaborates a user function's body with its parameters bound to the arguments. Raises Reject."""
    from vmc.lang.elaborate.statements import elaborate_body

    function = target.declaration
    check_recursion(el, function, node.span)
    inner = Scope(target.scope)
    bind_static(el, function, node, scope, inner)
    bind_parameters(el, function, node, scope, inner)
    el.calls.append((function.name, node.span))
    failures = len(el.diagnostics)
    try:
        returned = elaborate_body(el, function.body, inner)
    finally:
        el.calls.pop()
    if returned is None and len(el.diagnostics) > failures and isinstance(function.body[-1], syntax.Return):
        return Poison()
    return check_results(el, function, returned, inner, node.span)


def check_recursion(el: Elaborator, function: syntax.Function, span: Span) -> None:
    """Functions are elaborated in place, so they cannot call themselves. Raises Reject."""
    if any(name == function.name for name, _ in el.calls):
        chain = " → ".join([name for name, _ in el.calls] + [function.name])
        raise Reject(
            "E0602",
            f"`{function.name}` calls itself: {chain}",
            span,
            help="functions are expanded in place; write the repetition as a loop",
        )
    if len(el.calls) >= MAX_CALL_DEPTH:
        raise Reject("E0602", f"calls are nested more than {MAX_CALL_DEPTH} deep", span)


def bind_static(el: Elaborator, function: syntax.Function, node: syntax.Call, scope: Scope, inner: Scope) -> None:
    """Compile-time parameters of a function, from `name[...]`, keywords or defaults."""
    params = function.static_params
    if len(node.static) > len(params):
        raise Reject(
            "E0111", f"`{function.name}` takes {len(params)} compile-time arguments, got {len(node.static)}", node.span
        )
    given = {param.name: expr for param, expr in zip(params, node.static, strict=False)}
    for keyword in node.static_keywords:
        if keyword.name not in {p.name for p in params}:
            names = Scope(None, {p.name: Nothing() for p in params})
            raise el.unknown_name(keyword.name, names, keyword.name_span, "E0110", "compile-time argument")
        given[keyword.name] = keyword.value
    for param in params:
        if param.name in given:
            thing = evaluate(el, given[param.name], scope)
            check_kind(param, thing, given[param.name].span)
        elif param.default is not None:
            thing = evaluate(el, param.default, inner)
        else:
            raise Reject("E0706", f"`{function.name}` needs the compile-time argument `{param.name}`", node.span)
        inner.names[param.name] = thing


def bind_parameters(el: Elaborator, function: syntax.Function, node: syntax.Call, scope: Scope, inner: Scope) -> None:
    """Run-time parameters of a function, checked against their declared types."""
    args = bind(el, function.name, tuple(p.name for p in function.params), node, scope)
    things = evaluate_all(el, [args.expr(param.name) for param in function.params], scope)
    for param, thing in zip(function.params, things, strict=True):
        span = args.span(param.name)
        if param.type is not None:
            thing = conform(el, thing, param.type, inner, span)
        inner.names[param.name] = thing


def conform(el: Elaborator, thing: Thing, declared: syntax.TypeExpr, inner: Scope, span: Span) -> Thing:
    """The argument as the declared type; unknown extents are bound to the argument's. Raises Reject."""
    type = TypeRef(numeric_type(el, declared.base, inner))
    note = (Note(declared.span, "the declared type"),)
    if isinstance(thing, Const):
        thing = Tile(el.constant(thing.value, type.dtype, span))
    if isinstance(thing, Tensor):
        dims: tuple[object, ...] = thing.dims
        own = thing.type.dtype
    else:
        tile = el.tile(thing, span)
        dims, own = tile.shape, tile.dtype
    if own != type.dtype:
        raise Reject(
            "E0223",
            f"expected {type.dtype.name}, found {own.name}",
            span,
            notes=note,
            help=f"convert it: `{type.dtype.name}(...)`",
        )
    extents = declared.extents or ()
    if len(extents) != len(dims):
        raise Reject("E0318", f"expected rank {len(extents)}, found rank {len(dims)}", span, notes=note)
    for extent, actual in zip(extents, dims, strict=True):
        unify_extent(el, extent, actual, inner, span, note)
    return pinned(el, thing, declared, inner)


def pinned(el: Elaborator, thing: Thing, declared: syntax.TypeExpr, scope: Scope) -> Thing:
    """The argument in the layout that its parameter pins. Raises Reject."""
    from vmc.lang.elaborate.layouts import check_layout, evaluate_layout

    if declared.layout is None or not isinstance(thing, Tile):
        return thing
    layout = evaluate_layout(el, declared.layout.expr, scope)
    layout = check_layout(layout, thing.shape, thing.dtype, declared.layout.span)
    return Tile(el.at(declared.span)("relayout", thing.value, layout=layout))


def unify_extent(
    el: Elaborator, extent: syntax.Expr, actual: object, inner: Scope, span: Span, note: tuple[Note, ...]
) -> None:
    """Binds a new name in a declared extent, or checks the extent. Raises Reject."""
    if isinstance(extent, syntax.Name) and inner.find(extent.id) is None:
        if isinstance(actual, int):
            inner.names[extent.id] = Const(actual)
        return
    expected = el.integer(evaluate(el, extent, inner), extent.span)
    if expected != actual:
        raise Reject("E0312", f"expected an extent of {expected}, found {actual}", span, notes=note)


def check_results(
    el: Elaborator, function: syntax.Function, returned: TupleRef | None, inner: Scope, span: Span
) -> Thing:
    """What a call is worth, checked against the declared results. Raises Reject."""
    items = returned.items if returned is not None else ()
    if function.results:
        if len(items) != len(function.results):
            raise Reject(
                "E0117",
                f"`{function.name}` declares {len(function.results)} results and returns {len(items)}",
                function.name_span,
            )
        items = tuple(
            conform(el, item, declared, inner, function.name_span)
            for item, declared in zip(items, function.results, strict=True)
        )
    match items:
        case ():
            return Nothing()
        case (single,):
            return single
    return TupleRef(items)
