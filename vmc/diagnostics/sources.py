"""The texts that diagnostics point into: of the program that was given, and of the files that it imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from vmc.diagnostics.diagnostic import Diagnostic


def with_imports(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], unreadable: str = "") -> dict[str, str]:
    """The sources, by file names, and those of other files that diagnostics and their notes point into.

    A name that no file can be read by stands for the text `unreadable`.
    """
    known = dict(sources)
    for diagnostic in diagnostics:
        for span in (diagnostic.span, *(note.span for note in diagnostic.notes)):
            if span is not None and span.line > 0 and span.file not in known:
                try:
                    known[span.file] = Path(span.file).read_text(encoding="utf-8")
                except (OSError, ValueError):
                    known[span.file] = unreadable
    return known
