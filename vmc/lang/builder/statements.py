"""Assignments, stores, loops and branches."""

from __future__ import annotations

from typing import Any

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.builder.parts import (
    Exprs,
    Group,
    Malformed,
    Parts,
    Space,
    nodes,
    optional,
    over,
)
from vmc.lang.printer import expression_text
from vmc.lang.syntax import Expr
from vmc.lang.words import Word


class Statements:
    """What stands in a body."""

    def suite_line(self, parts: Parts) -> Group:
        return Group([parts[1]], parts[1].span)

    def suite_block(self, parts: Parts) -> Group:
        statements = parts[3:-1]
        return Group(statements, over(statements))

    def simple_line(self, parts: Parts) -> syntax.Stmt:
        statement: syntax.Stmt = parts[0]
        return statement

    def exprs(self, parts: Parts) -> Exprs:
        return Exprs(nodes(parts), over(parts))

    def scoped(self, parts: Parts) -> Exprs:
        call = _single(parts[0])
        space = optional(parts, Space)
        match call:
            case syntax.Call(func=syntax.Name("alloc")):
                pass
            case _:
                raise Malformed(_misplaced(space, parts[1].span))
        layout = optional(parts, syntax.LayoutExpr)
        node = syntax.ScopedAlloc(call, space.text if space else None, layout, span=over(parts))
        return Exprs([node], node.span)

    def assign(self, parts: Parts) -> syntax.Stmt:
        targets, _, right = parts
        value = _single(right)
        span = over(parts)
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
        return syntax.AnnotatedAssign(targets[0], type_, value, span=over([targets, right]))

    def augmented(self, parts: Parts) -> syntax.Stmt:
        targets, operator, right = parts
        op = operator.text[:-1]
        value = _single(right)
        if len(targets) == 1:
            match targets[0]:
                case syntax.Index() as target:
                    return syntax.AugStore(target, op, value, operator.span, span=over(parts))
                case syntax.Name() as target:
                    return syntax.AugAssign(target, op, value, operator.span, span=over(parts))
        raise Malformed(error("E0022", f"`{operator.text}` changes one name or one slice of a tensor", targets.span))

    def expr_stmt(self, parts: Parts) -> syntax.ExprStmt:
        exprs = parts[0]
        if len(exprs) == 1 and isinstance(exprs[0], syntax.Call):
            return syntax.ExprStmt(exprs[0], span=exprs.span)
        raise Malformed(_no_effect(exprs))

    def return_(self, parts: Parts) -> syntax.Return:
        values = tuple(parts[1]) if len(parts) > 1 else ()
        return syntax.Return(values, span=over(parts))

    def assert_(self, parts: Parts) -> syntax.Assert:
        return syntax.Assert(parts[1], _message(parts), span=over(parts))

    def static_assert(self, parts: Parts) -> syntax.StaticAssert:
        return syntax.StaticAssert(parts[1], _message(parts), span=over(parts))

    def pass_(self, parts: Parts) -> syntax.Pass:
        return syntax.Pass(span=parts[0].span)


def _single(exprs: Exprs) -> Any:
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


def _no_effect(exprs: Exprs) -> Diagnostic:
    expr = exprs[0]
    match expr:
        case syntax.Unary(op=op, operand=syntax.Unary(op=inner, operand=operand)) if op == inner and op in "+-":
            step = f"{expression_text(operand)} {op}= 1"
            help = f"write `{step}`"
            message = f"there is no operator `{op}{op}`"
            if not isinstance(operand, syntax.Name | syntax.Index) or len(exprs) > 1:
                return error("E0018", message, exprs.span, help=f"write `{op}= 1` after what changes")
            return error("E0018", message, exprs.span, help=help, fix=Fix(exprs.span, step))
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

    def names(self, parts: Parts) -> Group:
        names = [syntax.Name(word.text, span=word.span) for word in parts if word.type != "COMMA"]
        return Group(names, over(parts))

    def clause(self, parts: Parts) -> tuple[Word, Expr]:
        return parts[0], parts[2]

    def iterator(self, parts: Parts) -> tuple[Word, tuple[Expr, ...], dict[str, Expr]]:
        kind = parts[0]
        arguments = parts[2] if isinstance(parts[2], Group) else ()
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
            _clauses([part for part in parts if isinstance(part, tuple) and not isinstance(part, Group)]),
        )

    def for_header(self, parts: Parts) -> Parts:
        names, (kind, _, _) = parts[1], parts[3]
        if kind.text != "grid" and len(names) != 1:
            message = f"a loop over `{kind.text}` has one index"
            raise Malformed(error("E0043", message, names.span, help="nest a loop for each index"))
        return parts

    def for_(self, parts: Parts) -> syntax.Stmt:
        (first, names, _, (kind, arguments, clauses)), suite = parts
        span = over([first, suite])
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
        return syntax.While(condition, tuple(suite), span=over([first, suite]))

    def elif_(self, parts: Parts) -> Parts:
        (first, condition), suite = parts
        return [first, condition, suite]

    def else_(self, parts: Parts) -> Group:
        suite: Group = parts[1]
        return suite

    def if_(self, parts: Parts) -> syntax.If:
        (first, condition), suite, *rest = parts
        orelse: tuple[syntax.Stmt, ...] = ()
        end = suite
        if rest and isinstance(rest[-1], Group):
            end = rest.pop()
            orelse = tuple(end)
        elif rest:
            end = rest[-1][2]
        for word, test, body in reversed(rest):
            orelse = (syntax.If(test, tuple(body), orelse, span=over([word, end])),)
        return syntax.If(condition, tuple(suite), orelse, span=over([first, end]))


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
