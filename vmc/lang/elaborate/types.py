"""Names of types: where the grammar wants a type, what stands there and what to say when it is none."""

from __future__ import annotations

from vmc.diagnostics import Fix
from vmc.ir.types import DType, UnknownTypeError, dtype
from vmc.lang import syntax
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import FormatRef, Thing, TypeRef


def type_thing(el: Elaborator, expr: syntax.Name | syntax.Attribute, scope: Scope, code: str = "E0211") -> Thing:
    """What stands where a type is wanted. Raises Reject for a name that stands for nothing."""
    if isinstance(expr, syntax.Name) and scope.find(expr.id) is None:
        raise unknown_type(expr, scope, el, code)
    return evaluate(el, expr, scope)


def unknown_type(expr: syntax.Name, scope: Scope, el: Elaborator, code: str) -> Reject:
    """The error for an unknown type; spellings of other systems are understood."""
    try:
        dtype(expr.id)
    except UnknownTypeError as error:
        if error.suggestion:
            fix = Fix(expr.span, error.suggestion)
            help = f"did you mean `{error.suggestion}`?"
            return Reject(code, f"unknown type `{expr.id}`", expr.span, label="not a type", help=help, fix=fix)
    return el.unknown_name(expr.id, scope, expr.span, code, "type")


def numeric_type(el: Elaborator, expr: syntax.Name | syntax.Attribute, scope: Scope, code: str = "E0211") -> DType:
    """The numeric type that stands there. Raises Reject."""
    thing = type_thing(el, expr, scope, code)
    if isinstance(thing, TypeRef):
        return thing.dtype
    if isinstance(thing, FormatRef):
        raise Reject("E0807", f"expected a numeric type, found {thing.describe()}", expr.span)
    raise el.unexpected(thing, "a numeric type", expr.span, code="E0116")
