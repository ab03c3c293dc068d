"""Rendering: the marks stand under the culprit whatever the text, the colours, and the width."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmc.diagnostics import Fix, Note, error, warning
from vmc.diagnostics.cells import cells, printable, source_lines
from vmc.diagnostics.render import render, render_all, summary
from vmc.ir.span import UNKNOWN, Span

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def span(line: int, column: int, end_column: int, end_line: int | None = None) -> Span:
    return Span("a.vmc", line, column, end_line or line, end_column)


def test_a_diagnostic_shows_code_place_line_and_label() -> None:
    shown = render(
        error("E0203", "`/` divides floats", span(2, 14, 15), label="integers here"), "def f(n):\n    return n / 2\n"
    )
    assert shown == (
        "error[E0203]: `/` divides floats\n"
        "   --> a.vmc:2:14\n"
        "    |\n"
        "  2 |     return n / 2\n"
        "    |              ^ integers here\n"
    )


def test_help_with_a_fix_shows_the_line_as_it_would_be() -> None:
    diagnostic = error("E0203", "m", span(1, 3, 4), help="write `//`", fix=Fix(span(1, 3, 4), "//"))
    assert render(diagnostic, "n / 2").splitlines()[5:] == [
        "help: write `//`",
        "    |",
        "  1 | n // 2",
        "    |   ~~",
    ]


def test_notes_have_excerpts_of_their_own_also_from_other_files() -> None:
    note = Note(Span("b.vmc", 3, 1, 3, 2), "declared here")
    shown = render(error("E0103", "m", span(1, 1, 2), notes=(note,)), {"a.vmc": "x", "b.vmc": "\n\nyz"})
    assert shown.splitlines()[5:] == ["note: declared here", "   --> b.vmc:3:1", "    |", "  3 | yz", "    | -"]


def test_a_warning_and_a_note_without_a_place() -> None:
    shown = render(warning("W0101", "m", span(1, 1, 2), notes=(Note(None, "n"),), help="h"), "x")
    assert shown.startswith("warning[W0101]: m\n")
    assert shown.endswith("    = note: n\n    = help: h\n")


def test_a_span_over_many_lines_shows_its_first_and_last_lines() -> None:
    source = "".join(f"  line {i}\n" for i in range(1, 12))
    shown = render(error("E0001", "m", span(2, 5, 7, 9), label="here"), source).splitlines()
    assert [line for line in shown if "line" in line] == ["  2 |   line 2", "  3 |   line 3", "  9 |   line 9"]
    assert "..." in shown
    assert shown[-1] == "    |   ^^^^ here"
    assert shown[4] == "    |     ^^^^"


def test_the_gutter_is_as_wide_as_the_largest_line_number() -> None:
    note = Note(span(12345, 1, 2), "n")
    shown = render(error("E0001", "m", span(7, 1, 2), notes=(note,)), "x\n" * 20000).splitlines()
    assert len({line.index("|") for line in shown if "|" in line}) == 1


@pytest.mark.parametrize(
    "source", ["\tx", "\t \tx", "中文x", "e\u0301x", "\U0001f642x", "\0\x1bx", "\ud800x", "\u200bx"]
)
def test_marks_stand_under_the_culprit(source: str) -> None:
    column = len(source)
    shown = render(error("E0001", "m", span(1, column, column + 1)), source).splitlines()
    line, marks = shown[3], shown[4]
    before = line[: line.index("x")]
    width = sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in before
    )
    assert marks.index("^") == width
    assert marks.count("^") == 1
    assert "\t" not in line and "\0" not in line and "\x1b" not in line
    "".join(shown).encode()


def test_a_long_line_is_cut_around_the_culprit() -> None:
    source = "a" * 5000 + "HERE" + "b" * 5000
    shown = render(error("E0001", "m", span(1, 5001, 5005)), source, width=80).splitlines()
    assert all(len(line) <= 80 for line in shown)
    assert shown[3][shown[4].index("^") : shown[4].rindex("^") + 1] == "HERE"
    assert "..." in shown[3]


def test_places_that_do_not_exist_are_shown_without_an_excerpt() -> None:
    for place in (UNKNOWN, span(99, 1, 2), Span("other.vmc", 1, 1, 1, 2)):
        assert "^" not in render(error("E0001", "m", place), {"a.vmc": "x"})
    assert "^" in render(error("E0001", "m", span(1, 50, 60)), "x")
    assert "^" in render(error("E0001", "m", span(2, 1, 1)), "x\n")
    assert render(error("E0001", "m", span(1, 1, 2)), None) == "error[E0001]: m\n   --> a.vmc:1:1\n"


def test_colour_changes_nothing_but_colour() -> None:
    note = Note(span(1, 1, 2), "n")
    diagnostic = error("E0001", "m", span(1, 3, 4), label="l", notes=(note,), help="h", fix=Fix(span(1, 3, 4), "zz"))
    plain, coloured = render(diagnostic, "x y"), render(diagnostic, "x y", color=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in coloured
    assert ANSI.sub("", coloured) == plain


def test_counts_come_after_the_last_diagnostic() -> None:
    one, two = error("E0001", "m", span(1, 1, 2)), warning("W0101", "m", span(1, 1, 2))
    assert summary([one, one, two]) == "2 errors, 1 warning"
    assert summary([]) == "no errors"
    assert render_all([one], "x").endswith("^\n\n1 error\n")
    assert render_all([], "x") == ""


def test_json_holds_everything() -> None:
    diagnostic = error(
        "E0001", "m", span(1, 2, 3), label="l", notes=(Note(None, "n"),), help="h", fix=Fix(span(1, 2, 3), "r")
    )
    data = json.loads(json.dumps(diagnostic.to_json()))
    place = {"file": "a.vmc", "line": 1, "column": 2, "end_line": 1, "end_column": 3}
    assert data == {
        "code": "E0001",
        "severity": "error",
        "message": "m",
        "span": place,
        "label": "l",
        "notes": [{"span": None, "text": "n"}],
        "help": "h",
        "fix": {"span": place, "replacement": "r"},
    }


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    source=st.text(max_size=200),
    message=st.text(max_size=40),
    place=st.tuples(*[st.integers(0, 30)] * 4),
    width=st.integers(1, 120),
)
def test_anything_can_be_rendered(source: str, message: str, place: tuple[int, int, int, int], width: int) -> None:
    where = Span("a.vmc", *place)
    diagnostic = error("E0001", message, where, label=message, help=message, fix=Fix(where, message))
    shown = render(diagnostic, source, width=width)
    shown.encode()
    assert shown.endswith("\n")
    assert all(letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cs") for letter in shown)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_a_line_has_a_cell_for_every_letter(line: str) -> None:
    laid = cells(line)
    assert len(laid.starts) == len(line) + 1
    assert laid.starts == sorted(laid.starts)
    assert len(laid.text()) >= len(line)
    assert laid.text() == "".join(laid.shown)


def test_lines_end_where_the_scanner_ends_them() -> None:
    assert source_lines("\ufeffa\r\nb\rc\nd\u2028e\x0bf") == ["a", "b", "c", "d\u2028e\x0bf"]
    assert printable("a\nb\t\x07") == "a b \ufffd"
