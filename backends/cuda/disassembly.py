"""SASS of a cubin, by NVIDIA's disassemblers: from their wheels, or from a toolkit on the path."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from vmc.backends.cuda.errors import ToolchainError

TOOLS = {"nvdisasm": "nvidia-cuda-nvdisasm", "cuobjdump": "nvidia-cuda-cuobjdump"}


def tool(name: str) -> Path | None:
    """Where `nvdisasm` or `cuobjdump` is; None where it is not installed."""
    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec is not None else []
    for folder in folders:
        for found in sorted(folder.glob(f"**/bin/{name}")):
            return found
    path = shutil.which(name)
    return Path(path) if path else None


def run(name: str, *arguments: str) -> str:
    """What a tool prints. Raises ToolchainError where it is missing or fails."""
    found = tool(name)
    if found is None:
        raise ToolchainError(f"reading SASS needs {name}: pip install {TOOLS[name]}")
    done = subprocess.run([str(found), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"{name} fails: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def sass(cubin: bytes) -> str:
    """The machine code of a cubin as text. Raises ToolchainError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        return run("nvdisasm", "--print-code", str(path))


def resources(cubin: bytes) -> str:
    """Registers, stack, shared memory of a cubin's kernels, as cuobjdump tells them. Raises ToolchainError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        return run("cuobjdump", "--dump-resource-usage", str(path))
