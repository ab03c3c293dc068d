"""From a kernel to an LLVM module of three functions, whose names start with the signature's `entry`.

    i64  .blocks(arguments, arena, facts)                      the number of blocks of the grid; -1 after an error
    void .chunk(arguments, arena, first, last, status)         executes the blocks first..last-1, or block first alone
    void .worker(record, start)                                what each thread runs, which begins in region `start`

`arguments` are 8-byte words: addresses of the tensors, bits of the scalars, symbols, address of the print callback.
`facts` are two words that `.blocks` writes: the bytes of arena that a thread needs, and an estimate of the element
operations of a block. `record` is described in `record.py`, regions in `scheduler.py`.

A thread has its part of the arena for the whole of a launch: `HEADER` bytes, zeros when it begins, then the tensors of
`once` (`once.py`), then what the compiler placed.

A chunk is one block, and the preamble is repeated for each: LLVM's loop passes take far longer over loops that lie in
one around them all. Only where the preamble reads what blocks write is there a loop over all blocks, in one chunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from llvmlite import ir

from vmc.backends.cpu import matrices
from vmc.backends.cpu.address import make_tensor
from vmc.backends.cpu.elements import I8, I64, POINTER, code_type, from_code, resize, step_to
from vmc.backends.cpu.emitter import HEADER, Emitter
from vmc.backends.cpu.memory import LINE
from vmc.backends.cpu.once import place_scratch
from vmc.backends.cpu.plan import Plan
from vmc.backends.cpu.regions import lower, run_region, settle_before
from vmc.backends.cpu.signature import Signature
from vmc.backends.cpu.target import Machine
from vmc.backends.cpu.work import emit_work, known_before, loops_within
from vmc.backends.cpu.worker import Worker
from vmc.ir.core import Kernel, Module, Op, Region, TensorType, sources, walk
from vmc.ir.passes import expand
from vmc.ir.text import storage_text

PARTS = ("blocks", "worker")
"""The functions that a launch calls."""


@dataclass(frozen=True)
class Code:
    """The LLVM text of a kernel and what a launch must know of it."""

    text: str
    signature: Signature


def generate(kernel: Kernel, machine: Machine) -> Code:
    """LLVM text for a tile-level kernel. Raises KeyError for an operation that has no lowering."""
    module, signature = emit(kernel, machine)
    return Code(str(module), signature)


def emit(kernel: Kernel, machine: Machine, suffix: str = "") -> tuple[ir.Module, Signature]:
    """A kernel's LLVM module, and what a launch must know of it; the suffix ends the entry's name."""
    kernel = expand(Module((kernel,))).kernels[0]
    entry = "vmc_" + re.sub(r"\W", "_", kernel.name, flags=re.ASCII) + suffix
    module = ir.Module(entry)
    module.triple, module.data_layout = machine.triple, machine.data_layout
    preamble, grid = kernel.body.ops[:-2], kernel.body.ops[-2]
    serial = reads_what_it_writes(preamble)
    chunk = emit_chunk(module, entry, kernel, machine, (preamble, grid), serial)
    blocks = emit_blocks(module, entry, kernel, machine, (preamble, grid), chunk)
    Worker(module, f"{entry}.worker", chunk.function, serial)
    tensors = [value for value in kernel.params if isinstance(value.type, TensorType)]
    scalars = [value for value in kernel.params if not isinstance(value.type, TensorType)]
    signature = Signature(
        entry,
        tuple(value.name for value in tensors),
        tuple(storage_text(value.tensor.storage) if value.tensor.storage else None for value in tensors),
        tuple((value.name, value.tile.dtype.name) for value in scalars),
        kernel.symbols,
        HEADER + blocks.arena_size,
        serial,
        tuple(chunk.sites),
    )
    return module, signature


def reads_what_it_writes(preamble: tuple[Op, ...]) -> bool:
    """Whether the preamble reads memory that blocks may have changed, so that it may not be repeated."""
    return any(
        op.definition.reads_memory and op.operands[0].tensor.access.writable
        for outer in preamble
        for op in (outer, *(inner for region in outer.regions for inner in walk(region)))
    )


def start(
    module: ir.Module, name: str, result: ir.Type, more: list[ir.Type], kernel: Kernel, machine: Machine, body: Region
) -> Emitter:
    """A new function of arguments, arena and `more`, and its emitter, with the kernel's parameters bound."""
    types = [POINTER, POINTER, *more]
    function = ir.Function(module, ir.FunctionType(result, types), name)
    set.add(function.attributes, f'"prefer-vector-width"="{8 * machine.vector_bytes}"')
    e = Emitter(module, function, kernel, Plan(body), machine)
    arguments, e.header = function.args[:2]
    words = 0

    def word() -> ir.Value:
        nonlocal words
        place = step_to(e.b, arguments, e.index(words), I64)
        words += 1
        return e.b.load(place, typ=I64, align=8)

    addresses = {value: word() for value in kernel.params if isinstance(value.type, TensorType)}
    for value in kernel.params:
        if value not in addresses:
            dtype = value.tile.dtype
            element = from_code(e.b, dtype, resize(e.b, word(), code_type(dtype), signed=False))
            e.env[value] = e.splat(dtype, (), element)
    e.symbols = {name: word() for name in kernel.symbols}
    e.printer = word()
    for value, base in addresses.items():
        pointer = e.b.inttoptr(base, POINTER)
        e.env[value] = make_tensor(e, value.tensor, pointer, None, e.new_scope())
    e.scratch_size = place_scratch(e, kernel)
    e.arena = step_to(e.b, e.header, e.add(e.scratch_size, e.index(HEADER)), I8)
    return e


def emit_blocks(
    module: ir.Module,
    entry: str,
    kernel: Kernel,
    machine: Machine,
    ops: tuple[tuple[Op, ...], Op],
    chunk: Emitter,
) -> Emitter:
    """The function that counts blocks and reports facts, from the part of the preamble that the grid's extents need and
    what the bounds of loops need. Its emitter's `arena_size` is the constant part of a thread's arena.
    """
    kept, sink = counting(kernel, *ops)
    e = start(module, f"{entry}.blocks", I64, [POINTER], kernel, machine, Region((), (*kept, sink)))
    e.exit, e.status = e.function.append_basic_block("exit"), e.slot(I64)
    for op in kept:
        lower(e, op)
    total, work = block_count(e, ops[1]), emit_work(e, ops[1].regions[0])
    e.arena_size = max(whole_lines(e.arena_size), chunk.arena_size)
    bytes = e.add(e.index(HEADER + e.arena_size), e.scratch_size)
    for place, fact in enumerate((bytes, work)):
        e.b.store(fact, step_to(e.b, e.function.args[2], e.index(place), I64), align=8)
    e.b.ret(total)
    e.b.position_at_end(e.exit)
    e.b.ret(e.index(-1))
    e.close_scopes()
    return e


def counting(kernel: Kernel, preamble: tuple[Op, ...], grid: Op) -> tuple[list[Op], Op]:
    """The operations that `.blocks` executes, and one that stands for what uses their results."""
    scalars = [value for value in kernel.params if not isinstance(value.type, TensorType)]
    early = known_before(scalars, [Region((), preamble), *grid.regions])
    known = {*scalars, *(result for op in early for result in op.results)}
    bounds = [value for loop in loops_within(grid.regions[0], known) for value in loop.operands[:3]]
    sink = replace(grid, operands=(*grid.operands, *bounds), regions=())
    outer = set(preamble)
    return sources(sink.operands, [*preamble, *(op for op in early if op not in outer)]), sink


def block_count(e: Emitter, grid: Op) -> ir.Value:
    """The product of the grid's extents, negative ones counting as none."""
    total: ir.Value = e.index(1)
    for extent in grid.operands:
        total = e.mul(total, e.call("llvm.smax.i64", I64, e.scalar(extent), e.index(0)))
    return total


def emit_chunk(
    module: ir.Module, entry: str, kernel: Kernel, machine: Machine, ops: tuple[tuple[Op, ...], Op], serial: bool
) -> Emitter:
    """The function that executes the blocks of a range if `serial`, else one block."""
    preamble, grid = ops
    e = start(module, f"{entry}.chunk", ir.VoidType(), [I64, I64, POINTER], kernel, machine, kernel.body)
    e.function.attributes.add("noinline")
    first, last, e.status = e.function.args[2:]
    e.exit = e.function.append_basic_block("exit")
    for op in preamble:
        lower(e, op)
    extents = [e.scalar(extent) for extent in grid.operands]
    settle_before(e, grid)

    def block(number: ir.Value) -> None:
        index: list[ir.Value] = []
        for extent in reversed(extents[1:]):
            extent = e.call("llvm.smax.i64", I64, extent, e.index(1))
            index.insert(0, e.b.urem(number, extent))
            number = e.b.udiv(number, extent)
        dtype = grid.operands[0].tile.dtype
        places = [e.splat(dtype, (), place) for place in (number, *index)]
        run_region(e, grid.regions[0], places, lambda tiles: None)

    if serial:
        e.each(first, last, block)
    else:
        block(first)
    e.b.branch(e.exit)
    e.b.position_at_end(e.exit)
    matrices.release(e)
    e.b.ret_void()
    e.close_scopes()
    e.arena_size = whole_lines(e.arena_size)
    return e


def whole_lines(bytes: int) -> int:
    """Bytes rounded up to cache lines."""
    return -(-bytes // LINE) * LINE
