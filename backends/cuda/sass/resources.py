"""What kernels take of a multiprocessor, read from what cuobjdump tells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vmc.backends.cuda import disassembly

USAGE = re.compile(r"Function ([\w$]+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


@dataclass(frozen=True, slots=True)
class Resources:
    """Registers of a thread; bytes of stack and local memory of a thread; bytes of shared memory of a block, with the
    1 KiB that the system takes from sm_90 on.
    """

    registers: int
    stack: int
    shared: int
    local: int


def resources(cubin: bytes) -> dict[str, Resources]:
    """What each kernel of a cubin takes, by name. Raises ToolchainError."""
    return usage(disassembly.resources(cubin))


def usage(text: str) -> dict[str, Resources]:
    """The same of what `cuobjdump --dump-resource-usage` prints."""
    return {name: Resources(*map(int, numbers)) for name, *numbers in USAGE.findall(text)}
