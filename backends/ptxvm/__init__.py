"""The PTX virtual machine: executes the PTX that a GPU would run, on the CPU, and checks it while it does.

    module = parse(text)
    report = module.launch("kernel", grid=(4,), block=(128,), args=[x, y, 100])

All threads of a block, and several blocks, execute an instruction at once, on NumPy arrays. A fault raises an
`ExecutionError` with the PTX line and, through `.loc`, the source line: races in shared and global memory, reads of
bits never written, accesses out of bounds or misaligned, asynchronous copies used before they were waited for,
divergent barriers. The report counts instructions, memory sectors and bank conflicts. docs/ptxvm.md has the details.
"""

from vmc.backends.ptxvm.counting import Report, Traffic
from vmc.backends.ptxvm.errors import (
    AlignmentError,
    AsyncCopyError,
    AsyncProductError,
    BarrierError,
    BoundsError,
    ExecutionError,
    LaunchError,
    Location,
    PtxError,
    PtxSyntaxError,
    RaceError,
    TimeoutFault,
    TrapError,
    UninitialisedError,
    UnsupportedError,
)
from vmc.backends.ptxvm.launch import Argument, Constant, Module, Unset, Workspace, parse

__all__ = [
    "AlignmentError",
    "Argument",
    "AsyncCopyError",
    "AsyncProductError",
    "BarrierError",
    "BoundsError",
    "Constant",
    "ExecutionError",
    "LaunchError",
    "Location",
    "Module",
    "PtxError",
    "PtxSyntaxError",
    "RaceError",
    "Report",
    "TimeoutFault",
    "Traffic",
    "TrapError",
    "UninitialisedError",
    "Unset",
    "UnsupportedError",
    "Workspace",
    "parse",
]
