"""The forms of the language: what each line means as a tree."""

from __future__ import annotations

import pytest

from tests.fuzz.mutation import ROOT, seeds
from tests.lang.parser.reading import body, codes, expression, file
from vmc.lang import syntax
from vmc.lang.parser import parse
from vmc.lang.printer import file_text


@pytest.mark.parametrize("source", [s for s in seeds() if not codes(s)], ids=lambda source: source[:24])
def test_printing_a_file_and_parsing_it_again_gives_the_same_tree(source: str) -> None:
    tree = file(source)
    assert file(file_text(tree)) == tree


def test_there_are_programs_to_print() -> None:
    assert sum(not codes(source) for source in seeds()) > 100


def test_the_examples_have_no_syntax_errors() -> None:
    for path in sorted((ROOT / "examples").glob("*.vmc")):
        assert parse(path.read_text(encoding="utf-8"), path.name)[1] == []


def test_a_function_may_have_compile_time_arguments_in_brackets() -> None:
    call = expression("f[8, N=4](x, axis=1)")
    assert isinstance(call, syntax.Call)
    assert call.func == expression("f")
    assert call.static == (expression("8"),)
    assert [keyword.name for keyword in call.static_keywords] == ["N"]
    assert call.positional == (expression("x"),)
    assert [keyword.name for keyword in call.keywords] == ["axis"]


def test_a_type_with_extents_is_an_index_where_a_value_stands() -> None:
    call = expression("zeros(f32[BM, 4])")
    assert isinstance(call, syntax.Call)
    assert call.positional == (expression("f32[BM, 4]"),)
    assert isinstance(call.positional[0], syntax.Index)


@pytest.mark.parametrize(
    ("item", "start", "length", "step"),
    [
        (":", None, None, None),
        (": +4", None, "4", None),
        (":+4", None, "4", None),
        ("i : +N", "i", "N", None),
        ("i*4 : +N*2 : 2", "i*4", "N*2", "2"),
        ("a if c else b : +4", "a if c else b", "4", None),
    ],
)
def test_slices_have_a_start_a_length_and_a_step(
    item: str, start: str | None, length: str | None, step: str | None
) -> None:
    index = expression(f"x[{item}]")
    assert isinstance(index, syntax.Index)
    (found,) = index.items
    assert isinstance(found, syntax.Slice)
    wanted = [None if text is None else expression(text) for text in (start, length, step)]
    assert [found.start, found.length, found.step] == wanted
    assert found.whole == (item == ":")


def test_keywords_of_one_place_are_names_elsewhere() -> None:
    words = "block const fast format grid inout layout out packed pipelined range register shared static unrolled value"
    for word in words.split():
        (statement,) = body(f"{word} = {word} + f({word}, {word}={word})[{word}]")
        assert isinstance(statement, syntax.Assign)
        assert statement.targets[0].id == word


def test_lines_are_joined_inside_brackets_whatever_their_indentation() -> None:
    (statement,) = body("y = max(x,", "# a comment", "1,", ")")
    assert isinstance(statement, syntax.Assign)
    assert statement.value == expression("max(x, 1)")


def test_comments_and_empty_lines_have_no_indentation() -> None:
    source = "def f(x):\n    a = x\n# left\n\n            # right\n    return a # end"
    (function,) = file(source).decls
    assert isinstance(function, syntax.Function)
    assert len(function.body) == 2


def test_branches_nest_in_the_else_of_the_one_before() -> None:
    (statement,) = body("if a:", "    pass", "elif b:", "    pass", "else:", "    return")
    assert isinstance(statement, syntax.If)
    (inner,) = statement.orelse
    assert isinstance(inner, syntax.If)
    assert inner.orelse == (syntax.Return((), span=inner.span),)


def test_strings_have_their_escapes_resolved() -> None:
    assert expression(r'"a\n\t\\\"\0"') == syntax.Str('a\n\t\\"\0', span=expression("1").span)
    assert expression("'it is \"x\"'") == syntax.Str('it is "x"', span=expression("1").span)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("0", 0), ("00", 0), ("0_0", 0), ("1_000", 1000), ("0xfF", 255), ("0b1_01", 5), ("0o17", 15), ("2", 2)],
        *[("1.", 1.0), (".5", 0.5), ("1e3", 1000.0), ("1_0.2_5e-1", 1.025), ("1E+2", 100.0)],
    ],
)
def test_numbers_have_the_value_that_python_gives_them(text: str, value: float) -> None:
    literal = expression(text)
    assert isinstance(literal, syntax.Int | syntax.Float)
    assert literal.value == value
    assert type(literal.value) is type(value)
    assert value == eval(text)


def test_the_text_of_a_float_is_kept_as_written() -> None:
    literal = expression("0.1e0")
    assert isinstance(literal, syntax.Float)
    assert literal.text == "0.1e0"


def test_an_empty_file_is_a_file() -> None:
    for source in ("", "\n", "# nothing", "\ufeff", "   \n\t\n"):
        assert file(source).decls == ()


def test_a_layout_is_kept_as_text_and_as_an_expression() -> None:
    (statement,) = body("y: f32[4] layout local(2,   BM) . spatial( 8 ) = x")
    assert isinstance(statement, syntax.AnnotatedAssign)
    layout = statement.type.layout
    assert layout is not None
    assert layout.text == "local(2, BM).spatial(8)"
    assert layout.expr == expression("local(2, BM).spatial(8)")
