"""The files of the library are free of mistakes and warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmc.lang import check_source
from vmc.lang.elaborate.modules import LIBRARY


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.vmc")), ids=lambda path: path.stem)
def test_a_library_file_has_no_mistakes_and_no_warnings(path: Path) -> None:
    assert [str(d) for d in check_source(path.read_text("utf-8"), str(path))] == []
