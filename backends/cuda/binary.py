"""What compilers make of CUDA C, with which options, and how long they may take.

No fast mathematics: IEEE division and square roots, subnormal numbers kept, products and sums fused in `fast` kernels
only.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.backends.cuda.errors import ToolchainError

STRICT = ("-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
FAST = ("-fmad=true", *STRICT[1:])
"""For `fast` kernels: a product and the sum that takes it may be rounded once."""
LINES = "-lineinfo"
TIMEOUT = "VMC_CUDA_TIMEOUT"
"""The environment variable that sets another limit than `SECONDS`."""
SECONDS = 600.0


@dataclass(frozen=True)
class Binary:
    """A kernel for one architecture."""

    ptx: str
    cubin: bytes


def too_long(source: str, arch: str, seconds: float) -> ToolchainError:
    """The error for code whose compilation was stopped."""
    what = f"compiling {source.count(chr(10)):,} lines of CUDA C for {arch}"
    help = f"smaller tiles make them fewer, and {TIMEOUT} sets another limit in seconds"
    return ToolchainError(f"{what} was stopped after {seconds:g} s; {help}")
