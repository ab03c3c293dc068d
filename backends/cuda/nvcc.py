"""nvcc, where there is no NVRTC: the same code and options, through the toolkit's compiler and a host compiler.

nvcc includes the CUDA runtime's headers before anything else, whose names for integers of a width the prelude of
generated code defines otherwise; they are given other names here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from vmc.backends.cuda.binary import Binary, too_long
from vmc.backends.cuda.errors import ToolchainError

NAME = "nvcc"
INTEGERS = tuple(f"{sign}int{width}_t" for sign in ("", "u") for width in (8, 16, 32, 64))
RENAMED = "".join(f"#define {name} vmc_{name}\n" for name in INTEGERS)
DECLARED = (
    'extern "C" __device__ void __assertfail(const void*, const void*, unsigned int, const void*, size_t) '
    "__attribute__((noreturn));\n"
)
"""What NVRTC knows without a declaration."""
QUIET = ("-w",)


def nvcc() -> str | None:
    """Where nvcc is; None where it is not on the path."""
    return shutil.which(NAME)


@cache
def version() -> str | None:
    """nvcc's version, `13.0.88`; None where there is none that works."""
    found = nvcc()
    if found is None:
        return None
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    matched = re.search(r"\bV(\d+[.\d]*)", done.stdout)
    return matched[1] if matched and not done.returncode else None


def compile_cuda(source: str, arch: str, options: tuple[str, ...], seconds: float) -> Binary:
    """PTX and cubin of CUDA C for one architecture, in no more time than that each. Raises ToolchainError."""
    with tempfile.TemporaryDirectory(prefix="vmc-nvcc-") as folder:
        code, ptx, cubin = (Path(folder) / name for name in ("kernel.cu", "kernel.ptx", "kernel.cubin"))
        code.write_text(RENAMED + DECLARED + "#line 1\n" + source, encoding="utf-8")
        run([f"-arch={arch}", *options, *QUIET, "-ptx", str(code), "-o", str(ptx)], source, arch, seconds)
        assembling = [option for option in options if option == "-lineinfo"]
        run([f"-arch={arch}", *assembling, *QUIET, "-cubin", str(ptx), "-o", str(cubin)], source, arch, seconds)
        return Binary(ptx.read_text("utf-8"), cubin.read_bytes())


def run(arguments: list[str], source: str, arch: str, seconds: float) -> None:
    """Runs nvcc. Raises ToolchainError."""
    command = [nvcc() or NAME, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise too_long(source, arch, seconds) from None
    except OSError as error:
        raise ToolchainError(f"nvcc does not run: {error}") from None
    if done.returncode:
        raise ToolchainError(f"nvcc refuses generated code for {arch}:\n{done.stderr or done.stdout}")
