"""Programs with mistakes beside what is printed about them: `cases/SUBJECT/NAME.vmc` and `NAME.txt`.

The cases under `cases/syntax` are read by the parser alone, the others by the whole checker. After a change that is
meant, `python -m tests.diagnostics.test_cases SUBJECT...` writes the texts anew, to be read before they are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vmc.diagnostics import Diagnostic
from vmc.diagnostics.codes import CODES
from vmc.diagnostics.render import render_all
from vmc.lang import check_source
from vmc.lang.parser import parse

CASES = Path(__file__).parent / "cases"


def diagnostics_of(case: Path) -> tuple[str, list[Diagnostic]]:
    source = case.read_bytes().decode()
    if case.parent.name == "syntax":
        return source, parse(source, case.name)[1]
    return source, check_source(source, case.name)


def rendering(case: Path) -> str:
    source, diagnostics = diagnostics_of(case)
    return render_all(diagnostics, source)


def cases(subject: str = "*") -> list[Path]:
    return sorted(CASES.glob(f"{subject}/*.vmc"))


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}-{case.stem}")
def test_a_program_with_mistakes_is_answered_with_the_text_beside_it(case: Path) -> None:
    assert rendering(case) == case.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}-{case.stem}")
def test_every_code_that_is_reported_is_in_the_table(case: Path) -> None:
    _, diagnostics = diagnostics_of(case)
    assert diagnostics
    assert {diagnostic.code for diagnostic in diagnostics} <= set(CODES)


if __name__ == "__main__":
    for subject in sys.argv[1:] or ["*"]:
        for path in cases(subject):
            path.with_suffix(".txt").write_text(rendering(path), encoding="utf-8")
