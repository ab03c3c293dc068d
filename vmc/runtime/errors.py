"""What a caller of the Python interface can get wrong, and what can go wrong while a kernel runs."""

from __future__ import annotations

from vmc.ir.span import UNKNOWN, Span


class ArgumentError(TypeError, ValueError):
    """An argument that does not fit. It is raised before anything is executed or written.

    `code` is one of the stable codes E09xx (see `vmc explain-error`), `parameter` the kernel's parameter or None.
    """

    def __init__(self, code: str, message: str, parameter: str | None = None, help: str | None = None) -> None:
        super().__init__(f"[{code}] {message}" + (f" ({help})" if help else ""))
        self.code = code
        self.message = message
        self.parameter = parameter
        self.help = help


class ExecutionError(RuntimeError):
    """A failed `assert` of the program, or a fault that the reference machine found; `span` is its source."""

    def __init__(self, message: str, span: Span = UNKNOWN) -> None:
        super().__init__(message if span == UNKNOWN else f"{span}: {message}")
        self.message = message
        self.span = span


class TargetError(ValueError):
    """A target that does not exist (E0904), is not installed (E0914), or cannot run the program (E0915)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message


class BuildError(ValueError):
    """A library that cannot be built (E0921), or whose file cannot be written or linked."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(f"[{code}] {message}" + (f" ({help})" if help else ""))
        self.code = code
        self.message = message
        self.help = help


class LibraryError(ValueError):
    """A file that is no library of `vmc build`, is damaged, or cannot be loaded here (E0922)."""

    def __init__(self, message: str) -> None:
        super().__init__(f"[E0922] {message}")
        self.code = "E0922"
        self.message = message
