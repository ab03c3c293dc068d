"""Code for NVIDIA GPUs: tile IR with layouts -> TVM PrimFunc -> CUDA C -> PTX and cubin.

    module = run(Module((kernel,)), pipeline("cuda:sm_90a"))
    compiled = compile(module, "sm_90a")
    compiled.ptx, compiled.cubin, [grid.blocks({"N": 1000}, []) for grid in compiled.grids]

Nothing here needs a GPU, a driver or a CUDA toolkit.
"""

from vmc.backends.cuda.compiled import APART, Compiled, Grid, Parameter, compile, source, tir_script
from vmc.backends.cuda.errors import ToolchainError, UnsupportedError
from vmc.backends.cuda.target import ARCHES, Arch

__all__ = [
    "APART",
    "ARCHES",
    "Arch",
    "Compiled",
    "Grid",
    "Parameter",
    "ToolchainError",
    "UnsupportedError",
    "compile",
    "source",
    "tir_script",
]
