"""The examples of docs/python.md run, one after the other, and what it lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import vmc
from tests.docs.snippets import snippets

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_examples_run_in_order() -> None:
    names: dict[str, Any] = {}
    for snippet in snippets(DOCUMENT):
        if snippet.language != "python":  # `py`: what needs a GPU
            continue
        exec(compile("\n" * (snippet.line - 1) + snippet.text, snippet.file, "exec"), names)
    assert {"kernel", "narrow", "decode", "f6"} <= names.keys()


def test_every_exception_is_described() -> None:
    described = set(re.findall(r"^\| `vmc\.(\w+)`", DOCUMENT.read_text("utf-8"), re.MULTILINE))
    public = {getattr(vmc, name) for name in vmc.__all__}
    assert described == {thing.__name__ for thing in public if isinstance(thing, type) and issubclass(thing, Exception)}


def test_the_headings_are_linked() -> None:
    text = DOCUMENT.read_text("utf-8")
    headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]
    assert re.findall(r"\]\(#([\w-]+)\)", text) == headings
