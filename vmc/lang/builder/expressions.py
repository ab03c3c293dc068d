"""Values, calls and indices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmc.diagnostics import Diagnostic, Fix, Note, error
from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.builder.parts import (
    Group,
    Malformed,
    Parts,
    nodes,
    over,
)
from vmc.lang.printer import expression_text
from vmc.lang.syntax import Expr
from vmc.lang.words import Word


class Expressions:
    """Values."""

    def conditional(self, parts: Parts) -> syntax.Conditional:
        return syntax.Conditional(parts[2], parts[0], parts[4], span=over(parts))

    def bool_op(self, parts: Parts) -> syntax.BoolOp:
        left, op, right = parts
        return syntax.BoolOp(op.text, left, right, op.span, span=over(parts))

    def not_(self, parts: Parts) -> syntax.Not:
        return syntax.Not(parts[1], span=over(parts))

    def compare(self, parts: Parts) -> syntax.Compare:
        left, op, right = parts
        span = over(parts)
        if isinstance(left, syntax.Compare) and left.left.span.column == left.span.column:
            if (tight := _bit_operator(left.right)) is not None:
                raise Malformed(_tighter_than_comparisons(tight))
            middle = expression_text(left.right)
            help = f"join two comparisons: `... {left.op} {middle} and {middle} {op.text} ...`"
            at = Span(span.file, op.span.line, op.span.column, op.span.line, op.span.column)
            fix = Fix(at, f"and {middle} ")
            raise Malformed(error("E0021", "comparisons cannot be chained", op.span, help=help, fix=fix))
        return syntax.Compare(op.text, left, right, op.span, span=span)

    def binary(self, parts: Parts) -> syntax.Binary:
        left, op, right = parts
        return syntax.Binary(op.text, left, right, op.span, span=over(parts))

    def unary(self, parts: Parts) -> syntax.Unary:
        return syntax.Unary(parts[0].text, parts[1], span=over(parts))

    def arguments(self, parts: Parts) -> Group:
        arguments = nodes(parts)
        named: syntax.Keyword | None = None
        for argument in arguments:
            if isinstance(argument, syntax.Keyword):
                named = argument
            elif named is not None:
                message = "an argument without a name follows one with a name"
                note = Note(named.span, "this one has a name")
                raise Malformed(error("E0036", message, argument.span, notes=(note,)))
        return Group(arguments, over(parts))

    items = arguments

    def keyword(self, parts: Parts) -> syntax.Keyword:
        return syntax.Keyword(parts[0].text, parts[2], parts[0].span, span=over(parts))

    def call(self, parts: Parts) -> syntax.Call:
        positional, keywords = _split(parts[2] if isinstance(parts[2], Group) else ())
        return syntax.Call(parts[0], positional, keywords, span=over(parts))

    def static_call(self, parts: Parts) -> syntax.Call:
        func, _, items = parts[:3]
        for item in items:
            if isinstance(item, syntax.Slice | syntax.NewAxis):
                message = "this is no compile-time argument"
                raise Malformed(error("E0039", message, item.span, help="a product is written `x[...] * (...)`"))
        static, static_keywords = _split(items)
        positional, keywords = _split(parts[5] if isinstance(parts[5], Group) else ())
        return syntax.Call(func, positional, keywords, static, static_keywords, span=over(parts))

    def index(self, parts: Parts) -> syntax.Index:
        base, _, items, _ = parts
        for item in items:
            if isinstance(item, syntax.Keyword):
                raise Malformed(error("E0039", "an index has no name", item.name_span))
        return syntax.Index(base, tuple(items), span=over(parts))

    def attribute(self, parts: Parts) -> syntax.Attribute:
        return syntax.Attribute(parts[0], parts[2].text, parts[2].span, span=over(parts))

    def slice(self, parts: Parts) -> syntax.Slice:
        values = nodes(parts)
        start = values.pop(0) if not isinstance(parts[0], Word) else None
        return syntax.Slice(start, values[0], values[1] if len(values) > 1 else None, span=over(parts))

    def whole(self, parts: Parts) -> syntax.Slice:
        return syntax.Slice(None, None, None, span=parts[0].span)

    def new_axis(self, parts: Parts) -> syntax.NewAxis:
        return syntax.NewAxis(span=parts[0].span)

    def name(self, parts: Parts) -> syntax.Name:
        return syntax.Name(parts[0].text, span=parts[0].span)

    def int_(self, parts: Parts) -> syntax.Int:
        return syntax.Int(parts[0].value, span=parts[0].span)

    def float_(self, parts: Parts) -> syntax.Float:
        return syntax.Float(parts[0].value, parts[0].text, span=parts[0].span)

    def string(self, parts: Parts) -> syntax.Str:
        return syntax.Str(parts[0].value, span=parts[0].span)

    def bool_(self, parts: Parts) -> syntax.Bool:
        return syntax.Bool(parts[0].text == "true", span=parts[0].span)

    def parentheses(self, parts: Parts) -> Expr:
        expr: Expr = replace(parts[1], span=over(parts))
        return expr

    def list_(self, parts: Parts) -> syntax.ListExpr:
        return syntax.ListExpr(tuple(nodes(parts)), span=over(parts))


def _bit_operator(expr: Expr) -> syntax.Binary | None:
    """The expression, if it is a bit operation without parentheses around it, between the sides of two comparisons."""
    if not isinstance(expr, syntax.Binary) or expr.op not in ("&", "|", "^"):
        return None
    start, left = expr.span, expr.left.span
    return expr if (start.line, start.column) == (left.line, left.column) else None


def _tighter_than_comparisons(bits: syntax.Binary) -> Diagnostic:
    """`a > b & c < d` reads as `a > (b & c) < d`."""
    message = f"`{bits.op}` binds tighter than comparisons"
    if bits.op == "^":
        return error("E0021", message, bits.op_span, help="put each comparison in parentheses: `(a > b) ^ (c < d)`")
    meant = "and" if bits.op == "&" else "or"
    help = f"join comparisons with `{meant}`: `(a > b) {meant} (c < d)`"
    return error("E0021", message, bits.op_span, help=help, fix=Fix(bits.op_span, meant))


def _split(arguments: Any) -> tuple[tuple[Any, ...], tuple[syntax.Keyword, ...]]:
    positional = tuple(argument for argument in arguments if not isinstance(argument, syntax.Keyword))
    return positional, tuple(argument for argument in arguments if isinstance(argument, syntax.Keyword))
