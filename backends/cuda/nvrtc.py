"""NVRTC: from CUDA C to PTX and cubin, without a GPU, driver or toolkit."""

from __future__ import annotations

import contextlib
import ctypes
import time
from typing import Any

from vmc.backends.cuda.binary import Binary, too_long
from vmc.backends.cuda.errors import ToolchainError

HOW = "pip install 'vmc[cuda]'"


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


def compile_cuda(source: str, arch: str, options: tuple[str, ...], seconds: float) -> Binary:
    """PTX and cubin of CUDA C for one architecture, in no more time than that. Raises ToolchainError."""
    bindings = nvrtc()
    try:
        program = checked(bindings.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    except RuntimeError as error:
        raise ToolchainError(f"NVRTC does not load: {error}; {HOW}") from error
    flags = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in options)]
    try:
        deadline = Deadline(seconds)
        with contextlib.suppress(RuntimeError):  # an NVRTC before 12.8 has no such function, and takes its time
            checked(bindings.nvrtcSetFlowCallback(program, deadline.address, 0))
        (status,) = bindings.nvrtcCompileProgram(program, len(flags), flags)
        if int(status) and deadline.is_over:
            raise too_long(source, arch, seconds)
        if int(status):
            raise ToolchainError(f"NVRTC refuses generated code for {arch}:\n{log(bindings, program)}")
        ptx = fetched(bindings, program, "PTX").rstrip(b"\0").decode()
        return Binary(ptx, fetched(bindings, program, "CUBIN"))
    finally:
        bindings.nvrtcDestroyProgram(program)


class Deadline:
    """What NVRTC asks while it compiles, whether to stop (`nvrtcSetFlowCallback`): after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.is_over = False
        self._function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(self.ask)
        self.address = ctypes.cast(self._function, ctypes.c_void_p).value

    def ask(self, payload: int | None, nothing: int | None) -> int:
        """1 to stop, and then always 1."""
        self.is_over = self.is_over or time.monotonic() > self.end
        return int(self.is_over)


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
