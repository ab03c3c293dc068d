"""Code for a processor before it is loaded: it can be read on any host, and loaded on one that can execute it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vmc.backends.cpu.dispatch import generate_levels
from vmc.backends.cpu.kernel import generate
from vmc.backends.cpu.options import Options
from vmc.backends.cpu.signature import Signature
from vmc.backends.cpu.target import Machine, machine, optimize
from vmc.ir.core import Kernel


@dataclass(frozen=True)
class Generated:
    """The LLVM text of a kernel as it was generated, what a launch must know of it, and the processor it is for."""

    text: str
    signature: Signature
    machine: Machine

    @cached_property
    def llvm(self) -> str:
        """The LLVM text after optimization."""
        return str(self._optimized())

    @cached_property
    def assembly(self) -> str:
        """The assembly text."""
        return str(self.machine.llvm_machine.emit_assembly(self._optimized()))

    @cached_property
    def commented_assembly(self) -> str:
        """The assembly text with LLVM's comments, which tell what was spilled."""
        self.machine.llvm_machine.set_asm_verbosity(True)
        try:
            return str(self.machine.llvm_machine.emit_assembly(self._optimized()))
        finally:
            self.machine.llvm_machine.set_asm_verbosity(False)

    def object_code(self) -> bytes:
        """The object file."""
        return bytes(self.machine.llvm_machine.emit_object(self._optimized()))

    def _optimized(self) -> Any:
        return optimize(self.machine, self.text)


def generated(kernel: Kernel, options: Options | None = None) -> Generated:
    """Code for a tile-level kernel. Raises KeyError for an operation without lowering."""
    options = options or Options()
    chosen = machine(options)
    code = generate_levels(kernel, options) if options.levels else generate(kernel, chosen)
    return Generated(code.text, code.signature, chosen)
