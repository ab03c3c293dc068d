"""From the parser's reductions to syntax tree nodes: one method per rule or alias of `grammar.lark`.

Each method gets the words and nodes of its rule, in order, and returns a node, or a plain value that an enclosing rule
takes apart. Rules that a grammar of this kind cannot state (what may be assigned to, how many arguments a loop has) are
checked here and raise `Malformed`, within the line that breaks them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lark import Transformer

from vmc.diagnostics import Diagnostic, Fix, Note, error
from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.printer import expression_text
from vmc.lang.syntax import Expr
from vmc.lang.words import Word

Parts = list[Any]


class Malformed(Exception):
    """A line that follows the grammar and still cannot be meant."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def _over(parts: Parts) -> Span:
    """The span from the first to the last part."""
    first: Span = parts[0].span
    last: Span = parts[-1].span
    return Span(first.file, first.line, first.column, last.end_line, last.end_column)


def _nodes(parts: Parts) -> Parts:
    return [part for part in parts if not isinstance(part, Word)]


def _optional(parts: Parts, kind: type) -> Any:
    return next((part for part in parts if isinstance(part, kind)), None)


class _Group(tuple[Any, ...]):
    """Several parts of one kind on their way to the enclosing rule, with the place they cover."""

    span: Span

    def __new__(cls, parts: Parts, span: Span) -> _Group:
        group = super().__new__(cls, parts)
        group.span = span
        return group


class _Params(_Group):
    pass


class _StaticParams(_Group):
    pass


class _Results(_Group):
    pass


class _Extents(_Group):
    pass


class _Exprs(_Group):
    pass


class _Space(Word):
    pass


class Declarations:
    """Top-level items."""

    def import_(self, parts: Parts) -> syntax.Import:
        return syntax.Import(parts[1].text, parts[1].span, span=_over(parts[:-1]))

    def from_import(self, parts: Parts) -> syntax.FromImport:
        return syntax.FromImport(parts[1].text, tuple(parts[3]), parts[1].span, span=_over(parts[:-1]))

    def const(self, parts: Parts) -> syntax.Const:
        return syntax.Const(parts[1].text, parts[3], parts[1].span, span=_over(parts[:-1]))

    def table(self, parts: Parts) -> syntax.TableConst:
        return syntax.TableConst(parts[1].text, parts[3], parts[5], parts[1].span, span=_over(parts[:-1]))

    def function_header(self, parts: Parts) -> Parts:
        return parts

    kernel_header = format_header = function_header

    def function(self, parts: Parts) -> syntax.Function:
        header, suite = parts
        name = header[1]
        return syntax.Function(
            name.text,
            tuple(_optional(header, _StaticParams) or ()),
            tuple(_optional(header, _Params) or ()),
            tuple(_optional(header, _Results) or ()),
            tuple(suite),
            name.span,
            span=_over([header[0], suite]),
        )

    def kernel(self, parts: Parts) -> syntax.Kernel:
        header, suite = parts
        fast = header[0].type == "FAST"
        name = header[2] if fast else header[1]
        return syntax.Kernel(
            name.text,
            fast,
            tuple(_optional(header, _StaticParams) or ()),
            tuple(_optional(header, _Params) or ()),
            tuple(suite),
            name.span,
            span=_over([header[0], suite]),
        )

    def results(self, parts: Parts) -> _Results:
        return _Results(_nodes(parts), _over(parts))

    def params(self, parts: Parts) -> _Params:
        return _Params(_nodes(parts), _over(parts))

    kernel_params = params

    def param(self, parts: Parts) -> syntax.FunctionParam:
        type_ = parts[2] if len(parts) > 1 else None
        return syntax.FunctionParam(parts[0].text, type_, parts[0].span, span=_over(parts))

    def kernel_param(self, parts: Parts) -> syntax.KernelParam:
        access = parts[2].text if isinstance(parts[2], Word) else "in"
        return syntax.KernelParam(parts[0].text, access, parts[-1], parts[0].span, span=_over(parts))

    def static_params(self, parts: Parts) -> _StaticParams:
        return _StaticParams(_nodes(parts), _over(parts))

    def static_param(self, parts: Parts) -> syntax.StaticParam:
        return syntax.StaticParam(parts[0].text, None, None, parts[0].span, span=_over(parts))

    def static_kind(self, parts: Parts) -> syntax.StaticParam:
        name, _, kind = parts
        return syntax.StaticParam(name.text, kind.text, None, name.span, kind.span, span=_over(parts))

    def static_default(self, parts: Parts) -> syntax.StaticParam:
        return syntax.StaticParam(parts[0].text, None, parts[2], parts[0].span, span=_over(parts))

    def static_kind_default(self, parts: Parts) -> syntax.StaticParam:
        name, _, kind, _, default = parts
        return syntax.StaticParam(name.text, kind.text, default, name.span, kind.span, span=_over(parts))

    def type(self, parts: Parts) -> syntax.TypeExpr:
        extents = _optional(parts, _Extents)
        space = _optional(parts, _Space)
        return syntax.TypeExpr(
            parts[0],
            None if extents is None else tuple(extents),
            space.text if space else None,
            _optional(parts, syntax.LayoutExpr),
            span=_over(parts),
        )

    def path(self, parts: Parts) -> syntax.Name | syntax.Attribute:
        name = syntax.Name(parts[0].text, span=parts[0].span)
        if len(parts) == 1:
            return name
        return syntax.Attribute(name, parts[2].text, parts[2].span, span=_over(parts))

    def extents(self, parts: Parts) -> _Extents:
        return _Extents(_nodes(parts), _over(parts))

    def space(self, parts: Parts) -> _Space:
        return _Space("SPACE", parts[1].text, _over(parts))

    def layout(self, parts: Parts) -> syntax.LayoutExpr:
        return syntax.LayoutExpr(parts[1], expression_text(parts[1]), span=_over(parts))

    packed = layout


class Formats:
    """Formats and their rows."""

    def count(self, parts: Parts) -> _Extents:
        return _Extents([parts[1]], _over(parts))

    def format_field(self, parts: Parts) -> syntax.FormatField:
        count = _optional(parts, _Extents)
        packed = _optional(parts, syntax.LayoutExpr)
        name = parts[0]
        return syntax.FormatField(
            name.text, parts[2], count[0] if count else None, packed, name.span, span=_over(parts)
        )

    def format_line(self, parts: Parts) -> syntax.FormatLine:
        return syntax.FormatLine(parts[0].text, parts[2], parts[0].span, span=_over(parts))

    def format_value(self, parts: Parts) -> syntax.FormatValue:
        name, _, index = parts[:3]
        if name.text != "value":
            message = "only `value` has an index on the left side in a format"
            raise Malformed(error("E0035", message, name.span, help=f"write `value[{index.text}] = ...`"))
        return syntax.FormatValue(index.text, parts[5], index.span, span=_over(parts))

    def format(self, parts: Parts) -> syntax.FormatDecl | Diagnostic:
        header = parts[0]
        name = header[1]
        rows = _nodes(parts[1:])
        if problem := _format_problem(name, rows):
            return problem
        return syntax.FormatDecl(
            name.text,
            header[3],
            tuple(row for row in rows if isinstance(row, syntax.FormatField)),
            tuple(row for row in rows if isinstance(row, syntax.FormatLine)),
            rows[-1],
            name.span,
            span=_over([header[0], rows[-1]]),
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


class Statements:
    """What stands in a body."""

    def suite_line(self, parts: Parts) -> _Group:
        return _Group([parts[1]], parts[1].span)

    def suite_block(self, parts: Parts) -> _Group:
        statements = parts[3:-1]
        return _Group(statements, _over(statements))

    def simple_line(self, parts: Parts) -> syntax.Stmt:
        statement: syntax.Stmt = parts[0]
        return statement

    def exprs(self, parts: Parts) -> _Exprs:
        return _Exprs(_nodes(parts), _over(parts))

    def scoped(self, parts: Parts) -> _Exprs:
        call = _single(parts[0])
        space = _optional(parts, _Space)
        match call:
            case syntax.Call(func=syntax.Name("alloc")):
                pass
            case _:
                raise Malformed(_misplaced(space, parts[1].span))
        layout = _optional(parts, syntax.LayoutExpr)
        node = syntax.ScopedAlloc(call, space.text if space else None, layout, span=_over(parts))
        return _Exprs([node], node.span)

    def assign(self, parts: Parts) -> syntax.Stmt:
        targets, _, right = parts
        value = _single(right)
        span = _over(parts)
        if len(targets) == 1 and isinstance(targets[0], syntax.Index):
            return syntax.Store(targets[0], value, span=span)
        for target in targets:
            if not isinstance(target, syntax.Name):
                raise Malformed(_not_assignable(target, len(targets)))
        return syntax.Assign(tuple(targets), value, span=span)

    def annotated(self, parts: Parts) -> syntax.AnnotatedAssign:
        targets, _, type_, _, right = parts
        value = _single(right)
        if len(targets) != 1 or not isinstance(targets[0], syntax.Name):
            raise Malformed(error("E0022", "a type annotates one name", targets.span))
        return syntax.AnnotatedAssign(targets[0], type_, value, span=_over([targets, right]))

    def augmented(self, parts: Parts) -> syntax.Stmt:
        targets, operator, right = parts
        op = operator.text[:-1]
        value = _single(right)
        if len(targets) == 1:
            match targets[0]:
                case syntax.Index() as target:
                    return syntax.AugStore(target, op, value, operator.span, span=_over(parts))
                case syntax.Name() as target:
                    return syntax.AugAssign(target, op, value, operator.span, span=_over(parts))
        raise Malformed(error("E0022", f"`{operator.text}` changes one name or one slice of a tensor", targets.span))

    def expr_stmt(self, parts: Parts) -> syntax.ExprStmt:
        exprs = parts[0]
        if len(exprs) == 1 and isinstance(exprs[0], syntax.Call):
            return syntax.ExprStmt(exprs[0], span=exprs.span)
        raise Malformed(_no_effect(exprs))

    def return_(self, parts: Parts) -> syntax.Return:
        values = tuple(parts[1]) if len(parts) > 1 else ()
        return syntax.Return(values, span=_over(parts))

    def assert_(self, parts: Parts) -> syntax.Assert:
        return syntax.Assert(parts[1], _message(parts), span=_over(parts))

    def static_assert(self, parts: Parts) -> syntax.StaticAssert:
        return syntax.StaticAssert(parts[1], _message(parts), span=_over(parts))

    def pass_(self, parts: Parts) -> syntax.Pass:
        return syntax.Pass(span=parts[0].span)


def _single(exprs: _Exprs) -> Any:
    if len(exprs) > 1:
        help = "write one assignment for each value"
        raise Malformed(error("E0033", "one expression stands on the right of an assignment", exprs.span, help=help))
    return exprs[0]


def _misplaced(space: Word | None, span: Span) -> Diagnostic:
    word = f"in {space.text}" if space else "layout"
    help = f"annotate the target instead: `name: type[extents] {word} = ...`"
    return error("E0042", f"`{word}` follows a type or an `alloc(...)`", span, help=help if space else None)


def _not_assignable(target: Expr, count: int) -> Diagnostic:
    match target:
        case syntax.Index() if count > 1:
            message = "only names can be assigned several at once"
            help = "assign to names, then store them one by one"
            return error("E0022", message, target.span, help=help)
        case syntax.Call():
            return error("E0022", "the result of a call cannot be assigned to", target.span, help="compare with `==`")
        case _:
            return error(
                "E0022",
                "this cannot be assigned to",
                target.span,
                label="not a name",
                help="the left side of `=` is a name or a slice of a tensor",
            )


def _no_effect(exprs: _Exprs) -> Diagnostic:
    expr = exprs[0]
    match expr:
        case syntax.Unary(op=op, operand=syntax.Unary(op=inner, operand=operand)) if op == inner and op in "+-":
            step = f"{expression_text(operand)} {op}= 1"
            help = f"write `{step}`"
            return error("E0018", f"there is no operator `{op}{op}`", exprs.span, help=help, fix=Fix(exprs.span, step))
        case syntax.Compare(op="==") if len(exprs) == 1:
            message = "a comparison alone on a line has no effect"
            help = "assign with `=`, or test with `assert`"
            return error("E0024", message, exprs.span, help=help, fix=Fix(expr.op_span, "="))
    help = "assign it to a name, or remove the line"
    return error("E0024", "the value of this expression is not used", exprs.span, help=help)


def _message(parts: Parts) -> syntax.Str | None:
    if len(parts) < 4:
        return None
    message = parts[3]
    if isinstance(message, syntax.Str):
        return message
    raise Malformed(error("E0001", "the message of an assertion is a string", message.span, label="expected a string"))


class Control:
    """Loops and branches."""

    def names(self, parts: Parts) -> _Group:
        names = [syntax.Name(word.text, span=word.span) for word in parts if word.type != "COMMA"]
        return _Group(names, _over(parts))

    def clause(self, parts: Parts) -> tuple[Word, Expr]:
        return parts[0], parts[2]

    def iterator(self, parts: Parts) -> tuple[Word, tuple[Expr, ...], dict[str, Expr]]:
        kind = parts[0]
        arguments = parts[2] if isinstance(parts[2], _Group) else ()
        for argument in arguments:
            if isinstance(argument, syntax.Keyword):
                raise Malformed(error("E0043", f"`{kind.text}` has no argument names", argument.name_span))
        if kind.text == "grid":
            if not arguments:
                raise Malformed(error("E0043", "`grid` has an extent for each index", kind.span))
        elif not 1 <= len(arguments) <= 3:
            message = f"`{kind.text}` takes a stop, a start and a stop, or a start, a stop and a step"
            raise Malformed(error("E0043", message, kind.span, label=f"{len(arguments)} arguments given"))
        return (
            kind,
            tuple(arguments),
            _clauses([part for part in parts if isinstance(part, tuple) and not isinstance(part, _Group)]),
        )

    def for_header(self, parts: Parts) -> Parts:
        names, (kind, _, _) = parts[1], parts[3]
        if kind.text != "grid" and len(names) != 1:
            message = f"a loop over `{kind.text}` has one index"
            raise Malformed(error("E0043", message, names.span, help="nest a loop for each index"))
        return parts

    def for_(self, parts: Parts) -> syntax.Stmt:
        (first, names, _, (kind, arguments, clauses)), suite = parts
        span = _over([first, suite])
        if kind.text == "grid":
            return syntax.ForGrid(tuple(names), arguments, tuple(suite), span=span)
        start, stop, step = _bounds(arguments)
        if kind.text == "static":
            return syntax.ForStatic(names[0], start, stop, step, tuple(suite), span=span)
        pipelined, unrolled = clauses.get("pipelined"), clauses.get("unrolled")
        return syntax.ForRange(names[0], start, stop, step, pipelined, unrolled, tuple(suite), span=span)

    def while_header(self, parts: Parts) -> Parts:
        return parts

    if_header = elif_header = while_header

    def while_(self, parts: Parts) -> syntax.While:
        (first, condition), suite = parts
        return syntax.While(condition, tuple(suite), span=_over([first, suite]))

    def elif_(self, parts: Parts) -> Parts:
        (first, condition), suite = parts
        return [first, condition, suite]

    def else_(self, parts: Parts) -> _Group:
        suite: _Group = parts[1]
        return suite

    def if_(self, parts: Parts) -> syntax.If:
        (first, condition), suite, *rest = parts
        orelse: tuple[syntax.Stmt, ...] = ()
        end = suite
        if rest and isinstance(rest[-1], _Group):
            end = rest.pop()
            orelse = tuple(end)
        elif rest:
            end = rest[-1][2]
        for word, test, body in reversed(rest):
            orelse = (syntax.If(test, tuple(body), orelse, span=_over([word, end])),)
        return syntax.If(condition, tuple(suite), orelse, span=_over([first, end]))


def _clauses(clauses: list[tuple[Word, Expr]]) -> dict[str, Expr]:
    found: dict[str, Expr] = {}
    for word, value in clauses:
        if word.text in found:
            raise Malformed(error("E0043", f"`{word.text}` is given twice", word.span))
        found[word.text] = value
    return found


def _bounds(arguments: tuple[Expr, ...]) -> tuple[Expr | None, Expr, Expr | None]:
    match arguments:
        case (stop,):
            return None, stop, None
        case (start, stop):
            return start, stop, None
        case _:
            start, stop, step = arguments
            return start, stop, step


class Expressions:
    """Values."""

    def conditional(self, parts: Parts) -> syntax.Conditional:
        return syntax.Conditional(parts[2], parts[0], parts[4], span=_over(parts))

    def bool_op(self, parts: Parts) -> syntax.BoolOp:
        left, op, right = parts
        return syntax.BoolOp(op.text, left, right, op.span, span=_over(parts))

    def not_(self, parts: Parts) -> syntax.Not:
        return syntax.Not(parts[1], span=_over(parts))

    def compare(self, parts: Parts) -> syntax.Compare:
        left, op, right = parts
        span = _over(parts)
        if isinstance(left, syntax.Compare) and left.left.span.column == left.span.column:
            middle = expression_text(left.right)
            help = f"join two comparisons: `... {left.op} {middle} and {middle} {op.text} ...`"
            at = Span(span.file, op.span.line, op.span.column, op.span.line, op.span.column)
            fix = Fix(at, f"and {middle} ")
            raise Malformed(error("E0021", "comparisons cannot be chained", op.span, help=help, fix=fix))
        return syntax.Compare(op.text, left, right, op.span, span=span)

    def binary(self, parts: Parts) -> syntax.Binary:
        left, op, right = parts
        return syntax.Binary(op.text, left, right, op.span, span=_over(parts))

    def unary(self, parts: Parts) -> syntax.Unary:
        return syntax.Unary(parts[0].text, parts[1], span=_over(parts))

    def arguments(self, parts: Parts) -> _Group:
        arguments = _nodes(parts)
        named: syntax.Keyword | None = None
        for argument in arguments:
            if isinstance(argument, syntax.Keyword):
                named = argument
            elif named is not None:
                message = "an argument without a name follows one with a name"
                note = Note(named.span, "this one has a name")
                raise Malformed(error("E0036", message, argument.span, notes=(note,)))
        return _Group(arguments, _over(parts))

    items = arguments

    def keyword(self, parts: Parts) -> syntax.Keyword:
        return syntax.Keyword(parts[0].text, parts[2], parts[0].span, span=_over(parts))

    def call(self, parts: Parts) -> syntax.Call:
        positional, keywords = _split(parts[2] if isinstance(parts[2], _Group) else ())
        return syntax.Call(parts[0], positional, keywords, span=_over(parts))

    def static_call(self, parts: Parts) -> syntax.Call:
        func, _, items = parts[:3]
        for item in items:
            if isinstance(item, syntax.Slice | syntax.NewAxis):
                message = "this is no compile-time argument"
                raise Malformed(error("E0039", message, item.span, help="a product is written `x[...] * (...)`"))
        static, static_keywords = _split(items)
        positional, keywords = _split(parts[5] if isinstance(parts[5], _Group) else ())
        return syntax.Call(func, positional, keywords, static, static_keywords, span=_over(parts))

    def index(self, parts: Parts) -> syntax.Index:
        base, _, items, _ = parts
        for item in items:
            if isinstance(item, syntax.Keyword):
                raise Malformed(error("E0039", "an index has no name", item.name_span))
        return syntax.Index(base, tuple(items), span=_over(parts))

    def attribute(self, parts: Parts) -> syntax.Attribute:
        return syntax.Attribute(parts[0], parts[2].text, parts[2].span, span=_over(parts))

    def slice(self, parts: Parts) -> syntax.Slice:
        nodes = _nodes(parts)
        start = nodes.pop(0) if not isinstance(parts[0], Word) else None
        return syntax.Slice(start, nodes[0], nodes[1] if len(nodes) > 1 else None, span=_over(parts))

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
        expr: Expr = replace(parts[1], span=_over(parts))
        return expr

    def list_(self, parts: Parts) -> syntax.ListExpr:
        return syntax.ListExpr(tuple(_nodes(parts)), span=_over(parts))


def _split(arguments: Any) -> tuple[tuple[Any, ...], tuple[syntax.Keyword, ...]]:
    positional = tuple(argument for argument in arguments if not isinstance(argument, syntax.Keyword))
    return positional, tuple(argument for argument in arguments if isinstance(argument, syntax.Keyword))


class Builder(Transformer[Word, Any], Declarations, Formats, Statements, Control, Expressions):
    """All callbacks of the parser."""
