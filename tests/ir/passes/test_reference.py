"""docs/passes.md says what the passes' own docstrings and tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_pass_reference", DOCS / "make_pass_reference.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert (DOCS / "passes.md").read_text(encoding="utf-8") == maker.reference(), "run docs/make_pass_reference.py"
