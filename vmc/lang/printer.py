"""From syntax trees back to source text: parsing the text gives an equal tree.

`expression_text` prints one expression with no more parentheses than needed, `file_text` a whole file with four spaces
a level.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmc.lang import syntax
from vmc.lang.syntax import Decl, Expr, IndexItem, Stmt

_CONDITIONAL, _OR, _AND, _NOT, _COMPARE = 1, 2, 3, 4, 5
_BINARY = {
    "|": 6, "^": 7, "&": 8, "<<": 9, ">>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "//": 11, "%": 11, "@": 11, "**": 13,
}  # fmt: skip
_UNARY, _POSTFIX = 12, 14
_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})


def expression_text(expr: Expr) -> str:
    """The source of an expression."""
    return _expr(expr, 0)


def _expr(expr: Expr, least: int) -> str:
    """The source of an expression where only what binds at least as tightly as `least` may stand bare."""
    binding, text = _bare(expr)
    return text if binding >= least else f"({text})"


def _bare(expr: Expr) -> tuple[int, str]:
    match expr:
        case syntax.Conditional(condition, if_true, if_false):
            return _CONDITIONAL, f"{_expr(if_true, _OR)} if {_expr(condition, _OR)} else {_expr(if_false, 0)}"
        case syntax.BoolOp(op, left, right):
            level = _OR if op == "or" else _AND
            return level, f"{_expr(left, level)} {op} {_expr(right, level + 1)}"
        case syntax.Not(operand):
            return _NOT, f"not {_expr(operand, _NOT)}"
        case syntax.Compare(op, left, right):
            return _COMPARE, f"{_expr(left, _COMPARE + 1)} {op} {_expr(right, _COMPARE + 1)}"
        case syntax.Binary("**", left, right):
            return _BINARY["**"], f"{_expr(left, _POSTFIX)} ** {_expr(right, _UNARY)}"
        case syntax.Binary(op, left, right):
            level = _BINARY[op]
            return level, f"{_expr(left, level)} {op} {_expr(right, level + 1)}"
        case syntax.Unary(op, operand):
            return _UNARY, f"{op}{_expr(operand, _UNARY)}"
        case syntax.ScopedAlloc(call, space, layout):
            pinned = f" layout {layout.text}" if layout else ""
            return 0, f"{_expr(call, 0)}{f' in {space}' if space else ''}{pinned}"
    return _POSTFIX, _primary(expr)


def _primary(expr: Expr) -> str:
    match expr:
        case syntax.Int(value):
            return str(value)
        case syntax.Float(_, text):
            return text
        case syntax.Bool(value):
            return "true" if value else "false"
        case syntax.Str(value):
            return f'"{value.translate(_QUOTES)}"'
        case syntax.Name(name):
            return name
        case syntax.Attribute(base, name):
            return f"{_expr(base, _POSTFIX)}.{name}"
        case syntax.Index(base, items):
            return f"{_expr(base, _POSTFIX)}[{', '.join(map(_item, items))}]"
        case syntax.ListExpr(items):
            return f"[{', '.join(map(expression_text, items))}]"
        case syntax.Call(func, positional, keywords, static, static_keywords):
            brackets = f"[{_arguments(static, static_keywords)}]" if static or static_keywords else ""
            called = f"({expression_text(func)})" if isinstance(func, syntax.Index) else _expr(func, _POSTFIX)
            return f"{called}{brackets}({_arguments(positional, keywords)})"
    raise AssertionError(f"no text for {type(expr).__name__}")


def _arguments(positional: tuple[Expr, ...], keywords: tuple[syntax.Keyword, ...]) -> str:
    named = (f"{keyword.name}={expression_text(keyword.value)}" for keyword in keywords)
    return ", ".join([*map(expression_text, positional), *named])


def _item(item: IndexItem) -> str:
    match item:
        case syntax.NewAxis():
            return "None"
        case syntax.Slice(_, None, _):
            return ":"
        case syntax.Slice(start, length, step):
            head = f"{expression_text(start)} : " if start else ": "
            tail = f" : {expression_text(step)}" if step else ""
            assert length is not None
            return f"{head}+{expression_text(length)}{tail}"
        case _:
            return expression_text(item)


def _layout(layout: syntax.LayoutExpr | None, word: str) -> str:
    return f" {word} {expression_text(layout.expr)}" if layout else ""


def _type(type_: syntax.TypeExpr) -> str:
    extents = "" if type_.extents is None else f"[{', '.join(map(expression_text, type_.extents))}]"
    space = f" in {type_.space}" if type_.space else ""
    return f"{expression_text(type_.base)}{extents}{space}{_layout(type_.layout, 'layout')}"


# ---- statements ------------------------------------------------------------------------------------------------------


def statement_lines(statement: Stmt, indent: str = "") -> Iterator[str]:
    """The lines of a statement."""
    match statement:
        case syntax.ForGrid() | syntax.ForRange() | syntax.ForStatic() | syntax.While():
            yield f"{indent}{_loop(statement)}:"
            yield from _body(statement.body, indent)
        case syntax.If():
            yield from _branches(statement, indent, "if")
        case _:
            yield indent + _simple(statement)


def _body(body: tuple[Stmt, ...], indent: str) -> Iterator[str]:
    for statement in body:
        yield from statement_lines(statement, indent + "    ")


def _branches(statement: syntax.If, indent: str, word: str) -> Iterator[str]:
    yield f"{indent}{word} {expression_text(statement.condition)}:"
    yield from _body(statement.body, indent)
    match statement.orelse:
        case ():
            return
        case (syntax.If() as other,):
            yield from _branches(other, indent, "elif")
        case orelse:
            yield f"{indent}else:"
            yield from _body(orelse, indent)


def _loop(statement: syntax.ForGrid | syntax.ForRange | syntax.ForStatic | syntax.While) -> str:
    match statement:
        case syntax.While(condition):
            return f"while {expression_text(condition)}"
        case syntax.ForGrid(targets, extents):
            names = ", ".join(target.id for target in targets)
            return f"for {names} in grid({', '.join(map(expression_text, extents))})"
        case syntax.ForStatic(target, start, stop, step):
            return f"for {target.id} in static({_bounds(start, stop, step)})"
        case syntax.ForRange(target, start, stop, step, pipelined, unrolled):
            stages = f" pipelined({expression_text(pipelined)})" if pipelined else ""
            turns = f" unrolled({expression_text(unrolled)})" if unrolled else ""
            return f"for {target.id} in range({_bounds(start, stop, step)}){stages}{turns}"


def _bounds(start: Expr | None, stop: Expr, step: Expr | None) -> str:
    return ", ".join(expression_text(bound) for bound in (start, stop, step) if bound is not None)


def _simple(statement: Stmt) -> str:
    match statement:
        case syntax.Assign(targets, value):
            return f"{', '.join(target.id for target in targets)} = {expression_text(value)}"
        case syntax.AnnotatedAssign(target, type_, value):
            return f"{target.id}: {_type(type_)} = {expression_text(value)}"
        case syntax.Store(target, value):
            return f"{expression_text(target)} = {expression_text(value)}"
        case syntax.AugAssign(target, op, value) | syntax.AugStore(target, op, value):
            return f"{expression_text(target)} {op}= {expression_text(value)}"
        case syntax.ExprStmt(call):
            return expression_text(call)
        case syntax.Return(values):
            return " ".join(["return", ", ".join(map(expression_text, values))]).rstrip()
        case syntax.Assert(condition, message) | syntax.StaticAssert(condition, message):
            word = "assert" if isinstance(statement, syntax.Assert) else "static_assert"
            said = f", {expression_text(message)}" if message else ""
            return f"{word} {expression_text(condition)}{said}"
        case _:
            return "pass"


# ---- declarations ----------------------------------------------------------------------------------------------------


def _static_params(params: tuple[syntax.StaticParam, ...]) -> str:
    if not params:
        return ""
    texts = []
    for param in params:
        kind = f": {param.kind}" if param.kind else ""
        default = f" = {expression_text(param.default)}" if param.default else ""
        texts.append(f"{param.name}{kind}{default}")
    return f"[{', '.join(texts)}]"


def _declaration(decl: Decl) -> Iterator[str]:
    match decl:
        case syntax.Const(name, value):
            yield f"const {name} = {expression_text(value)}"
        case syntax.TableConst(name, type_, value):
            yield f"const {name}: {_type(type_)} = {expression_text(value)}"
        case syntax.Function(name, static, params, results, body):
            inputs = ", ".join(f"{p.name}: {_type(p.type)}" if p.type else p.name for p in params)
            arrow = f" -> {', '.join(map(_type, results))}" if results else ""
            yield f"def {name}{_static_params(static)}({inputs}){arrow}:"
            yield from _body(body, "")
        case syntax.Kernel(name, fast, static, kernel_params, body):
            given = ", ".join(
                f"{p.name}: {'' if p.access == 'in' else p.access + ' '}{_type(p.type)}" for p in kernel_params
            )
            yield f"{'fast ' if fast else ''}kernel {name}{_static_params(static)}({given}):"
            yield from _body(body, "")
        case syntax.FormatDecl():
            yield from _format(decl)


def _format(decl: syntax.FormatDecl) -> Iterator[str]:
    yield f"format {decl.name} block {expression_text(decl.block)}:"
    for row in decl.fields:
        count = f"[{expression_text(row.count)}]" if row.count else ""
        yield f"    {row.name}: {expression_text(row.dtype)}{count}{_layout(row.packed, 'packed')}"
    for line in decl.lines:
        yield f"    {line.name} = {expression_text(line.value)}"
    yield f"    value[{decl.value.index}] = {expression_text(decl.value.value)}"


def file_text(file: syntax.File) -> str:
    """The source of a file: imports first, then the declarations in order."""
    lines: list[str] = []
    for node in file.imports:
        match node:
            case syntax.Import(module):
                lines.append(f"import {module}")
            case syntax.FromImport(module, names):
                lines.append(f"from {module} import {', '.join(name.id for name in names)}")
    for decl in file.decls:
        lines.extend(_declaration(decl))
    return "".join(line + "\n" for line in lines)
