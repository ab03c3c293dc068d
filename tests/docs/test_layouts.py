"""docs/layouts.md says what the code does, and its pictures are what the code draws."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.snippets import snippets
from vmc.cli import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "layouts.md"
TEXT = DOCUMENT.read_text("utf-8")


def maker() -> ModuleType:
    path = DOCUMENT.with_name("make_pictures.py")
    spec = importlib.util.spec_from_file_location("make_pictures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_examples_run_as_shown() -> None:
    examples = doctest.DocTestParser().get_doctest(TEXT, {}, DOCUMENT.name, str(DOCUMENT), 0)
    runner = doctest.DocTestRunner()
    runner.run(examples)
    assert runner.tries > 30 and runner.failures == 0


def test_the_pictures_are_what_is_drawn_today() -> None:
    made = maker()
    drawn = made.pictures()
    assert {path.name for path in made.FOLDER.glob("*.svg")} == set(drawn)
    for name, text in drawn.items():
        assert (made.FOLDER / name).read_text("utf-8") == text, f"{name}: run docs/make_pictures.py"


def test_every_picture_is_shown_and_every_picture_shown_exists() -> None:
    shown = set(re.findall(r"\]\(pictures/(\w+)\.svg\)", TEXT))
    assert shown == set(maker().PICTURES)


def test_the_mistake_is_shown_as_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    (listing,) = (snippet.text for snippet in snippets(DOCUMENT) if snippet.language == "text")
    command, _, wanted = listing.partition("\n")
    text = command.split('"')[1]
    assert main(["layout", text]) == 1
    assert capsys.readouterr().err == wanted
