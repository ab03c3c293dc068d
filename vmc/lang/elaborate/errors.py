"""How elaboration stops at a mistake: `Reject` carries a diagnostic up to the statement, which reports it."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.diagnostics import Fix, Note, error
from vmc.ir.span import Span


class Reject(Exception):
    """A mistake in the program. Raised inside an expression, reported by the statement around it."""

    def __init__(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        notes: Sequence[Note] = (),
        help: str | None = None,
        fix: Fix | None = None,
    ) -> None:
        super().__init__(message)
        self.diagnostic = error(code, message, span, label=label, notes=tuple(notes), help=help, fix=fix)


class AlreadyReported(Exception):
    """A value that an earlier error spoiled was used: nothing new to say."""
