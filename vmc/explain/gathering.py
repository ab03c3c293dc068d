"""Collects an explanation: compiles a kernel afresh, counts on its IR after the passes, and reads its assembly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from vmc.backends import cpu
from vmc.backends.cpu import limits as machine_limits
from vmc.backends.cpu.assembly.report import Access, CodeReport, LoopReport, report
from vmc.backends.cpu.assembly.x86 import TILE_BITS
from vmc.backends.cpu.target import machine
from vmc.explain.bounds import bounds
from vmc.explain.explanation import Decision, Explanation, LoopCost, Reading, TensorReport
from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import Note, TensorType, Value
from vmc.ir.cost import Slices, Work, bits_per_element, bytes_formula, count, slices, tensor_bytes
from vmc.ir.dims import evaluate
from vmc.ir.text.printer import storage_text
from vmc.runtime.errors import TargetError
from vmc.runtime.targets import lowered, options_of

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel

NOTHING = Access({}, {})


def explain(kernel: Kernel, symbols: Mapping[str, int], measure: bool = False) -> Explanation:
    """The explanation of a kernel for the CPU with the symbols that are known. `measure` measures the machine's limits.

    Raises TargetError for another target.
    """
    if kernel.target.partition(":")[0] != "cpu":
        raise TargetError("E0904", f"`explain` reads machine code, of cpu, cuda or ptx-vm, and this is {kernel.target}")
    options = options_of(kernel.target)
    host = machine(options)
    tile = lowered(kernel._tile)
    executable = cpu.compile(tile, options)
    unread = None if host.triple.startswith("x86_64") else f"assembly of {host.triple} is not read"
    signature = executable.signature
    text = executable.commented_assembly if unread is None else ""
    code = report(text, signature.entry, signature.tensors)
    unbound = tuple(name for name in kernel.symbols if name not in symbols)
    work = None if unbound else count(tile, symbols)
    tensors = tensor_reports(tile, symbols, work, code)
    loops = loop_costs(tile, code)
    cores = cpu.num_threads()
    limits = machine_limits.measured(cores) if measure else machine_limits.stated(cores)
    return Explanation(
        kernel.name,
        kernel.target,
        host.cpu,
        kernel.bindings,
        dict(symbols),
        unbound,
        tensors,
        work,
        tuple(decision(note, kernel) for note in tile.notes),
        loops,
        unread,
        limits,
        bounds(tensors, work, loops, limits) if work is not None else (),
    )


def tensor_reports(
    tile: TileKernel, symbols: Mapping[str, int], work: Work | None, code: CodeReport
) -> tuple[TensorReport, ...]:
    """A report on each tensor parameter, in order."""
    accessed = slices(tile)
    return tuple(
        tensor_report(value, symbols, work, accessed.get(value.name), code.memories.get(value.name, NOTHING))
        for value in tile.params
        if isinstance(value.type, TensorType)
    )


def tensor_report(
    value: Value, symbols: Mapping[str, int], work: Work | None, accessed: Slices | None, access: Access
) -> TensorReport:
    type = value.tensor
    elements = prod(evaluate(dim, symbols) for dim in type.shape) if work is not None else None
    return TensorReport(
        value.name,
        f"{type.dtype.name}[{', '.join(map(str, type.shape))}]",
        type.access.value,
        storage_text(type.storage) if type.storage is not None else None,
        bits_per_element(type),
        tensor_bytes(type, symbols),
        elements,
        bytes_formula(type),
        work.read.get(value.name, 0) / elements if work is not None and elements else None,
        tuple(str(type.shape[dim]) for dim in accessed.checked) if accessed is not None else (),
        accessed is not None and accessed.indexed,
        access.loads,
        access.stores,
    )


def loop_costs(tile: TileKernel, code: CodeReport) -> tuple[LoopCost, ...]:
    """The loops of the assembly, with elements of tensors in the place of bytes."""
    bits = {value.name: bits_per_element(value.tensor) for value in tile.params if isinstance(value.type, TensorType)}
    widest = max((loop.vector_bits for loop in code.loops if loop.vector_bits < TILE_BITS), default=0)
    return tuple(loop_cost(loop, bits, widest) for loop in code.loops)


def loop_cost(loop: LoopReport, bits: Mapping[str, float], widest: int) -> LoopCost:
    return LoopCost(
        loop.function,
        loop.label,
        loop.depth,
        loop.innermost,
        loop.multiply_adds != 0 or (loop.innermost and loop.vector_bits == widest > 0),
        loop.instructions,
        loop.turn_instructions,
        {kind.value: times for kind, times in loop.kinds.items()},
        loop.vector_bits,
        loop.spills,
        loop.multiply_adds,
        loop.most_products,
        tuple(reading(name, loop.memories[name], bits[name]) for name in ordered(loop, bits)),
    )


def ordered(loop: LoopReport, bits: Mapping[str, float]) -> Sequence[str]:
    """The tensors that a loop accesses, in the order of the parameters."""
    return [name for name in bits if name in loop.memories]


def reading(name: str, access: Access, bits: float) -> Reading:
    elements = 8 * access.bytes / bits if access.bytes is not None and access.loads else None
    return Reading(name, access.loads, access.stores, elements)


def decision(note: Note, kernel: Kernel) -> Decision:
    """A note with the text of its source line."""
    lines = kernel.source.splitlines() if note.span.file == kernel.file else []
    found = lines[note.span.line - 1].strip() if 0 < note.span.line <= len(lines) else ""
    return Decision(note.step, note.text, note.span.file if note.span.line else "", note.span.line, found)
