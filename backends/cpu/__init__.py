"""The CPU backend: tile-level kernels to native code through LLVM.

    executable = compile(kernel, Options())
    executable.launch([x.ctypes.data, y.ctypes.data], scalars=[2.0], symbols={"N": 1000})

`executable.object` and `executable.signature` are what a cache keeps; `load` restores the executable from them.
`generated` makes code for any processor of `levels`, to be read.
"""

from vmc.backends.cpu.executable import Executable, ExecutionError, compile, load
from vmc.backends.cpu.generated import Generated, generated
from vmc.backends.cpu.options import Options
from vmc.backends.cpu.signature import Signature
from vmc.backends.cpu.threads import num_threads, set_num_threads

__all__ = [
    "Executable",
    "ExecutionError",
    "Generated",
    "Options",
    "Signature",
    "compile",
    "generated",
    "load",
    "num_threads",
    "set_num_threads",
]
