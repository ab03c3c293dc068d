"""One object with code for several levels of x86-64, and the choice between them where it is executed.

Each level's functions have its name after the entry's (`vmc_scale.x86-64-v3.worker`), and attributes that have LLVM
compile them for the level. The functions that a launch calls go through a table of pointers:

    i32  .choose()      the number of the level to use: of `.level` if that is set, else found by CPUID and kept there
    ...  .blocks(...)   the chosen level's; so do all of `kernel.PARTS`

`.level` is a word that is -1 before the first call. Who writes a number there forces that level.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from vmc.backends.cpu.cpuid import WORDS, emit_choice, emit_reading
from vmc.backends.cpu.elements import I32, I64, POINTER, step_to
from vmc.backends.cpu.kernel import PARTS, Code, emit
from vmc.backends.cpu.levels import LEVELS, Level
from vmc.backends.cpu.options import Options
from vmc.backends.cpu.signature import Signature
from vmc.backends.cpu.target import Machine, machine
from vmc.ir.core import Kernel

UNKNOWN = -1
EXPORTS = ("level", "choose")
"""What `Choice` looks up."""


def generate_levels(kernel: Kernel, options: Options) -> Code:
    """LLVM text of a kernel for all levels of the options. Raises KeyError for an operation that has no lowering."""
    levels = [LEVELS[name] for name in options.levels]
    versions = [version(kernel, level, options.opt_level) for level in levels]
    entry = versions[0][1].entry.removesuffix(f".{levels[0].name}")
    signature = common([signature for _, signature in versions], entry, options.levels)
    least = machine(options)
    modules = [*(module for module, _ in versions), dispatcher(versions, levels, entry, least)]
    return Code(linked(modules), signature)


def version(kernel: Kernel, level: Level, opt_level: int) -> tuple[ir.Module, Signature]:
    """A kernel for one level, whose functions say so."""
    module, signature = emit(kernel, machine(level.options(opt_level)), f".{level.name}")
    for function in module.functions:
        if not function.is_declaration:
            set.add(function.attributes, f'"target-cpu"="{level.cpu}"')
            set.add(function.attributes, f'"target-features"="{level.flags}"')
    return module, signature


def common(signatures: Sequence[Signature], entry: str, levels: tuple[str, ...]) -> Signature:
    """The signature of all versions, which need different amounts of scratch memory and agree in all else."""
    arena = max(signature.arena for signature in signatures)
    (one,) = {replace(signature, entry=entry, arena=arena, levels=levels) for signature in signatures}
    return one


def linked(modules: Sequence[ir.Module]) -> str:
    """The text of one module with the functions of several."""
    whole, *others = (llvm.parse_assembly(str(module)) for module in modules)
    for other in others:
        whole.link_in(other)
    return str(whole)


def dispatcher(
    versions: Sequence[tuple[ir.Module, Signature]], levels: Sequence[Level], entry: str, least: Machine
) -> ir.Module:
    """The module of the functions that a launch calls, and of the choice."""
    module = ir.Module(entry)
    module.triple, module.data_layout = least.triple, least.data_layout
    choose = emit_choose(module, entry, levels)
    for part in PARTS:
        emit_part(module, f"{entry}.{part}", choose, [code.globals[f"{own.entry}.{part}"] for code, own in versions])
    return module


def emit_choose(module: ir.Module, entry: str, levels: Sequence[Level]) -> ir.Function:
    """The function that tells the number of the level to use. Threads that come first all find the same one."""
    level = ir.GlobalVariable(module, I32, f"{entry}.level")
    level.initializer = ir.Constant(I32, UNKNOWN)
    choice = emit_choice(module, f"{entry}.best", [level.needs for level in levels])
    reading = emit_reading(module, f"{entry}.read")
    for function in (choice, reading):
        function.linkage = "internal"
    choose = ir.Function(module, ir.FunctionType(I32, []), f"{entry}.choose")
    b = ir.IRBuilder(choose.append_basic_block())
    known = b.load_atomic(level, "monotonic", 4)
    with b.if_then(b.icmp_signed(">=", known, ir.Constant(I32, 0))):
        b.ret(known)
    words = b.alloca(ir.ArrayType(I32, len(WORDS) + 1))
    words = b.bitcast(words, POINTER)
    b.call(reading, [words])
    found = b.call(choice, [words])
    b.store_atomic(found, level, "monotonic", 4)
    b.ret(found)
    return choose


def emit_part(module: ir.Module, name: str, choose: ir.Function, versions: Sequence[ir.Function]) -> None:
    """The function that passes its arguments on to the chosen one of its versions."""
    type = versions[0].function_type
    pointers = [ir.Function(module, type, version.name) for version in versions]
    array = ir.ArrayType(type.as_pointer(), len(pointers))
    table = ir.GlobalVariable(module, array, f"{name}.table")
    table.initializer, table.global_constant, table.linkage = ir.Constant(array, pointers), True, "internal"
    function = ir.Function(module, type, name)
    b = ir.IRBuilder(function.append_basic_block())
    place = step_to(b, table, b.zext(b.call(choose, []), I64), type.as_pointer())
    result = b.call(b.load(place, typ=type.as_pointer(), align=8), function.args, tail=True)
    if result.type == ir.VoidType():
        b.ret_void()
    else:
        b.ret(result)


class Choice:
    """The level that a loaded object uses. `library` gives the addresses of the functions and words that it exports."""

    def __init__(self, signature: Signature, library: Any) -> None:
        self.levels = signature.levels
        self._library = library
        self._word = ctypes.c_int32.from_address(library[f"{signature.entry}.level"])
        self._choose = ctypes.CFUNCTYPE(ctypes.c_int32)(library[f"{signature.entry}.choose"])

    @property
    def level(self) -> str:
        """The name of the level whose code a launch executes."""
        number: int = self._choose()
        return self.levels[number]

    def force(self, name: str | None) -> None:
        """Has launches execute a level's code, which the host must be able to; None leaves the choice to the code.

        Raises ValueError for a level that the object has no code for.
        """
        if name is not None and name not in self.levels:
            raise ValueError(f"there is code for {', '.join(self.levels)}, not for {name}")
        self._word.value = UNKNOWN if name is None else self.levels.index(name)
