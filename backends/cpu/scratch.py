"""Scratch memory whose size the symbols of a launch give: a thread has it in its arena, for all blocks that it runs.

It lies behind the buffers of constant size, whose sum is known only when the function has been emitted; until then it
is a constant of the module that has no value yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu.address import dim
from vmc.backends.cpu.elements import I8, I64, step_to
from vmc.backends.cpu.emitter import LINE, Emitter
from vmc.ir.dims import Dim


def reserve(e: Emitter, size: Dim) -> ir.Value:
    """The address of `size` bytes, aligned to a cache line: from block to block the same, with what was left there."""
    assert e.arena is not None
    start = dynamic_bytes(e, e.dynamic)
    e.dynamic.append(size)
    constant = e.b.load(constant_bytes(e), typ=I64, align=8)
    return step_to(e.b, e.arena, e.add(constant, start), I8)


def dynamic_bytes(e: Emitter, sizes: Sequence[Dim]) -> ir.Value:
    """The bytes that memory of these sizes takes, each rounded up to whole cache lines."""
    total: ir.Value = e.index(0)
    for size in sizes:
        bytes = e.call("llvm.smax.i64", I64, dim(e, size), e.index(0))
        total = e.add(total, e.b.and_(e.add(bytes, e.index(LINE - 1)), e.index(-LINE)))
    return total


def constant_bytes(e: Emitter) -> ir.GlobalVariable:
    """The constant that will hold the size of the arena's constant part."""
    name = f"{e.function.name}.constant"
    found = e.module.globals.get(name)
    if found is None:
        found = ir.GlobalVariable(e.module, I64, name)
        found.global_constant, found.linkage = True, "internal"
    return found


def settle_sizes(e: Emitter) -> None:
    """Ends a function's constant part at a whole cache line, and gives the constant its value."""
    e.arena_size = -(-e.arena_size // LINE) * LINE
    if e.dynamic:
        constant_bytes(e).initializer = e.index(e.arena_size)
