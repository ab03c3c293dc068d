"""A compiled kernel, and all that a launch must know of it: a list of grids, and a workspace.

A launch of the kernel is one of each of its grids in order, on one stream; where the workspace takes bytes, it has so
many bytes of device memory for itself from the first to the last. Every grid is passed the parameters in order, tensors
as addresses in device memory (multiples of `target.ALIGNMENT`), scalars in the machine type of `Parameter.kind`, then
each symbol as i64, among them last, where it has that symbol, the number of the device's multiprocessors, then the
addresses of the workspace's tensors. It has (`blocks(...)`, 1, 1) blocks, `threads`
threads in each, and `dynamic_shared` bytes of dynamic shared memory, for which one that takes more than 48 KiB in all
must opt in. A grid without blocks is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vmc.backends.cuda.binary import FAST, LINES, STRICT
from vmc.backends.cuda.compilers import compile_cuda
from vmc.backends.cuda.kernel import MOST_BLOCKS, Unit, counting, cuda_source, is_workspace, parameter_kind, unit_of
from vmc.backends.cuda.target import ARCHES, STATIC_SHARED
from vmc.ir.core import Kernel, Module, Note, Storage, TensorType, Value
from vmc.ir.dims import Dim, binary
from vmc.ir.passes.gpu.split import MULTIPROCESSORS
from vmc.ir.span import Span
from vmc.ir.text import parse_module, print_kernel

APART = 256
"""Tensors of a workspace start at multiples of so many bytes, as memory that is allocated does: cuMemAlloc."""


@dataclass(frozen=True)
class Parameter:
    """`kind` is "pointer", or the machine type of a scalar: uint32, uint64 (with the sign extended), float32, float64;
    of a symbol, int64; of a tensor of the workspace, "workspace".
    """

    name: str
    kind: str


@dataclass(frozen=True, eq=False)
class Grid:
    """One of the kernels that a launch consists of."""

    entry: str
    threads: int
    static_shared: int
    dynamic_shared: int
    kernel: Kernel = field(repr=False)

    @property
    def extents(self) -> tuple[Value, ...]:
        """The extents of the grid, results of the preamble; the number of blocks is their product."""
        return self.kernel.body.ops[-2].operands

    def blocks(self, symbols: Mapping[str, int], scalars: Sequence[int | float]) -> int:
        """The number of blocks of a launch; 0 where there is nothing to do. Raises ValueError for too many."""
        values = grid_values(self.kernel, symbols, scalars)
        extents = [max(0, int(values[extent])) for extent in self.extents]
        count = int(np.prod(extents, dtype=object))
        if count > MOST_BLOCKS:
            raise ValueError(f"{self.entry}: a launch of {count} blocks; the most is {MOST_BLOCKS}")
        return count

    def header(self) -> dict[str, Any]:
        return {
            "entry": self.entry,
            "threads": self.threads,
            "static_shared": self.static_shared,
            "dynamic_shared": self.dynamic_shared,
            "kernel": print_kernel(self.kernel, locations=True),
            "notes": [[note.step, note.text, asdict(note.span)] for note in self.kernel.notes],
        }

    @staticmethod
    def from_header(header: Mapping[str, Any]) -> Grid:
        fields = dict(header)
        notes = tuple(Note(step, text, Span(**span)) for step, text, span in fields.pop("notes"))
        (kernel,) = parse_module(fields.pop("kernel")).kernels
        return Grid(kernel=kernel.noted(*notes), **fields)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A kernel for one architecture; `parameters` are those of each of its `grids`."""

    arch: str
    ptx: str
    cubin: bytes
    source: str
    parameters: tuple[Parameter, ...]
    grids: tuple[Grid, ...]

    @property
    def main(self) -> Grid:
        """The grid that has the kernel's own name; what others prepare for it, or do with its results, extends that."""
        return min(self.grids, key=lambda grid: len(grid.kernel.name))

    @property
    def kernel(self) -> Kernel:
        return self.main.kernel

    @property
    def counts_multiprocessors(self) -> bool:
        """Whether a launch depends on the number of the device's multiprocessors, which then is the last symbol."""
        return MULTIPROCESSORS in self.kernel.symbols

    @property
    def params(self) -> tuple[Value, ...]:
        """The kernel's parameters, without the workspace."""
        return tuple(param for param in self.kernel.params if not is_workspace(param))

    @property
    def workspace(self) -> tuple[TensorType, ...]:
        """The tensors of the workspace."""
        return tuple(param.tensor for param in self.kernel.params if is_workspace(param))

    @property
    def storages(self) -> dict[str, Storage | None]:
        """How each tensor lies in memory, by name, as the grids that read it want it; None: as declared."""
        found: dict[str, Storage | None] = dict.fromkeys(
            param.name for param in self.params if isinstance(param.type, TensorType)
        )
        for grid in self.grids:
            found.update((name, storage) for name, storage in grid.kernel.storages.items() if storage and name in found)
        return found

    @property
    def workspace_sizes(self) -> tuple[Dim, ...]:
        """The bytes that each tensor of the workspace takes."""
        return tuple(map(workspace_size, self.workspace))

    def header(self) -> dict[str, Any]:
        """All but the cubin, as JSON can hold it; see `from_header`."""
        return {
            "arch": self.arch,
            "ptx": self.ptx,
            "source": self.source,
            "parameters": [[parameter.name, parameter.kind] for parameter in self.parameters],
            "grids": [grid.header() for grid in self.grids],
        }

    @staticmethod
    def from_header(header: Mapping[str, Any], cubin: bytes) -> Compiled:
        """The inverse of `header`. Raises KeyError, TypeError, ValueError or IRError for anything else."""
        fields = dict(header)
        parameters = tuple(Parameter(name, kind) for name, kind in fields.pop("parameters"))
        grids = tuple(map(Grid.from_header, fields.pop("grids")))
        return Compiled(cubin=cubin, parameters=parameters, grids=grids, **fields)


def workspace_size(type: TensorType) -> Dim:
    """The bytes that a dense tensor of whole bytes takes in a workspace."""
    assert type.storage is None and type.dtype.width % 8 == 0
    bytes: Dim = type.dtype.width // 8
    for extent in type.shape:
        bytes = binary("*", bytes, extent)
    return bytes


def grid_values(kernel: Kernel, symbols: Mapping[str, int], scalars: Sequence[int | float]) -> dict[Value, Any]:
    """What the grid's extents are computed from, and they themselves, by the operations' own definitions."""
    from vmc.ir.passes.evaluator import evaluate

    given = [param for param in kernel.params if not isinstance(param.type, TensorType)]
    values: dict[Value, Any] = {}
    for param, number in zip(given, scalars, strict=True):
        dtype = param.tile.dtype
        values[param] = dtype.from_codes(dtype.encode(np.asarray(number)))
    for op in counting(kernel):
        if op.name == "symbol":
            results: Sequence[Any] = [np.array(symbols[op.attrs["name"]], np.int64)]
        else:
            results = evaluate(op, [values[operand] for operand in op.operands])
        values.update(zip(op.results, results, strict=True))
    return values


def compile(module: Module, arch: str, lines: bool = False) -> Compiled:
    """A kernel after the passes for the architecture, as the module of the grids that they made of it. `lines`: PTX and
    cubin know the lines of the kernel's source.

    Raises UnsupportedError, ToolchainError.
    """
    units = units_of(module, arch, lines)
    text = cuda_source(units, ARCHES[arch])
    first = module.kernels[0]
    options = FAST if first.fast else STRICT
    binary = compile_cuda(text, arch, (*options, LINES) if lines else options)
    grids = tuple(grid_of(kernel, unit) for kernel, unit in zip(module.kernels, units, strict=True))
    return Compiled(arch, binary.ptx, binary.cubin, text, parameters_of(first), grids)


def units_of(module: Module, arch: str, lines: bool = False) -> list[Unit]:
    return [unit_of(kernel, ARCHES[arch], number, lines) for number, kernel in enumerate(module.kernels)]


def grid_of(kernel: Kernel, unit: Unit) -> Grid:
    static, dynamic = (unit.shared, 0) if unit.shared <= STATIC_SHARED else (0, unit.shared)
    return Grid(str(unit.function.attrs["global_symbol"]), kernel.threads, static, dynamic, kernel)


def parameters_of(kernel: Kernel) -> tuple[Parameter, ...]:
    """The parameters of each grid, in order."""
    own = [param for param in kernel.params if not is_workspace(param)]
    return (
        *(Parameter(p.name, "pointer" if isinstance(p.type, TensorType) else parameter_kind(p)) for p in own),
        *(Parameter(name, "int64") for name in kernel.symbols),
        *(Parameter(param.name, "workspace") for param in kernel.params if is_workspace(param)),
    )


def source(module: Module, arch: str) -> str:
    """CUDA C."""
    return cuda_source(units_of(module, arch), ARCHES[arch])


def tir_script(module: Module, arch: str) -> str:
    """The PrimFuncs as TVM prints them."""
    return "\n".join(str(unit.function.script()) for unit in units_of(module, arch))
