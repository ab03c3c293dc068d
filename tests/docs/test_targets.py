"""docs/targets.md: its table is the one in the code, and its command runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.snippets import snippets
from vmc.backends.cpu.levels import LEVELS, PORTABLE
from vmc.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "targets.md"
ROW = re.compile(r"^\| `cpu:(\S+)` \| (?:`(\S+)`)? ?\| ?([^|]*?) ?\| ([^|]*) \|$", re.MULTILINE)


def test_the_table_lists_every_level_with_what_it_needs() -> None:
    rows = ROW.findall(DOCUMENT.read_text("utf-8").partition("<!-- levels -->")[2])
    assert [name for name, *_ in rows] == list(LEVELS)
    for name, less, added, example in rows:
        before = LEVELS[less].needs if less else frozenset()
        new = set(added.split(", ")) if added else set()
        assert LEVELS[name].needs == before | new and not before & new
        assert LEVELS[name].example == example


def test_the_levels_of_portable_code_are_named_in_order() -> None:
    (sentence,) = re.findall(
        r"^`cpu:portable` compiles a kernel for (.*?)\.", DOCUMENT.read_text("utf-8"), re.MULTILINE
    )
    assert tuple(re.findall(r"`(\S+)`", sentence)) == PORTABLE


def test_the_command_succeeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    (snippet,) = snippets(DOCUMENT)
    assert main(shlex.split(snippet.text)[1:]) == 0
    assert "fmla" in capsys.readouterr().out
