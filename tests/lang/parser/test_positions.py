"""Every node's span covers exactly the text that the node stands for."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from tests.lang.parser.reading import body, children, expression, file, nodes, source_at
from vmc.ir.span import Span
from vmc.lang import syntax

PROGRAM = """\
import linalg
from linalg import cholesky, lu

const PI = 3.25
const NF4: f32[2] = [-1.0, inf]   # a table

def axpy[N = 4, T: type](a: f32, x: f32[N, D], rest) -> f32[N, D], i32:
    y = a * x + rest
    return y, dim(x, 0)

format q4 block 32:
    d: f16
    q: u4[32] packed split(16)
    low = q[3] & 15
    value[i] = f32(d) * (f32(low) - 8.0)

fast kernel k[F: format = q4](
    x: F[M, K],
    y: inout f32[M] layout local(2).spatial(8),
):
    rows: i64 = cdiv(M, 8)
    for i in grid(rows):
        s = alloc(f16[8, 8]) in shared layout row_major(8, 8)
        t: f32[8] in register = zeros(f32[8])
        for j in range(0, K, 8) pipelined(3) unrolled(2):
            t += sum(x[i * 8 : +8, : +8 : 2], axis=1)
        for j in static(2):
            barrier()
        while any(t > 1.0) and not (t == 0.0 or true):
            a, b = sort(t, axis=0)
            t = a if M < 4 else axpy[8, T=f32](-b, ~t[:, None], linalg.id(t.T))
        if K == 0:
            pass
        elif M == 1:
            assert K > 1, "K"
        else:
            static_assert 1 << 2 != 3
        y[i * 8 : +8] = t
        y[0] += t[1]
"""


def texts(kind: type[syntax.Node]) -> list[str]:
    return [source_at(PROGRAM, node.span) for node in nodes(file(PROGRAM)) if type(node) is kind]


# The kinds of node with the text of one or more of each, in the order of the program.
EXPECTED: dict[type[syntax.Node], list[str]] = {
    syntax.Import: ["import linalg"],
    syntax.FromImport: ["from linalg import cholesky, lu"],
    syntax.Const: ["const PI = 3.25"],
    syntax.TableConst: ["const NF4: f32[2] = [-1.0, inf]"],
    syntax.ListExpr: ["[-1.0, inf]"],
    syntax.Float: ["3.25", "1.0", "inf", "8.0", "1.0", "0.0"],
    syntax.StaticParam: ["N = 4", "T: type", "F: format = q4"],
    syntax.FunctionParam: ["a: f32", "x: f32[N, D]", "rest"],
    syntax.KernelParam: ["x: F[M, K]", "y: inout f32[M] layout local(2).spatial(8)"],
    syntax.FormatField: ["d: f16", "q: u4[32] packed split(16)"],
    syntax.FormatLine: ["low = q[3] & 15"],
    syntax.FormatValue: ["value[i] = f32(d) * (f32(low) - 8.0)"],
    syntax.LayoutExpr: ["packed split(16)", "layout local(2).spatial(8)", "layout row_major(8, 8)"],
    syntax.ScopedAlloc: ["alloc(f16[8, 8]) in shared layout row_major(8, 8)"],
    syntax.AnnotatedAssign: ["rows: i64 = cdiv(M, 8)", "t: f32[8] in register = zeros(f32[8])"],
    syntax.Assign: [
        "y = a * x + rest",
        "s = alloc(f16[8, 8]) in shared layout row_major(8, 8)",
        "a, b = sort(t, axis=0)",
        "t = a if M < 4 else axpy[8, T=f32](-b, ~t[:, None], linalg.id(t.T))",
    ],
    syntax.AugAssign: ["t += sum(x[i * 8 : +8, : +8 : 2], axis=1)"],
    syntax.Store: ["y[i * 8 : +8] = t"],
    syntax.AugStore: ["y[0] += t[1]"],
    syntax.ExprStmt: ["barrier()"],
    syntax.Pass: ["pass"],
    syntax.Return: ["return y, dim(x, 0)"],
    syntax.Assert: ['assert K > 1, "K"'],
    syntax.StaticAssert: ["static_assert 1 << 2 != 3"],
    syntax.Str: ['"K"'],
    syntax.Bool: ["true"],
    syntax.Slice: ["i * 8 : +8", ": +8 : 2", ":", "i * 8 : +8"],
    syntax.NewAxis: ["None"],
    syntax.Keyword: ["axis=1", "axis=0", "T=f32"],
    syntax.Conditional: ["a if M < 4 else axpy[8, T=f32](-b, ~t[:, None], linalg.id(t.T))"],
    syntax.BoolOp: ["any(t > 1.0) and not (t == 0.0 or true)", "(t == 0.0 or true)"],
    syntax.Not: ["not (t == 0.0 or true)"],
    syntax.Compare: ["t > 1.0", "t == 0.0", "M < 4", "K == 0", "M == 1", "K > 1", "1 << 2 != 3"],
    syntax.Unary: ["-1.0", "-b", "~t[:, None]"],
    syntax.Attribute: ["local(2).spatial", "linalg.id", "t.T"],
    syntax.Binary: [
        "a * x + rest",
        "a * x",
        "q[3] & 15",
        "f32(d) * (f32(low) - 8.0)",
        "(f32(low) - 8.0)",
        "i * 8",
        "1 << 2",
        "i * 8",
    ],
}


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_the_span_of_every_node_covers_its_own_text(kind: type[syntax.Node]) -> None:
    assert texts(kind) == EXPECTED[kind]


def test_the_program_has_every_kind_of_node() -> None:
    unions = typing.get_args(syntax.Expr | syntax.Stmt | syntax.Decl)
    assert {type(node) for node in nodes(file(PROGRAM))} >= set(unions) | set(EXPECTED)


@pytest.mark.parametrize("kind", [syntax.Name, syntax.Int])
def test_the_span_of_a_leaf_covers_its_text(kind: type[syntax.Node]) -> None:
    leaves = [node for node in nodes(file(PROGRAM)) if type(node) is kind]
    assert len(leaves) > 10
    for leaf in leaves:
        written = leaf.id if isinstance(leaf, syntax.Name) else str(getattr(leaf, "value", ""))
        assert source_at(PROGRAM, leaf.span) == written


def test_the_span_of_a_block_reaches_to_the_end_of_its_last_line() -> None:
    for kind in (syntax.Function, syntax.Kernel, syntax.ForGrid, syntax.ForRange, syntax.While, syntax.If):
        for text in texts(kind):
            assert text == text.strip()
            assert "\n" in text
    assert texts(syntax.Function)[0].endswith("return y, dim(x, 0)")
    assert texts(syntax.Kernel)[0].startswith("fast kernel k[")
    assert texts(syntax.Kernel)[0].endswith("y[0] += t[1]")
    assert texts(syntax.If)[1] == texts(syntax.If)[0][texts(syntax.If)[0].index("elif") :]
    assert texts(syntax.ForStatic) == ["for j in static(2):\n            barrier()"]


def test_names_and_operators_have_spans_of_their_own() -> None:
    for node in nodes(file(PROGRAM)):
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if field.name == "span" or not isinstance(value, Span):
                continue
            text = source_at(PROGRAM, value)
            named = getattr(node, field.name.removesuffix("_span"), None)
            assert text in (named, f"{named}="), (type(node).__name__, field.name)


def test_a_node_lies_within_the_node_around_it() -> None:
    def place(span: Span) -> tuple[tuple[int, int], tuple[int, int]]:
        return (span.line, span.column), (span.end_line, span.end_column)

    for node in nodes(file(PROGRAM)):
        start, end = place(node.span)
        for child in children(node):
            first, last = place(child.span)
            assert start <= first <= last <= end, (node, child)


def test_columns_count_letters_and_lines_count_every_kind_of_line_end() -> None:
    tree = file('\ufeffconst A = 1\r\nconst B = 2\rconst C = 3\ndef f(x):\n    print("\U0001f642é", x)\n')
    assert [decl.span.line for decl in tree.decls] == [1, 2, 3, 4]
    assert tree.decls[0].span.column == 1
    names = [node for node in nodes(tree) if node == syntax.Name("x", span=node.span)]
    assert [name.span.column for name in names] == [17]


def test_parentheses_belong_to_the_expression_they_hold() -> None:
    value = expression("((1 + 2)) * 3")
    assert isinstance(value, syntax.Binary)
    assert (value.left.span.column, value.left.span.end_column) == (11, 20)
    assert value.span.column == 11


def test_a_statement_after_the_colon_stands_alone_in_its_block() -> None:
    (statement,) = body("if x: y = 1")
    assert isinstance(statement, syntax.If)
    assert len(statement.body) == 1
    assert statement.body[0].span.column == 11
