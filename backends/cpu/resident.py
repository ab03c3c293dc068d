"""Native code from LLVM text that stays in the process until it ends: helper threads may sleep in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import llvmlite.binding as llvm

from vmc.backends.cpu.options import Options
from vmc.backends.cpu.target import machine


def resident(name: str, text: str, functions: Sequence[str]) -> Mapping[str, int]:
    """The addresses of functions of an LLVM module, by name. Raises RuntimeError for text that is ill-formed."""
    plain = machine(Options(opt_level=0)).llvm_machine  # more would take longer than it could ever save
    object_code = plain.emit_object(llvm.parse_assembly(text))
    library = llvm.JITLibraryBuilder().add_object_img(object_code).add_current_process()
    for function in functions:
        library.export_symbol(function)
    compiler = llvm.create_lljit_compiler()
    linked = library.link(compiler, name)
    linked.detach()
    compiler.detach()
    return {function: linked[function] for function in functions}
