"""What this backend raises."""

from __future__ import annotations

from vmc.ir.span import UNKNOWN, Span


class UnsupportedError(Exception):
    """A program that the target cannot execute: `message` says what and why, `span` where it is known, where."""

    def __init__(self, message: str, span: Span = UNKNOWN) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


class ToolchainError(Exception):
    """A missing or failing tool: TVM, NVRTC, nvdisasm. `message` says how to have it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
