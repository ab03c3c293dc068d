"""From a kernel to an LLVM module of four functions, whose names start with the signature's `entry`.

    i64  .scratch(arguments, arena)                            bytes of arena that the tensors of `once` take
    i64  .blocks(arguments, arena)                             the number of blocks of the grid; -1 after an error
    void .chunk(arguments, arena, first, last, status)         executes the blocks first..last-1, or block first alone
    void .worker(context)                                      takes chunks until none is left; one call per thread

A chunk is one block, and the preamble is repeated for each: LLVM's loop passes take far longer over loops that lie in
one around them all. Only where the preamble reads what blocks write is there a loop over all blocks, in one chunk.

`arguments` are 8-byte words: addresses of the tensors, bits of the scalars, symbols, address of the print callback. The
context is words too: arguments, next block, number of blocks, blocks per chunk, arena, bytes of arena per thread, next
thread number, status. Next block, thread number and status are shared and change atomically.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu import matrices
from vmc.backends.cpu.address import make_tensor
from vmc.backends.cpu.elements import I8, I64, POINTER, code_type, from_code, resize, step_to
from vmc.backends.cpu.emitter import LINE, Emitter
from vmc.backends.cpu.once import HEADER, clear_header, place_scratch, scratch
from vmc.backends.cpu.plan import Plan
from vmc.backends.cpu.regions import lower, run_region, settle_before
from vmc.backends.cpu.signature import Signature
from vmc.backends.cpu.target import Machine
from vmc.backends.cpu.work import estimate
from vmc.ir.core import Kernel, Module, Op, Region, TensorType, Value, needed, walk
from vmc.ir.passes import expand
from vmc.ir.text import storage_text

PARTS = ("scratch", "blocks", "worker")
"""The functions that a launch calls."""

CONTEXT = ("arguments", "next", "total", "grain", "arena", "stride", "thread", "status")


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
    emit_scratch(module, entry, kernel, machine)
    blocks = emit_blocks(module, entry, kernel, machine, preamble, grid)
    chunk = emit_chunk(module, entry, kernel, machine, (preamble, grid), serial)
    emit_worker(module, entry, serial)
    tensors = [value for value in kernel.params if isinstance(value.type, TensorType)]
    scalars = [value for value in kernel.params if not isinstance(value.type, TensorType)]
    signature = Signature(
        entry,
        tuple(value.name for value in tensors),
        tuple(storage_text(value.tensor.storage) if value.tensor.storage else None for value in tensors),
        tuple((value.name, value.tile.dtype.name) for value in scalars),
        kernel.symbols,
        HEADER + max(blocks.arena_size, chunk.arena_size),
        bool(scratch(kernel)),
        estimate(grid.regions[0]),
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
    module: ir.Module, name: str, types: list[ir.Type], kernel: Kernel, machine: Machine, body: Region
) -> Emitter:
    """A new function (void, or i64 where it has two arguments) and its emitter, with the kernel's parameters bound."""
    result = I64 if len(types) == 2 else ir.VoidType()
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


def emit_scratch(module: ir.Module, entry: str, kernel: Kernel, machine: Machine) -> None:
    """The function that measures the tensors of `once`."""
    e = start(module, f"{entry}.scratch", [POINTER, POINTER], kernel, machine, Region((), kernel.body.ops[-1:]))
    e.b.ret(e.scratch_size)


def emit_blocks(
    module: ir.Module, entry: str, kernel: Kernel, machine: Machine, preamble: tuple[Op, ...], grid: Op
) -> Emitter:
    """The function that counts blocks, from the part of the preamble that the grid's extents need."""
    wanted: set[Value] = set(grid.operands)
    kept: list[Op] = []
    for op in reversed(preamble):
        if wanted.intersection(op.results):
            wanted |= needed(op)
            kept.insert(0, op)
    e = start(module, f"{entry}.blocks", [POINTER, POINTER], kernel, machine, Region((), (*kept, grid)))
    e.exit, e.status = e.function.append_basic_block("exit"), e.slot(I64)
    for op in kept:
        lower(e, op)
    e.b.ret(block_count(e, grid))
    e.b.position_at_end(e.exit)
    e.b.ret(e.index(-1))
    e.close_scopes()
    return e


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
    types = [POINTER, POINTER, I64, I64, POINTER]
    e = start(module, f"{entry}.chunk", types, kernel, machine, kernel.body)
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
    e.arena_size = -(-e.arena_size // LINE) * LINE
    return e


def emit_worker(module: ir.Module, entry: str, serial: bool) -> None:
    """The function that each thread runs: it takes the next chunk until there is none, or a block has failed."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), f"{entry}.worker")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    (context,) = function.args

    def place(name: str) -> ir.Value:
        return step_to(b, context, ir.Constant(I64, CONTEXT.index(name)), I64)

    def word(name: str) -> ir.Value:
        return b.load(place(name), typ=I64, align=8)

    arguments = b.inttoptr(word("arguments"), POINTER)
    total, grain = word("total"), word("grain")
    thread = b.atomic_rmw("add", place("thread"), ir.Constant(I64, 1), "monotonic")
    base = b.inttoptr(word("arena"), POINTER)
    arena = step_to(b, base, b.mul(thread, word("stride")), I8)
    clear_header(b, arena)
    status, following = place("status"), place("next")
    again, run, done = (function.append_basic_block(name) for name in ("again", "run", "done"))
    b.branch(again)
    b.position_at_end(again)
    first = b.atomic_rmw("add", following, grain, "monotonic")
    failed = b.icmp_signed("!=", b.load_atomic(status, "monotonic", 8, typ=I64), ir.Constant(I64, 0))
    over = b.icmp_signed(">=", first, total)
    b.cbranch(b.or_(failed, over), done, run)
    b.position_at_end(run)
    beyond = b.add(first, grain)
    last = b.select(b.icmp_signed("<", beyond, total), beyond, total)
    run_range(b, module.globals[f"{entry}.chunk"], (arguments, arena, first, last, status), serial)
    b.branch(again)
    b.position_at_end(done)
    b.ret_void()


def run_range(b: ir.IRBuilder, chunk: ir.Function, operands: tuple[ir.Value, ...], serial: bool) -> None:
    """Calls the chunk for a range of at least one block: once if `serial`, else for each block."""
    if serial:
        b.call(chunk, operands)
        return
    arguments, arena, first, last, status = operands
    before, turn, after = b.block, *(b.function.append_basic_block(name) for name in ("block", "ran"))
    b.branch(turn)
    b.position_at_end(turn)
    number = b.phi(I64)
    following = b.add(number, ir.Constant(I64, 1))
    b.call(chunk, (arguments, arena, number, following, status))
    number.add_incoming(first, before)
    number.add_incoming(following, turn)
    b.cbranch(b.icmp_signed("<", following, last), turn, after)
    b.position_at_end(after)
