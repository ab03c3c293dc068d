"""Layout expressions: evaluated through the layout algebra's own text form, with compile-time names filled in."""

from __future__ import annotations

from vmc.diagnostics import suggest
from vmc.ir.layout import Layout, LayoutError, UnknownLayoutError, is_injective, parse, strided
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang import syntax
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import Const, TypeRef


def evaluate_layout(el: Elaborator, expr: syntax.Expr, scope: Scope) -> Layout:
    """The layout that an expression such as `local(2, BK // 16).spatial(8, 4)` denotes. Raises Reject."""
    text = layout_text(el, expr, scope)
    try:
        return parse(text)
    except UnknownLayoutError as error:
        close = suggest(error.name, error.known)
        help = f"did you mean `{close}`?" if close else f"known are {', '.join(error.known)}"
        raise Reject("E0406", f"unknown layout `{error.name}`", expr.span, help=help) from None
    except LayoutError as error:
        raise Reject("E0403", f"not a layout: {error}", expr.span, label=f"reads as `{text}`") from None


def layout_text(el: Elaborator, expr: syntax.Expr, scope: Scope) -> str:
    """The expression in the algebra's text form."""
    match expr:
        case syntax.Call(func=func, positional=positional, keywords=keywords):
            items = [argument_text(el, arg, scope) for arg in positional]
            items += [f"{keyword.name}={argument_text(el, keyword.value, scope)}" for keyword in keywords]
            return f"{callee_text(el, func, scope)}({', '.join(items)})"
        case syntax.Binary(op="*" | "@", left=left, right=right):
            return f"{layout_text(el, left, scope)} * {layout_text(el, right, scope)}"
    raise Reject("E0403", "expected a layout such as `local(2, 1).spatial(8, 4)`", expr.span)


def callee_text(el: Elaborator, func: syntax.Expr, scope: Scope) -> str:
    match func:
        case syntax.Name(name):
            return name
        case syntax.Attribute(base=base, name=name):
            return f"{layout_text(el, base, scope)}.{name}"
    raise Reject("E0403", "expected the name of a layout", func.span)


def argument_text(el: Elaborator, expr: syntax.Expr, scope: Scope) -> str:
    """A layout's argument: a compile-time integer, a type, a string, a list, or another layout."""
    match expr:
        case syntax.Str(value):
            return f'"{value}"'
        case syntax.ListExpr(items):
            return f"({', '.join(argument_text(el, item, scope) for item in items)},)"
        case syntax.Call():
            if isinstance(expr.func, syntax.Attribute) or scope.find(getattr(expr.func, "id", "")) is None:
                return layout_text(el, expr, scope)
    thing = evaluate(el, expr, scope)
    if isinstance(thing, TypeRef):
        return thing.dtype.name
    if isinstance(thing, Const) and isinstance(thing.value, bool):
        return str(thing.value).lower()
    return str(el.integer(thing, expr.span))


def check_layout(layout: Layout, shape: tuple[int, ...], type: DType, span: Span) -> Layout:
    """The layout with the element's bits, if it is a register layout of this shape. Raises Reject."""
    if layout.shape != shape:
        raise Reject("E0404", f"the layout has the shape {list(layout.shape)}, and the tile {list(shape)}", span)
    if not is_injective(layout):
        raise Reject("E0408", "the layout puts two elements in one place", span)
    return layout if layout.element_bits else layout.with_bits(type.width)


def evaluate_packing(el: Elaborator, node: syntax.LayoutExpr, type: DType, count: int, scope: Scope) -> Layout:
    """The bit layout of a field: `split(n)`, or any layout of its elements. Raises Reject."""
    expr = node.expr
    if isinstance(expr, syntax.Call) and isinstance(expr.func, syntax.Name) and expr.func.id == "split":
        return split_packing(el, expr, type, count, scope)
    layout = evaluate_layout(el, expr, scope)
    layout = layout if layout.element_bits else layout.with_bits(type.width)
    if layout.size != count or layout.element_bits != type.width:
        raise Reject("E0806", f"the packing is not one of {count} elements of {type.name}", node.span)
    return layout


def split_packing(el: Elaborator, call: syntax.Call, type: DType, count: int, scope: Scope) -> Layout:
    """`split(n, k)`: the field is cut into groups of k runs of n elements, and the k elements of a group that have one
    place in their runs lie side by side. Without k, all runs are one group.
    """
    if not 1 <= len(call.positional) <= 2 or call.keywords:
        raise Reject("E0806", "`split` takes the length of a run, and perhaps how many runs share bits", call.span)
    run, *rest = (el.integer(evaluate(el, expr, scope), expr.span) for expr in call.positional)
    if run < 1 or count % run:
        raise Reject("E0806", f"{count} elements are not made of runs of {run}", call.span)
    runs = rest[0] if rest else count // run
    if runs < 1 or count % (run * runs):
        raise Reject("E0806", f"{count} elements are not made of groups of {runs} runs of {run}", call.span)
    shape, strides = (count // (run * runs), runs, run), (run * runs, 1, runs)
    return strided(shape, strides, bits=type.width).reshape((count,))
