"""NVRTC: from CUDA C to PTX and cubin, without a GPU, driver or toolkit.

No fast mathematics: IEEE division and square roots, subnormal numbers kept, products and sums fused in `fast` kernels
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vmc.backends.cuda.errors import ToolchainError

STRICT = ("-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
FAST = ("-fmad=true", *STRICT[1:])
"""For `fast` kernels: a product and the sum that takes it may be rounded once."""
LINES = "-lineinfo"
HOW = "pip install 'vmc[cuda]'"


@dataclass(frozen=True)
class Binary:
    """What NVRTC makes for one architecture."""

    ptx: str
    cubin: bytes


def nvrtc() -> Any:
    """The bindings. Raises ToolchainError where they or the library are missing."""
    try:
        from cuda.bindings import nvrtc as bindings
    except ImportError as error:
        raise ToolchainError(f"compiling for NVIDIA GPUs needs cuda-bindings and nvidia-cuda-nvrtc: {HOW}") from error
    return bindings


def checked(answer: tuple[Any, ...]) -> Any:
    """The result of a call. Raises ToolchainError."""
    status, *results = answer
    if int(status):
        raise ToolchainError(f"NVRTC: {status}")
    return results[0] if results else None


def version() -> tuple[int, int]:
    """NVRTC's version. Raises ToolchainError."""
    bindings = nvrtc()
    try:
        status, major, minor = bindings.nvrtcVersion()
    except RuntimeError as error:
        raise ToolchainError(f"NVRTC does not load: {error}; {HOW}") from error
    checked((status,))
    return major, minor


def compile_cuda(source: str, arch: str, options: tuple[str, ...] = STRICT) -> Binary:
    """PTX and cubin of CUDA C for one architecture, `sm_90a`. Raises ToolchainError with NVRTC's messages."""
    bindings = nvrtc()
    try:
        program = checked(bindings.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    except RuntimeError as error:
        raise ToolchainError(f"NVRTC does not load: {error}; {HOW}") from error
    flags = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in options)]
    try:
        (status,) = bindings.nvrtcCompileProgram(program, len(flags), flags)
        if int(status):
            raise ToolchainError(f"NVRTC refuses generated code for {arch}:\n{log(bindings, program)}")
        ptx = fetched(bindings, program, "PTX").rstrip(b"\0").decode()
        return Binary(ptx, fetched(bindings, program, "CUBIN"))
    finally:
        bindings.nvrtcDestroyProgram(program)


def log(bindings: Any, program: Any) -> str:
    size = checked(bindings.nvrtcGetProgramLogSize(program))
    text = bytes(size)
    checked(bindings.nvrtcGetProgramLog(program, text))
    return text.rstrip(b"\0").decode()


def fetched(bindings: Any, program: Any, what: str) -> bytes:
    """The PTX or the CUBIN of a program."""
    size = checked(getattr(bindings, f"nvrtcGet{what}Size")(program))
    data = bytes(size)
    checked(getattr(bindings, f"nvrtcGet{what}")(program, data))
    return data
