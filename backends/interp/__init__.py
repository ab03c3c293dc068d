"""The reference virtual machine: the meaning of the IR, on NumPy, one block after the other.

    run(kernel, [x_bytes, y_bytes], {"N": 100})

It reports what a program must not do, at the source line: access outside a tensor's extents, reads of memory never
written, races between blocks, use of asynchronous copies before they were waited for, failed assertions.
"""

from vmc.backends.interp.errors import ExecutionError
from vmc.backends.interp.machine import Machine, run, run_module

__all__ = ["ExecutionError", "Machine", "run", "run_module"]
