"""How a command stops at a user's mistake: `Failure` carries diagnostics up to the command line, which prints them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from vmc.diagnostics import Diagnostic, error
from vmc.ir.span import UNKNOWN, Span


class Failure(Exception):
    """Diagnostics that end a command with exit code 1."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
        super().__init__("; ".join(diagnostic.message for diagnostic in diagnostics))
        self.diagnostics, self.sources = list(diagnostics), dict(sources)

    def report(self, as_json: bool) -> int:
        """Prints the diagnostics, as JSON to stdout or as text to stderr; the exit code."""
        if as_json:
            print(json.dumps({"diagnostics": [diagnostic.to_json() for diagnostic in self.diagnostics]}, indent=2))
        else:
            print_diagnostics(self.diagnostics, self.sources, sys.stderr)
        return 1


def fail(code: str, message: str, help: str | None = None, span: Span = UNKNOWN) -> Failure:
    """A failure with one diagnostic."""
    return Failure([error(code, message, span, help=help)], {})


def print_diagnostics(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str], stream: TextIO) -> None:
    """Prints diagnostics with the source that they point into."""
    from vmc.diagnostics.render import render_all
    from vmc.diagnostics.sources import with_imports

    stream.write(render_all(diagnostics, with_imports(diagnostics, sources), color=wants_color(stream)))


def wants_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose user has not turned colours off (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
