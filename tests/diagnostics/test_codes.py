"""The table of codes: complete, well formed, and true where the parser can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmc.diagnostics.codes import CODES, SUBJECTS, Entry, syntax
from vmc.diagnostics.reference import page
from vmc.lang.parser import parse

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = [entry for entry in CODES.values() if not entry.code.startswith("E09")]


def test_codes_are_unique_and_in_order() -> None:
    listed = [entry.code for _, entries in SUBJECTS for entry in entries]
    assert len(listed) == len(CODES) >= 75
    assert listed == sorted(listed)


@pytest.mark.parametrize("entry", CODES.values(), ids=lambda entry: entry.code)
def test_an_entry_says_what_is_wrong_and_shows_both_ways(entry: Entry) -> None:
    assert re.fullmatch(r"[EW]\d{4}", entry.code)
    assert entry.title and not entry.title.endswith(".") and len(entry.title) <= 80
    assert entry.explanation.endswith(".") and len(entry.explanation) > 40
    assert entry.wrong != entry.right
    assert entry.right.endswith("\n")


@pytest.mark.parametrize("entry", PROGRAMS, ids=lambda entry: entry.code)
def test_the_right_example_has_no_syntax_error(entry: Entry) -> None:
    assert parse(entry.right, "right.vmc")[1] == []


@pytest.mark.parametrize("entry", [e for e in syntax.ENTRIES if e.wrong], ids=lambda entry: entry.code)
def test_the_wrong_example_of_a_syntax_code_gives_that_code(entry: Entry) -> None:
    assert entry.code in {diagnostic.code for diagnostic in parse(entry.wrong, "wrong.vmc")[1]}


@pytest.mark.parametrize("entry", [e for e in PROGRAMS if not e.code.startswith("E00")], ids=lambda entry: entry.code)
def test_the_wrong_example_of_another_code_is_well_formed(entry: Entry) -> None:
    assert parse(entry.wrong, "wrong.vmc")[1] == []


def test_every_code_that_the_sources_mention_is_in_the_table() -> None:
    for folder in ("vmc", "backends", "ir"):
        for path in (ROOT / folder).rglob("*.py"):
            for code in re.findall(r"\"([EW]\d{4})\"", path.read_text(encoding="utf-8")):
                assert code in CODES, f"{path.name}: {code}"


def test_the_page_of_errors_is_current() -> None:
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == page()
