"""What the library's modules declare, by name, for messages about names that were not imported."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent.parent.parent / "library"
DECLARATION = re.compile(r"^(?:def|format|const) (\w+)", re.MULTILINE)


@cache
def library_modules() -> dict[str, frozenset[str]]:
    """The names that each module of the library declares."""
    return {
        path.stem: frozenset(DECLARATION.findall(path.read_text("utf-8"))) for path in sorted(LIBRARY.glob("*.vmc"))
    }
