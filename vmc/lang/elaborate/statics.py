"""Kinds of compile-time parameters, and whether an argument is of its parameter's kind."""

from __future__ import annotations

from collections.abc import Callable

from vmc.diagnostics import suggest
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang import syntax
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.values import Const, FormatRef, Thing, TypeRef

TYPE_KINDS: dict[str, Callable[[DType], bool]] = {
    "type": lambda type: True,
    "int": lambda type: type.is_int,
    "uint": lambda type: type.is_uint,
    "sint": lambda type: type.is_int and not type.is_uint,
    "float": lambda type: type.is_float,
}
VALUE_KINDS = {"const": "a number", "bool": "`true` or `false`", "format": "a block format"}


def check_kind(param: syntax.StaticParam, thing: Thing, span: Span, code: str = "E0705") -> None:
    """Raises Reject where an argument, or with E0704 a default, is not of the parameter's kind."""
    if param.kind is not None and param.kind not in TYPE_KINDS and param.kind not in VALUE_KINDS:
        raise unknown_kind(param)
    if not fits(param.kind, thing) or (has_whole_default(param) and not is_whole(thing)):
        raise Reject(code, f"`{param.name}` takes {expected_of(param)}, and got {thing.describe()}", span)


def has_whole_default(param: syntax.StaticParam) -> bool:
    return param.kind is None and isinstance(param.default, syntax.Int)


def expected_of(param: syntax.StaticParam) -> str:
    """What a parameter takes, in words."""
    if has_whole_default(param):
        return "an integer, as its default is"
    return VALUE_KINDS.get(param.kind or "const") or f"a numeric type of the kind `{param.kind}`"


def is_whole(thing: Thing) -> bool:
    """Whether a thing is a compile-time integer."""
    return isinstance(thing, Const) and isinstance(thing.value, int) and not isinstance(thing.value, bool)


def fits(kind: str | None, thing: Thing) -> bool:
    match thing:
        case TypeRef(type):
            return kind in TYPE_KINDS and TYPE_KINDS[kind](type)
        case FormatRef():
            return kind == "format"
        case Const(value):
            return kind in ("bool", None) if isinstance(value, bool) else kind in ("const", None)
    return kind is None


def unknown_kind(param: syntax.StaticParam) -> Reject:
    """The error for a kind that does not exist."""
    kinds = [*TYPE_KINDS, *VALUE_KINDS]
    close = suggest(param.kind or "", kinds)
    help = f"did you mean `{close}`?" if close else f"the kinds are {', '.join(kinds)}"
    return Reject("E0703", f"unknown kind of parameter `{param.kind}`", param.kind_span or param.span, help=help)
