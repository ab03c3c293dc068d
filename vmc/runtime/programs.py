"""How a program is named on the command line and in `vmc.build`: a file, and perhaps one of its kernels."""

from __future__ import annotations

from pathlib import Path


def split_program(text: str) -> tuple[str, str | None]:
    """The file and the kernel of `FILE[:KERNEL]`."""
    file, colon, kernel = text.rpartition(":")
    if colon and file and kernel.isidentifier() and not Path(text).exists():
        return file, kernel
    return text, None
