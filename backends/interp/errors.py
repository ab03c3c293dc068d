"""What goes wrong while a program executes."""

from __future__ import annotations

from vmc.ir.span import UNKNOWN, Span


class ExecutionError(Exception):
    """An error of the executed program; `span` is the source of the operation that committed it."""

    def __init__(self, message: str, span: Span = UNKNOWN) -> None:
        super().__init__(message if span == UNKNOWN else f"{span}: {message}")
        self.message = message
        self.span = span


class Fault(Exception):
    """An error found in memory, where the operation that caused it is not known. The machine adds that."""
