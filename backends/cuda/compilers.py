"""Which compiler makes PTX and cubins of CUDA C: NVRTC, or nvcc where NVRTC is missing.

`VMC_CUDA_COMPILER=nvcc` takes nvcc where there are both.
"""

from __future__ import annotations

import os
from importlib import metadata

from vmc.backends.cuda import nvcc, nvrtc
from vmc.backends.cuda.binary import SECONDS, STRICT, TIMEOUT, Binary
from vmc.backends.cuda.errors import ToolchainError

CHOICE = "VMC_CUDA_COMPILER"
NAMES = ("nvrtc", "nvcc")
PACKAGES = ("cuda-bindings", "nvidia-cuda-nvrtc")
"""Those that NVRTC comes in."""


def compile_cuda(source: str, arch: str, options: tuple[str, ...] = STRICT) -> Binary:
    """PTX and cubin of CUDA C for one architecture, `sm_90a`. Raises ToolchainError with the compiler's messages, or
    where the time is over, or there is no compiler.
    """
    chosen, seconds = compiler(), limit()
    if chosen == "nvcc":
        return nvcc.compile_cuda(source, arch, options, seconds)
    return nvrtc.compile_cuda(source, arch, options, seconds)


def compiler() -> str:
    """ "nvrtc" or "nvcc". Raises ToolchainError for a choice that is neither, or where there is none."""
    wanted = os.environ.get(CHOICE)
    if wanted:
        if wanted not in NAMES:
            raise ToolchainError(f"{CHOICE} is {wanted}; there are {' and '.join(NAMES)}")
        return wanted
    if is_installed():
        return "nvrtc"
    try:
        nvrtc.version()  # of a toolkit, perhaps
    except ToolchainError as error:
        if nvcc.version() is None:
            raise ToolchainError(f"{error.message}; there is no nvcc on the path either") from None
        return "nvcc"
    return "nvrtc"


def is_installed() -> bool:
    """Whether the packages are there that NVRTC comes in."""
    return all(installed(package) for package in PACKAGES)


def identity() -> list[str]:
    """What the compiler's output depends on beside its input, without loading it. Raises ToolchainError."""
    if compiler() == "nvcc":
        return ["nvcc", nvcc.version() or ""]
    return ["nvrtc", *map(installed, PACKAGES)]


def limit() -> float:
    """Seconds that compiling one kernel may take. Raises ToolchainError."""
    text = os.environ.get(TIMEOUT)
    if not text:
        return SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ToolchainError(f"{TIMEOUT} is {text}, and is a number of seconds above 0")
    return seconds


def installed(package: str) -> str:
    """The version of a package, "" where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
