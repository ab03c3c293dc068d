"""docs/tuning.md: its Python runs, its commands are understood, and what it says of numbers and tables is so."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.docs.snippets import snippets
from tests.tuning.entries import ENTRY
from vmc.cli import build_parser
from vmc.tuning import lookup, race, space

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "tuning.md"
SNIPPETS = snippets(DOCUMENT)


def test_the_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (snippet,) = (snippet for snippet in SNIPPETS if snippet.language == "python")
    names: dict[str, object] = {}
    exec(compile(snippet.text, "tuning.md", "exec"), names)
    assert "kernel" in names


def test_the_commands_are_understood() -> None:
    text = "\n".join(snippet.text for snippet in SNIPPETS if snippet.language == "sh").replace("\\\n", " ")
    commands = [line.strip() for line in text.splitlines() if line.strip().startswith("vmc ")]
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command)[1:]
        parser, _ = build_parser(words[0])
        assert parser.parse_args(words).command == words[0]


def test_the_numbers_are_those_of_the_program() -> None:
    text = DOCUMENT.read_text("utf-8")
    plan = race.Plan()
    assert (plan.rounds, plan.block, race.GAIN, lookup.REACH, space.OCTAVES) == (6, 0.02, 0.98, 3.0, 2)
    assert "six rounds" in text and "20 ms" in text and "three octaves" in text
    for name in ("machine", "threads", "hash", "bindings", "symbols", "parameters", "seconds", "default_seconds"):
        assert f"`{name}`" in text and hasattr(ENTRY, name)
