"""Code for NVIDIA GPUs: tile IR with layouts -> TVM PrimFunc -> CUDA C -> PTX and cubin.

    kernel = run(Module((kernel,)), pipeline("cuda:sm_90a")).kernels[0]
    compiled = compile(kernel, "sm_90a")
    compiled.ptx, compiled.cubin, compiled.blocks({"N": 1000}, [])

Nothing here needs a GPU, a driver or a CUDA toolkit.
"""

from vmc.backends.cuda.compiled import Compiled, Parameter, compile, source, tir_script
from vmc.backends.cuda.errors import ToolchainError, UnsupportedError
from vmc.backends.cuda.target import ARCHES, Arch

__all__ = [
    "ARCHES",
    "Arch",
    "Compiled",
    "Parameter",
    "ToolchainError",
    "UnsupportedError",
    "compile",
    "source",
    "tir_script",
]
