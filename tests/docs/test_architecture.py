"""The listings of docs/architecture.md are what the program prints today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmc.cli import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
STAGE = re.compile(r"<!-- stage: ([\w.]+) -->\n```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDERS = re.compile(r"`((?:ir|vmc|backends|examples)/[\w/.]*)`")


@pytest.mark.parametrize(("stage", "listing"), STAGE.findall(TEXT))
def test_a_listing_is_what_show_prints(stage: str, listing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(ROOT / "examples" / "scale.vmc"), "--stage", stage]) == 0
    assert capsys.readouterr().out == listing


def test_the_source_is_the_example() -> None:
    source = (ROOT / "examples" / "scale.vmc").read_text("utf-8").split("\n", 1)[1]
    assert f"```vmc\n{source}```" in TEXT


def test_every_file_it_names_exists() -> None:
    missing = [path for path in FOLDERS.findall(TEXT) if not (ROOT / path).exists()]
    assert missing == []
