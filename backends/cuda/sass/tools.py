"""nvdisasm and cuobjdump, from their wheels (nvidia-cuda-nvdisasm, nvidia-cuda-cuobjdump) or from the PATH."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vmc.backends.cuda.errors import ToolchainError

USAGE = re.compile(r"Function ([\w$]+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a kernel takes: registers of a thread; bytes of stack and local memory of a thread, of shared memory."""

    registers: int
    stack: int
    shared: int
    local: int


def disassemble(cubin: bytes) -> str:
    """The disassembly of a cubin. Raises ToolchainError."""
    return run("nvdisasm", cubin, "-c")


def resources(cubin: bytes) -> dict[str, Resources]:
    """What each kernel of a cubin takes, by name; shared memory as declared, not what a launch adds.

    Raises ToolchainError.
    """
    found = USAGE.findall(run("cuobjdump", cubin, "-res-usage"))
    return {
        name: Resources(int(registers), int(stack), int(shared), int(local))
        for name, registers, stack, shared, local in found
    }


def run(tool: str, cubin: bytes, option: str) -> str:
    """What a tool prints on a cubin. Raises ToolchainError."""
    program = located(tool)
    with tempfile.TemporaryDirectory(prefix="vmc-") as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        done = subprocess.run([program, option, file], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"{tool} refuses the code: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def located(tool: str) -> Path:
    """Where a tool is. Raises ToolchainError with how to get it."""
    for folder in wheel_folders():
        for place in (folder / "bin" / tool, *folder.glob(f"*/bin/{tool}")):
            if place.is_file():
                return place
    found = shutil.which(tool)
    if found is None:
        raise ToolchainError(f"reading machine code needs {tool}: pip install nvidia-cuda-{tool}")
    return Path(found)


def wheel_folders() -> Iterator[Path]:
    """Where wheels of NVIDIA put their files: the namespace package `nvidia`."""
    spec = find_spec("nvidia")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield Path(place)
