"""After a mistake the parser goes on: other declarations are kept, other mistakes are found, and nothing raises."""

from __future__ import annotations

import time

import pytest

from tests.lang.parser.reading import codes
from vmc.diagnostics.codes import Entry
from vmc.diagnostics.codes import syntax as syntax_codes
from vmc.lang.parser import MAX_DIAGNOSTICS, parse
from vmc.lang.scanner import MAX_CHARACTERS, MAX_DEPTH, MAX_LINE

GOOD = "def good{0}(x):\n    return x\n\n"


def test_declarations_without_a_mistake_are_kept() -> None:
    source = GOOD.format(1) + "def bad(x)\n    y = = x\n\n" + GOOD.format(2) + "const C = )\n" + GOOD.format(3)
    tree, diagnostics = parse(source, "test.vmc")
    assert [decl.name for decl in tree.decls] == ["good1", "good2", "good3"]
    assert tree.damaged == {"bad", "C"}
    assert [diagnostic.code for diagnostic in diagnostics] == ["E0002", "E0038", "E0008"]


@pytest.mark.parametrize("header", ["kernal k(x: f32):", "fast kernel k(x: f32)", "format k blok 3:", "def k(x:"])
def test_the_name_of_a_damaged_declaration_is_known(header: str) -> None:
    assert parse(f"{header}\n    pass\n", "test.vmc")[0].damaged == {"k"}


@pytest.mark.parametrize("first", [entry for entry in syntax_codes.ENTRIES if entry.wrong], ids=lambda e: e.code)
def test_a_mistake_does_not_hide_one_in_the_next_declaration(first: Entry) -> None:
    later = "def later(x):\n    return x +\n"
    found = parse(first.wrong + "\n" + later, "test.vmc")[1]
    line = (first.wrong + "\n" + later).rstrip("\n").count("\n") + 1
    assert first.code in {diagnostic.code for diagnostic in found}
    assert [d.code for d in found if d.span.line == line] == ["E0038"]


@pytest.mark.parametrize("first", [entry for entry in syntax_codes.ENTRIES if entry.wrong], ids=lambda e: e.code)
def test_one_mistake_gives_one_message(first: Entry) -> None:
    lines = [diagnostic.span.line for diagnostic in parse(first.wrong, "test.vmc")[1]]
    assert len(lines) == len(set(lines))


def test_each_bad_line_of_a_body_is_reported_once() -> None:
    lines = [
        "a = x +",
        "for k in y:",
        "    b = 1 2",
        "c = (x",
        "if c = 3:",
        "    pass",
        "else:",
        "    d ! e",
        "return ]",
    ]
    source = "def f(x):\n" + "".join(f"    {line}\n" for line in lines)
    found = parse(source, "test.vmc")[1]
    assert [(diagnostic.span.line, diagnostic.code) for diagnostic in found] == [
        (2, "E0038"), (3, "E0032"), (4, "E0037"), (5, "E0007"), (6, "E0016"), (9, "E0018"), (10, "E0008"),
    ]  # fmt: skip


def test_an_unclosed_bracket_ends_at_the_next_declaration() -> None:
    source = "const A = [1,\n    2,\n" + GOOD.format(1)
    tree, diagnostics = parse(source, "test.vmc")
    assert [decl.name for decl in tree.decls] == ["good1"]
    assert [(d.code, d.span.line, d.span.column) for d in diagnostics] == [("E0007", 1, 11)]


def test_only_so_many_mistakes_are_shown() -> None:
    found = parse("".join(f"const A{i} =\n" for i in range(500)), "test.vmc")[1]
    assert len(found) == MAX_DIAGNOSTICS
    assert "further mistakes" in found[-1].notes[-1].text


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("const A = " + "(" * 100_0 + "1" + ")" * 100_0, "E0029"),
        ("const A = " + "-" * 50_000 + "1", "E0029"),
        ("const A = " + "not " * 10_000 + "x", "E0029"),
        ("const A = " + "1 + " * 10_000 + "x", "E0029"),
        ("const A = " + "x ** " * 10_000 + "x", "E0029"),
        ("const A = " + "x if y else " * 5_000 + "x", "E0029"),
        ("const A = x" + ".T" * 10_000, "E0029"),
        ("const A = x" + "[1]" * 10_000, "E0029"),
        ("const A = " + "f(" * 10_000, "E0029"),
        ("const A = " + "9" * 50_000, "E0013"),
        ("const A = 1e" + "9" * 50_000, "E0013"),
        ("const A = 0x" + "f" * 50_000, "E0013"),
        ("const A = " + "[" * 50_000, "E0007"),
        ("const A = " + "x" * (MAX_LINE + 1), "E0041"),
        ("\n" * (MAX_CHARACTERS + 1), "E0041"),
        ("def f(x):\n" + "".join("    " * i + "if x:\n" for i in range(1, 400)), "E0029"),
        ("def f(x):\n    if x:\n        pass\n" + "    elif x:\n        pass\n" * 5_000, "E0029"),
        ('const A = "' + "a" * 50_000, "E0009"),
        ('"' * 50_001, "E0031"),
        ("'''" * 3 + "x" * 50_000, "E0009"),
        ("const A = 1\0\n", "E0010"),
        ("const \ud800 = 1\n", "E0010"),
        ("const A = '\udfff'\n", ""),
        ("const \u4e2d = 1\n", "E0011"),
        ("const A = \u0663\n", "E0010"),
        ("const A = x\u00b2\n", "E0011"),
        ("const A = 1\x0c\n", "E0010"),
    ],
    ids=lambda value: repr(value)[:28],
)
def test_extreme_input_gives_a_diagnostic_and_no_exception(source: str, code: str) -> None:
    start = time.perf_counter()
    found = codes(source)
    assert code in found if code else not found
    assert time.perf_counter() - start < 5.0


def test_what_is_accepted_is_never_deeper_than_the_limit() -> None:
    assert codes(f"const A = {'(' * (MAX_DEPTH - 1)}1{')' * (MAX_DEPTH - 1)}\n") == []
    assert codes("const A = " + ", ".join(["[-1.5]"]).join("[]") + "\n") == []
    assert codes("const A = [" + ", ".join(["-1.5"] * 3000) + "]\n") == []


def test_a_big_file_is_parsed_in_seconds() -> None:
    body = "    y = max(x[i * 8 : +8, None], 1.5) * (x + 2) if x else f(x, axis=1)\n" * 40
    source = "".join(f"def f{i}(x):\n{body}" for i in range(50))
    start = time.perf_counter()
    tree, diagnostics = parse(source, "test.vmc")
    assert (len(tree.decls), diagnostics) == (50, [])
    assert time.perf_counter() - start < 10.0


def test_a_big_file_full_of_mistakes_is_parsed_in_seconds() -> None:
    source = "def f(x):\n" + "    y = x +\n    z = (1\n    if x\n        pass\n" * 500
    start = time.perf_counter()
    assert len(codes(source)) == MAX_DIAGNOSTICS
    assert time.perf_counter() - start < 10.0
