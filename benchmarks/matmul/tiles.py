"""AMX tiles as ggml wants them, for every thread that it uses.

ggml sets up a thread's tiles once and relies on them from then on. Other libraries that run in the same threads set up
their own and release them, after which ggml's next tile instruction is illegal. So its tiles are put back before each
of its turns. Their shapes are those of ggml-cpu/amx/mmq.cpp: two of 8 x 64 bytes, two of 16 x 32, four of 16 x 64.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

ROWS = (8, 8, 16, 16, 16, 16, 16, 16)
ROW_BYTES = (64, 64, 32, 32, 64, 64, 64, 64)
LOAD = """
declare void @llvm.x86.ldtilecfg(ptr)
define void @load_tiles(ptr %shapes) "target-features"="+amx-tile" {
  call void @llvm.x86.ldtilecfg(ptr %shapes)
  ret void
}
"""


class Shapes(ctypes.Structure):
    """The operand of LDTILECFG for palette 1 (Intel SDM, volume 2)."""

    _fields_ = (
        ("palette", ctypes.c_uint8),
        ("start_row", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 14),
        ("row_bytes", ctypes.c_uint16 * 16),
        ("rows", ctypes.c_uint8 * 16),
    )


SHAPES = Shapes(1, 0, (), ROW_BYTES, ROWS)


def put_back(threads: int) -> None:
    """Loads the shapes in each thread of the OpenMP pool that ggml uses, the caller among them."""
    run = ctypes.CDLL(None).GOMP_parallel
    run.restype, run.argtypes = None, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    run(loading_function()[1], ctypes.addressof(SHAPES), threads, 0)


@lru_cache(maxsize=1)
def loading_function() -> tuple[Any, int]:
    """The engine that holds the code, and the address of a C function that loads tile shapes."""
    import llvmlite.binding as llvm

    from vmc.backends.cpu.options import Options
    from vmc.backends.cpu.target import machine, optimize

    host = machine(Options())
    engine = llvm.create_mcjit_compiler(optimize(host, LOAD), host.llvm_machine)
    engine.finalize_object()
    return engine, int(engine.get_function_address("load_tiles"))
