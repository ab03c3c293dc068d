"""Imports, constants, functions, kernels and formats."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Note, error
from vmc.lang import syntax
from vmc.lang.builder.parts import (
    Extents,
    Malformed,
    Params,
    Parts,
    Results,
    Space,
    StaticParams,
    nodes,
    optional,
    over,
)
from vmc.lang.printer import expression_text
from vmc.lang.words import Word


class Declarations:
    """Top-level items."""

    def import_(self, parts: Parts) -> syntax.Import:
        return syntax.Import(parts[1].text, parts[1].span, span=over(parts[:-1]))

    def from_import(self, parts: Parts) -> syntax.FromImport:
        return syntax.FromImport(parts[1].text, tuple(parts[3]), parts[1].span, span=over(parts[:-1]))

    def const(self, parts: Parts) -> syntax.Const:
        return syntax.Const(parts[1].text, parts[3], parts[1].span, span=over(parts[:-1]))

    def table(self, parts: Parts) -> syntax.TableConst:
        return syntax.TableConst(parts[1].text, parts[3], parts[5], parts[1].span, span=over(parts[:-1]))

    def function_header(self, parts: Parts) -> Parts:
        return parts

    kernel_header = format_header = function_header

    def function(self, parts: Parts) -> syntax.Function:
        header, suite = parts
        name = header[1]
        return syntax.Function(
            name.text,
            tuple(optional(header, StaticParams) or ()),
            tuple(optional(header, Params) or ()),
            tuple(optional(header, Results) or ()),
            tuple(suite),
            name.span,
            span=over([header[0], suite]),
        )

    def kernel(self, parts: Parts) -> syntax.Kernel:
        header, suite = parts
        fast = header[0].type == "FAST"
        name = header[2] if fast else header[1]
        return syntax.Kernel(
            name.text,
            fast,
            tuple(optional(header, StaticParams) or ()),
            tuple(optional(header, Params) or ()),
            tuple(suite),
            name.span,
            span=over([header[0], suite]),
        )

    def results(self, parts: Parts) -> Results:
        return Results(nodes(parts), over(parts))

    def params(self, parts: Parts) -> Params:
        return Params(nodes(parts), over(parts))

    kernel_params = params

    def param(self, parts: Parts) -> syntax.FunctionParam:
        type_ = parts[2] if len(parts) > 1 else None
        return syntax.FunctionParam(parts[0].text, type_, parts[0].span, span=over(parts))

    def kernel_param(self, parts: Parts) -> syntax.KernelParam:
        access = parts[2].text if isinstance(parts[2], Word) else "in"
        return syntax.KernelParam(parts[0].text, access, parts[-1], parts[0].span, span=over(parts))

    def static_params(self, parts: Parts) -> StaticParams:
        return StaticParams(nodes(parts), over(parts))

    def static_param(self, parts: Parts) -> syntax.StaticParam:
        return syntax.StaticParam(parts[0].text, None, None, parts[0].span, span=over(parts))

    def static_kind(self, parts: Parts) -> syntax.StaticParam:
        name, _, kind = parts
        return syntax.StaticParam(name.text, kind.text, None, name.span, kind.span, span=over(parts))

    def static_default(self, parts: Parts) -> syntax.StaticParam:
        return syntax.StaticParam(parts[0].text, None, parts[2], parts[0].span, span=over(parts))

    def static_kind_default(self, parts: Parts) -> syntax.StaticParam:
        name, _, kind, _, default = parts
        return syntax.StaticParam(name.text, kind.text, default, name.span, kind.span, span=over(parts))

    def type(self, parts: Parts) -> syntax.TypeExpr:
        extents = optional(parts, Extents)
        space = optional(parts, Space)
        return syntax.TypeExpr(
            parts[0],
            None if extents is None else tuple(extents),
            space.text if space else None,
            optional(parts, syntax.LayoutExpr),
            span=over(parts),
        )

    def path(self, parts: Parts) -> syntax.Name | syntax.Attribute:
        name = syntax.Name(parts[0].text, span=parts[0].span)
        if len(parts) == 1:
            return name
        return syntax.Attribute(name, parts[2].text, parts[2].span, span=over(parts))

    def extents(self, parts: Parts) -> Extents:
        return Extents(nodes(parts), over(parts))

    def space(self, parts: Parts) -> Space:
        return Space("SPACE", parts[1].text, over(parts))

    def layout(self, parts: Parts) -> syntax.LayoutExpr:
        return syntax.LayoutExpr(parts[1], expression_text(parts[1]), span=over(parts))

    packed = layout


class Formats:
    """Formats and their rows."""

    def count(self, parts: Parts) -> Extents:
        return Extents([parts[1]], over(parts))

    def format_field(self, parts: Parts) -> syntax.FormatField:
        count = optional(parts, Extents)
        packed = optional(parts, syntax.LayoutExpr)
        name = parts[0]
        return syntax.FormatField(name.text, parts[2], count[0] if count else None, packed, name.span, span=over(parts))

    def format_line(self, parts: Parts) -> syntax.FormatLine:
        return syntax.FormatLine(parts[0].text, parts[2], parts[0].span, span=over(parts))

    def format_value(self, parts: Parts) -> syntax.FormatValue:
        name, _, index = parts[:3]
        if name.text != "value":
            message = "only `value` has an index on the left side in a format"
            raise Malformed(error("E0035", message, name.span, help=f"write `value[{index.text}] = ...`"))
        return syntax.FormatValue(index.text, parts[5], index.span, span=over(parts))

    def format(self, parts: Parts) -> syntax.FormatDecl | Diagnostic:
        header = parts[0]
        name = header[1]
        rows = nodes(parts[1:])
        if problem := _format_problem(name, rows):
            return problem
        return syntax.FormatDecl(
            name.text,
            header[3],
            tuple(row for row in rows if isinstance(row, syntax.FormatField)),
            tuple(row for row in rows if isinstance(row, syntax.FormatLine)),
            rows[-1],
            name.span,
            span=over([header[0], rows[-1]]),
        )


def _format_problem(name: Word, rows: Parts) -> Diagnostic | None:
    """What is wrong with the order of a format's rows: fields, lines, and last the one value."""
    values = [row for row in rows if isinstance(row, syntax.FormatValue)]
    if not values:
        message = f"format `{name.text}` does not say what its elements are"
        help = "end it with a line `value[i] = ...`, where i counts the elements of a block"
        return error("E0035", message, name.span, label="no `value` line", help=help)
    if rows[-1] is not values[0]:
        after = rows[rows.index(values[0]) + 1]
        note = Note(values[0].span, "the value is here")
        return error("E0035", "nothing follows the value of a format", after.span, notes=(note,))
    lines = [row for row in rows if isinstance(row, syntax.FormatLine)]
    if not lines:
        return None
    late = next((row for row in rows[rows.index(lines[0]) :] if isinstance(row, syntax.FormatField)), None)
    if late is None:
        return None
    note = Note(lines[0].span, "computing begins here")
    return error("E0035", "the stored fields of a format come before the lines that compute", late.span, notes=(note,))
