"""What a kernel costs on an NVIDIA GPU, told without one: its machine code read back, and the least time of a launch.

Registers, spills, shared memory and occupancy are those of the cubin. A decoded weight costs arithmetic instructions:
those in the main loop, whatever they do and however seldom, divided by the weights that a thread decodes in one turn.
The times are bounds by figures of a data sheet; nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vmc.backends import cuda
from vmc.backends.cuda.disassembly import sass
from vmc.backends.cuda.sass import CodeReport, LoopReport, Occupancy, occupancy, parse, report, resources
from vmc.explain.explanation import Bound, Decision
from vmc.explain.gathering import decision
from vmc.explain.table import aligned, duration, section
from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import Op, Region, TensorType, walk
from vmc.ir.cost import Work, bits_per_element, count, tensor_bytes
from vmc.ir.layout import BIT
from vmc.ir.passes.gpu.split import MULTIPROCESSORS
from vmc.runtime.cuda import architecture, blamed, lowered
from vmc.runtime.ptx_machine import device_target

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel

ISSUES = 4
"""Instructions that a multiprocessor starts in a cycle."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A GPU by its data sheet: bytes a second, f16 products a second (dense), multiprocessors, boost clock."""

    name: str
    bandwidth: float
    products: float
    multiprocessors: int
    clock: float


CHIPS: dict[str, Chip] = {
    "sm_80": Chip("A100 80 GB", 2.04e12, 156e12, 108, 1.41e9),
    "sm_86": Chip("A40", 0.696e12, 74.8e12, 84, 1.74e9),
    "sm_89": Chip("L40S", 0.864e12, 181e12, 142, 2.52e9),
    "sm_90a": Chip("H200", 4.8e12, 494e12, 132, 1.98e9),
    "sm_100a": Chip("B200", 8.0e12, 1125e12, 148, 1.97e9),
    "sm_120a": Chip("RTX 5090", 1.79e12, 105e12, 170, 2.41e9),
}
"""By architecture: the one that bounds are told for."""


@dataclass(frozen=True, eq=False)
class GridReport:
    """One of the grids that a launch consists of. `blocks` is None where a symbol has no value; `weights` is how many
    weights a thread decodes in a turn of the main loop, 0 where it decodes none.
    """

    entry: str
    blocks: int | None
    threads: int
    shared: int
    code: CodeReport
    occupancy: Occupancy
    weights: int

    @property
    def main_loop(self) -> LoopReport | None:
        return self.code.main_loop

    @property
    def instructions_per_weight(self) -> float | None:
        """Arithmetic instructions of the main loop for each weight that it decodes; None where it decodes none."""
        loop = self.main_loop
        return loop.per_weight(self.weights) if loop is not None and self.weights else None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON's types."""
        return {
            "entry": self.entry,
            "blocks": self.blocks,
            "threads": self.threads,
            "shared_bytes": self.shared,
            "occupancy": {
                "blocks": self.occupancy.blocks,
                "warps": self.occupancy.warps,
                "share": self.occupancy.share,
                "limit": self.occupancy.limit,
            },
            "code": self.code.to_json(),
            "weights_per_turn": self.weights,
            "instructions_per_weight": self.instructions_per_weight,
        }

    def lines(self) -> Iterator[str]:
        code, held = self.code, self.occupancy
        blocks = f"{self.blocks:,} blocks of " if self.blocks is not None else ""
        yield f"{blocks}{self.threads} threads, {code.registers} registers each, {code.spills} spills"
        yield f"{self.shared:,} bytes of shared memory"
        yield f"{held.blocks} blocks on a multiprocessor, {held.share:.0%} of its warps, limited by {held.limit}"
        loop = self.main_loop
        if loop is None:
            yield "no loops"
            return
        yield f"main loop {loop.label}: {loop.instructions} instructions, {loop.products:,} multiply-adds of a warp"
        yield "    " + ", ".join(f"{count} {kind.value}" for kind, count in loop.kinds.items())
        for kind, moved in loop.moved.items():
            loads = ", ".join(f"{number} x {bits}" for bits, number in sorted(moved.loads.items(), reverse=True))
            yield f"    {kind.value}: loads of {loads or 'none'} bits a thread"
        if self.instructions_per_weight is not None:
            each = f"{self.instructions_per_weight:.2f} arithmetic instructions each"
            yield f"    {self.weights} weights a thread: {each}"


@dataclass(frozen=True, eq=False)
class GpuExplanation:
    """An explanation for one architecture. `grids` are those that a launch consists of, in order; `tensors` are (name,
    type, storage or None, bytes or None), the `workspace` likewise.
    """

    kernel: str
    target: str
    chip: Chip
    bindings: tuple[tuple[str, str], ...]
    symbols: Mapping[str, int]
    grids: tuple[GridReport, ...]
    tensors: tuple[tuple[str, str, str | None, int | None], ...]
    workspace: tuple[tuple[str, str, str | None, int | None], ...]
    work: Work | None
    decisions: tuple[Decision, ...]
    bounds: tuple[Bound, ...]

    @property
    def main(self) -> GridReport:
        """The grid that has the kernel's own name; see `Compiled.main`."""
        return min(self.grids, key=lambda grid: len(grid.entry))

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON's types."""
        return {
            "kernel": self.kernel,
            "target": self.target,
            "chip": self.chip.name,
            "bindings": dict(self.bindings),
            "symbols": dict(self.symbols),
            "grids": [grid.to_json() for grid in self.grids],
            "tensors": [
                {"name": name, "type": type, "storage": storage, "bytes": bytes}
                for name, type, storage, bytes in self.tensors
            ],
            "workspace": [{"name": name, "type": type, "bytes": bytes} for name, type, _, bytes in self.workspace],
            "decisions": [{"step": found.step, "text": found.text} for found in self.decisions],
            "bounds": [{"name": bound.name, "seconds": bound.seconds, "how": bound.how} for bound in self.bounds],
        }

    def __str__(self) -> str:
        parts = [
            self.head(),
            section("tensors", self.tensor_lines()),
            *(section(self.title(grid), grid.lines()) for grid in self.grids),
            section("decisions of the passes", self.decision_lines()),
            section("predicted time of a launch, at least", self.time_lines()),
        ]
        return "\n\n".join(parts) + "\n"

    def head(self) -> str:
        bound = ", ".join(f"{name}={value}" for name, value in self.bindings)
        sizes = ", ".join(f"{name}={value}" for name, value in self.symbols.items())
        kernel = f"{self.kernel}[{bound}]" if bound else self.kernel
        return f"{kernel} for {self.target} ({self.chip.name})" + (f", {sizes}" if sizes else "")

    def tensor_lines(self) -> Iterator[str]:
        tensors = (*self.tensors, *self.workspace)
        rows = [(name, type, "-" if bytes is None else f"{bytes:,}") for name, type, _, bytes in tensors]
        yield from aligned([("name", "type", "bytes"), *rows])

    def title(self, grid: GridReport) -> str:
        if len(self.grids) == 1:
            return "machine code"
        return f"machine code of `{grid.entry}`, launch {1 + self.grids.index(grid)} of {len(self.grids)}"

    def decision_lines(self) -> Iterator[str]:
        yield from (f"{found.step}: {found.text}" for found in self.decisions)
        if not self.decisions:
            yield "none noted"

    def time_lines(self) -> Iterator[str]:
        if not self.bounds:
            yield "not derived: symbols are not set"
            return
        rows = [(b.name, "not derived" if b.seconds is None else duration(b.seconds), b.how) for b in self.bounds]
        yield from aligned(rows)
        yield f"by the data sheet of {self.chip.name}; nothing is measured"


def explain_gpu(kernel: Kernel, symbols: Mapping[str, int]) -> GpuExplanation:
    """The explanation of a kernel for `cuda:sm_XX`. Raises TargetError."""
    arch = architecture(device_target(kernel.target))
    with blamed():
        made = cuda.compile(lowered(kernel._tile, f"cuda:{arch}"), arch)
        functions = {function.name: function for function in parse(sass(made.cubin))}
        used = resources(made.cubin)
    codes = {grid.entry: report(functions[grid.entry], used[grid.entry]) for grid in made.grids}
    complete = all(name in symbols for name in kernel.symbols)
    work = count(kernel._tile, symbols) if complete else None
    chip = CHIPS[arch]
    bound = {**symbols, MULTIPROCESSORS: chip.multiprocessors}
    storages = made.storages
    tensors = {
        value: (
            value.name,
            f"{value.tensor.dtype.name}[{', '.join(map(str, value.tensor.shape))}]",
            told(type),
            tensor_bytes(type, bound) if complete else None,
        )
        for value in made.kernel.params
        if isinstance(value.type, TensorType)
        for type in [replace(value.type, storage=storages.get(value.name))]
    }
    own = tuple(row for value, row in tensors.items() if value in made.params)
    moved = sum(bytes or 0 for *_, bytes in own)
    return GpuExplanation(
        kernel.name,
        kernel.target,
        chip,
        tuple(kernel.bindings.items()),
        dict(symbols),
        tuple(grid_report(grid, arch, codes[grid.entry], blocks_of(grid, kernel, bound)) for grid in made.grids),
        own,
        tuple(row for value, row in tensors.items() if value not in made.params),
        work,
        tuple(decision(note, kernel) for grid in reversed(made.grids) for note in grid.kernel.notes),
        bounds(chip, moved, work, codes[made.main.entry].main_loop) if work is not None else (),
    )


def grid_report(grid: cuda.Grid, arch: str, code: CodeReport, blocks: int | None) -> GridReport:
    shared = grid.static_shared + grid.dynamic_shared
    held = occupancy(cuda.ARCHES[arch].number, grid.threads, code.registers, shared)
    return GridReport(grid.entry, blocks, grid.threads, shared, code, held, weights_of(grid.kernel))


def blocks_of(grid: cuda.Grid, kernel: Kernel, symbols: Mapping[str, int]) -> int | None:
    """The blocks of a grid; None where a symbol has no value, or scalars decide as well."""
    scalars = any(parameter.is_scalar for parameter in kernel.parameters)
    return None if scalars or any(name not in symbols for name in kernel.symbols) else grid.blocks(symbols, [])


def told(type: TensorType) -> str | None:
    """How a tensor lies, in words."""
    storage = type.storage
    if storage is None:
        return None
    blocks = " x ".join(map(str, storage.block))
    order = "in the order of its decoder" if storage.shuffle is not None else "by a layout"
    return f"blocks of {blocks}, {order}, {bits_per_element(type):g} bits an element"


def weights_of(kernel: TileKernel) -> int:
    """The weights that a thread decodes in a turn of the loop with the most of them."""
    return max((sum(map(slots, decodes(region))) for region in bodies(kernel)), default=0)


def bodies(kernel: TileKernel) -> Iterator[Region]:
    for op in walk(kernel.body):
        if op.name in ("for", "while"):
            yield op.regions[-1]


def decodes(region: Region) -> list[Op]:
    return [op for op in region.ops if op.name == "decode"]


def slots(op: Op) -> int:
    """The elements of a result that a thread holds."""
    layout = op.result.tile.layout
    return 0 if layout is None else layout.cosize(BIT)


def bounds(chip: Chip, moved: int, work: Work, loop: LoopReport | None) -> tuple[Bound, ...]:
    """Memory once; products at the rate of the matrix units; the main loop's instructions as fast as can be issued."""
    found = [Bound("memory", moved / chip.bandwidth, f"{moved:,} bytes at {chip.bandwidth / 1e12:.2f} TB/s")]
    if not work.multiply_adds:
        return tuple(found)
    how = f"{work.multiply_adds:,} multiply-adds at {chip.products / 1e12:,.0f} T/s"
    found.append(Bound("products", work.multiply_adds / chip.products, how))
    if loop is not None and loop.products:
        turns = work.multiply_adds / loop.products
        rate = ISSUES * chip.multiprocessors * chip.clock
        how = f"{turns:,.0f} turns of warps, {loop.instructions} instructions each, at {rate / 1e12:.2f} T/s"
        found.append(Bound("instructions", turns * loop.instructions / rate, how))
    return tuple(found)
