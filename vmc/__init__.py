"""vmc: a compiler and virtual machine for low-precision kernels.

    kernel = vmc.compile("examples/matmul_wa16.vmc", T="u3")
    kernel(x, kernel.pack("w", codes), scale, y)

Everything here is imported when it is first used: `import vmc` itself loads nothing but this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmc.artifact.build import build
    from vmc.artifact.library import Library, load
    from vmc.ir.layout import parse as layout
    from vmc.ir.types import DType, dtype
    from vmc.lang import CompileError
    from vmc.runtime.compiling import compile
    from vmc.runtime.errors import ArgumentError, BuildError, ExecutionError, LibraryError, TargetError
    from vmc.runtime.kernel import Kernel
    from vmc.runtime.packed import Packed, pack, unpack

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "BuildError",
    "CompileError",
    "DType",
    "ExecutionError",
    "Kernel",
    "Library",
    "LibraryError",
    "Packed",
    "TargetError",
    "build",
    "compile",
    "dtype",
    "layout",
    "load",
    "pack",
    "unpack",
]

_HOMES = {
    "ArgumentError": "vmc.runtime.errors",
    "BuildError": "vmc.runtime.errors",
    "CompileError": "vmc.lang",
    "DType": "vmc.ir.types",
    "ExecutionError": "vmc.runtime.errors",
    "Kernel": "vmc.runtime.kernel",
    "Library": "vmc.artifact.library",
    "LibraryError": "vmc.runtime.errors",
    "Packed": "vmc.runtime.packed",
    "TargetError": "vmc.runtime.errors",
    "build": "vmc.artifact.build",
    "compile": "vmc.runtime.compiling",
    "dtype": "vmc.ir.types",
    "layout": "vmc.ir.layout:parse",
    "load": "vmc.artifact.library",
    "pack": "vmc.runtime.packed",
    "unpack": "vmc.runtime.packed",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'vmc' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
