"""What the tests of the parser share: parsing what must be correct, and walking over all nodes of a tree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.parser import parse
from vmc.lang.syntax import Expr, Node, Stmt


def file(source: str) -> syntax.File:
    tree, diagnostics = parse(source, "test.vmc")
    assert not diagnostics, diagnostics
    return tree


def body(*lines: str) -> tuple[Stmt, ...]:
    """The statements of a function with these lines."""
    (function,) = file("def f(x):\n" + "".join(f"    {line}\n" for line in lines)).decls
    assert isinstance(function, syntax.Function)
    return function.body


def expression(text: str) -> Expr:
    (constant,) = file(f"const A = {text}\n").decls
    assert isinstance(constant, syntax.Const)
    return constant.value


def codes(source: str) -> list[str]:
    return [diagnostic.code for diagnostic in parse(source, "test.vmc")[1]]


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside a node, in the order of its fields."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Node):
                yield item


def nodes(node: Node) -> Iterator[Node]:
    """The node and all nodes inside it."""
    yield node
    for child in children(node):
        yield from nodes(child)


def source_at(source: str, span: Span) -> str:
    """The text that a span covers."""
    lines = source.split("\n")
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    middle = lines[span.line : span.end_line - 1]
    return "\n".join(
        [lines[span.line - 1][span.column - 1 :], *middle, lines[span.end_line - 1][: span.end_column - 1]]
    )
