"""What is said to a user about one mistake: a stable code, a message, a place, and where possible the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vmc.ir.span import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Note:
    """A further remark; with a span it is shown with its own excerpt of the source."""

    span: Span | None
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Replacing the text at `span` by `replacement` (an insertion where the span is empty) repairs the program."""

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake. `label` stands under the carets, `help` says what to do, `fix` does it."""

    code: str
    severity: Severity
    message: str
    span: Span
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str | None = None
    fix: Fix | None = None

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    def to_json(self) -> dict[str, Any]:
        """A dictionary of strings, integers, lists and None, for `json.dumps`."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "span": _span_json(self.span),
            "label": self.label,
            "notes": [{"span": _span_json(note.span), "text": note.text} for note in self.notes],
            "help": self.help,
            "fix": {"span": _span_json(self.fix.span), "replacement": self.fix.replacement} if self.fix else None,
        }


def _span_json(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def error(
    code: str,
    message: str,
    span: Span,
    *,
    label: str = "",
    notes: tuple[Note, ...] = (),
    help: str | None = None,
    fix: Fix | None = None,
) -> Diagnostic:
    """A diagnostic of severity `error`; `code` is one of `vmc.diagnostics.codes.CODES`."""
    return Diagnostic(code, Severity.ERROR, message, span, label, notes, help, fix)


def warning(
    code: str,
    message: str,
    span: Span,
    *,
    label: str = "",
    notes: tuple[Note, ...] = (),
    help: str | None = None,
    fix: Fix | None = None,
) -> Diagnostic:
    """A diagnostic of severity `warning`."""
    return Diagnostic(code, Severity.WARNING, message, span, label, notes, help, fix)
