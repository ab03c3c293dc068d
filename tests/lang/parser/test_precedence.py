"""Operators bind as in Python: the tree of every generated expression is compared with that of Python's own parser."""

from __future__ import annotations

import ast
import random

import pytest

from tests.lang.parser.reading import expression
from vmc.lang import syntax
from vmc.lang.printer import expression_text
from vmc.lang.syntax import Expr

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.MatMult: "@",
    ast.Pow: "**", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}


def of_python(node: ast.expr) -> object:
    """A Python expression as nested tuples."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return name
        case ast.BinOp(left, op, right):
            return _BINARY[type(op)], of_python(left), of_python(right)
        case ast.UnaryOp(ast.Not(), operand):
            return "not", of_python(operand)
        case ast.UnaryOp(op, operand):
            return _UNARY[type(op)], of_python(operand)
        case ast.BoolOp(op, [first, *rest]):
            word = "and" if isinstance(op, ast.And) else "or"
            tree = of_python(first)
            for value in rest:
                tree = (word, tree, of_python(value))
            return tree
        case ast.Compare(left, [op], [right]):
            return _COMPARE[type(op)], of_python(left), of_python(right)
        case ast.IfExp(test, body, orelse):
            return "if", of_python(test), of_python(body), of_python(orelse)
        case ast.Call(func, args, keywords):
            named = [(str(keyword.arg), of_python(keyword.value)) for keyword in keywords]
            return "call", of_python(func), [of_python(arg) for arg in args], named
        case ast.Subscript(value, ast.Tuple(elts)):
            return "index", of_python(value), [of_python(item) for item in elts]
        case ast.Subscript(value, item):
            return "index", of_python(value), [of_python(item)]
        case ast.Attribute(value, name):
            return "attribute", of_python(value), name
        case ast.List(elts):
            return "list", [of_python(item) for item in elts]
    raise AssertionError(ast.dump(node))


def of_ours(node: Expr | syntax.Slice | syntax.NewAxis) -> object:
    """An expression of the language as nested tuples."""
    match node:
        case syntax.Int(value) | syntax.Float(value) | syntax.Bool(value) | syntax.Str(value):
            return value
        case syntax.Name(name):
            return name
        case syntax.Binary(op, left, right) | syntax.Compare(op, left, right) | syntax.BoolOp(op, left, right):
            return op, of_ours(left), of_ours(right)
        case syntax.Not(operand):
            return "not", of_ours(operand)
        case syntax.Unary(op, operand):
            return op, of_ours(operand)
        case syntax.Conditional(condition, if_true, if_false):
            return "if", of_ours(condition), of_ours(if_true), of_ours(if_false)
        case syntax.Call(func, positional, keywords, (), ()):
            named = [(keyword.name, of_ours(keyword.value)) for keyword in keywords]
            return "call", of_ours(func), [of_ours(arg) for arg in positional], named
        case syntax.Index(base, items):
            return "index", of_ours(base), [of_ours(item) for item in items]
        case syntax.Attribute(base, name):
            return "attribute", of_ours(base), name
        case syntax.ListExpr(items):
            return "list", [of_ours(item) for item in items]
    raise AssertionError(node)


def generated(rng: random.Random, depth: int) -> str:
    """A random expression that both languages have, with few parentheses."""
    if depth == 0:
        return rng.choice(("x", "y", "value", "block", "1", "2.5", "0x1f", "7"))

    def inner() -> str:
        return generated(rng, depth - rng.randint(1, 2) if depth > 1 else 0)

    match rng.randrange(12):
        case 0:
            return f"({inner()})"
        case 1:
            return f"{rng.choice(list(_UNARY.values()))}{inner()}"
        case 2:
            return f"not {inner()}"
        case 3:
            return f"{inner()} {rng.choice(('and', 'or'))} {inner()}"
        case 4:
            return f"({inner()}) {rng.choice(list(_COMPARE.values()))} ({inner()})"
        case 5:
            return f"{inner()} if {inner()} else {inner()}"
        case 6:
            return f"f({inner()}, {inner()}, axis={inner()})"
        case 7:
            return f"x[{inner()}, {inner()}].T"
        case 8:
            return f"[{inner()}, {inner()}]"
        case _:
            return f"{inner()} {rng.choice(list(_BINARY.values()))} {inner()}"


def both(text: str) -> tuple[object, object] | None:
    """What the two parsers make of a text; None where it is no Python or has a chain of comparisons."""
    try:
        python = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    if any(isinstance(node, ast.Compare) and len(node.ops) > 1 for node in ast.walk(python)):
        return None
    return of_python(python), of_ours(expression(text))


@pytest.mark.parametrize("seed", range(20))
def test_generated_expressions_have_the_tree_that_python_gives_them(seed: int) -> None:
    rng = random.Random(seed)
    compared = 0
    for _ in range(60):
        text = generated(rng, rng.randint(1, 5))
        trees = both(text)
        if trees is not None:
            compared += 1
            assert trees[0] == trees[1], text
    assert compared > 20


def test_every_pair_of_operators_binds_as_in_python() -> None:
    operators = [*_BINARY.values(), *_COMPARE.values(), "and", "or"]
    for first in operators:
        for second in operators:
            for text in (
                f"a {first} b {second} c",
                f"-a {first} not b" if first in ("and", "or") else f"-a {first} ~b",
            ):
                trees = both(text)
                if trees is not None:
                    assert trees[0] == trees[1], text


@pytest.mark.parametrize("seed", range(20))
def test_printing_an_expression_and_parsing_it_again_gives_the_same_tree(seed: int) -> None:
    rng = random.Random(1000 + seed)
    for _ in range(60):
        text = generated(rng, rng.randint(1, 5))
        if both(text) is None:
            continue
        tree = expression(text)
        assert expression(expression_text(tree)) == tree, text
