"""A fix that is offered repairs what the diagnostic complains about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diagnostics.test_cases import cases, diagnostics_of
from tests.fuzz.mutation import damaged_program, seeds
from vmc.diagnostics import Diagnostic, Fix
from vmc.diagnostics.cells import source_lines
from vmc.ir.span import Span
from vmc.lang.parser import parse


def applied(source: str, fix: Fix) -> str:
    """The source with the fix made, lines ended by line feeds."""
    lines = source_lines(source)
    span = fix.span
    before = [*lines[: span.line - 1], lines[span.line - 1][: span.column - 1]]
    after = [lines[span.end_line - 1][span.end_column - 1 :], *lines[span.end_line :]]
    return "\n".join(before) + fix.replacement + "\n".join(after)


def same_mistakes(source: str, diagnostic: Diagnostic) -> int:
    found = parse(source, "test.vmc")[1]
    return sum((other.code, other.message) == (diagnostic.code, diagnostic.message) for other in found)


PROGRAMS = [source for source in seeds() if any(d.fix for d in parse(source, "test.vmc")[1])]


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda source: source[:24])
def test_a_fix_removes_its_diagnostic(source: str) -> None:
    for diagnostic in parse(source, "test.vmc")[1]:
        # Of statements at the top level that follow each other only the first is reported.
        if diagnostic.fix is not None and diagnostic.code != "E0023":
            fixed = applied(source, diagnostic.fix)
            assert same_mistakes(fixed, diagnostic) < same_mistakes(source, diagnostic)


def test_the_only_mistake_of_a_program_is_gone_after_its_fix() -> None:
    repaired = 0
    for source in PROGRAMS:
        found = parse(source, "test.vmc")[1]
        if len(found) == 1 and found[0].fix is not None and found[0].code not in ("E0006", "E0017", "E0027"):
            assert parse(applied(source, found[0].fix), "test.vmc")[1] == [], source
            repaired += 1
    assert repaired > 8


@pytest.mark.parametrize("case", cases("syntax"), ids=lambda case: case.stem)
def test_a_fix_of_one_mistake_makes_no_other(case: Path) -> None:
    source, found = diagnostics_of(case)
    for diagnostic in found:
        # A tab, a brace or a bracket seldom comes alone: what followed it is read anew.
        if diagnostic.fix is not None and diagnostic.code not in ("E0006", "E0007", "E0017", "E0023", "E0027"):
            after = parse(applied(source, diagnostic.fix), case.name)[1]
            same_place = [d for d in after if _key(d) == _key(diagnostic)]
            assert not same_place and len(after) <= len(found), (diagnostic.message, diagnostic.fix)


def _key(diagnostic: Diagnostic) -> tuple[str, str, Span]:
    return diagnostic.code, diagnostic.message, diagnostic.span


def test_fixes_of_damaged_programs_lie_within_the_text() -> None:
    offered = 0
    for seed in range(600):
        source = damaged_program(seed)
        lines = source_lines(source)
        for diagnostic in parse(source, "test.vmc")[1]:
            if diagnostic.fix is not None:
                span = diagnostic.fix.span
                assert 1 <= span.line <= span.end_line <= len(lines)
                assert 1 <= span.column <= len(lines[span.line - 1]) + 1
                assert span.end_column <= len(lines[span.end_line - 1]) + 1
                parse(applied(source, diagnostic.fix), "test.vmc")
                offered += 1
    assert offered > 50
