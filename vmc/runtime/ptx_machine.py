"""Targets `ptx-vm:sm_80` and its like: the PTX that a GPU would run, executed and checked by the PTX machine.

Compiling is that of `cuda:sm_80`; only who executes the result differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vmc.ir.core import Access, Kernel, Region, Storage, TensorType
from vmc.ir.dims import evaluate
from vmc.ir.span import UNKNOWN, Span
from vmc.runtime.errors import ExecutionError, TargetError

if TYPE_CHECKING:
    from vmc.backends.cuda import Grid
    from vmc.backends.ptxvm import Argument, Location, Report, Workspace
    from vmc.backends.ptxvm import ExecutionError as Fault

FAMILY = "ptx-vm"
DEFAULT = "sm_80"
WORD = 4

Bytes = npt.NDArray[np.uint8]


def is_ptx_machine(target: str) -> bool:
    """Whether a target is `ptx-vm` or `ptx-vm:NAME`."""
    return target.partition(":")[0] == FAMILY


def device_target(target: str) -> str:
    """The target whose PTX is executed: `cuda:sm_80` for `ptx-vm:sm_80`; other targets as they are."""
    return f"cuda:{target.partition(':')[2] or DEFAULT}" if is_ptx_machine(target) else target


def check_name(target: str) -> None:
    """Raises TargetError for `ptx-vm:NAME` with a name that is no architecture."""
    from vmc.backends.cuda.target import ARCHES

    name = target.partition(":")[2] or DEFAULT
    if name not in ARCHES:
        known = ", ".join(f"{FAMILY}:{arch}" for arch in ARCHES)
        raise TargetError("E0904", f"unknown target `{target}`; there are {known}")


class OnPtxMachine:
    """Launches on the PTX machine, grid after grid. `reports`: what those of the latest launch did, in numbers, by the
    names of their functions; `multiprocessors`: how many the GPU would have, of which an A100 is taken for an example.
    """

    multiprocessors = 108

    def __init__(self, kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> None:
        from vmc.backends import ptxvm
        from vmc.runtime.cuda import compiled

        check_name(target)
        self.compiled = compiled(kernel, device_target(target), dense, lines=True)
        self.kernel = self.compiled.kernel
        self.module = ptxvm.parse(self.compiled.ptx)
        self.spans = [span for grid in self.compiled.grids for span in spans_of(grid.kernel.body)]
        self.reports: dict[str, Report] = {}

    @property
    def report(self) -> Report | None:
        """What the main grid did."""
        return self.reports.get(self.compiled.main.entry)

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        return self.compiled.storages

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
        device: int = 0,
    ) -> None:
        from vmc.backends import ptxvm
        from vmc.runtime.targets import memory

        if self.compiled.counts_multiprocessors:
            symbols = (*symbols, self.multiprocessors)
        bound = dict(zip(self.kernel.symbols, symbols, strict=True))
        tensors = [padded(memory(address, size)) for address, size in zip(addresses, sizes, strict=True)]
        shared = [ptxvm.Workspace.of(evaluate(size, bound)) for size in self.compiled.workspace_sizes]
        self.reports = {}
        for grid in self.compiled.grids:
            blocks = grid.blocks(bound, scalars)
            if blocks:
                self.reports[grid.entry] = self._run(
                    grid, blocks, self._arguments(grid, tensors, shared, scalars, symbols)
                )
        for tensor, address, size in zip(tensors, addresses, sizes, strict=True):
            if tensor.size != size:
                memory(address, size)[:] = tensor[:size]

    def _run(self, grid: Grid, blocks: int, values: Sequence[Argument]) -> Report:
        """Executes one grid. Raises ExecutionError, TargetError."""
        from vmc.backends import ptxvm

        names = [parameter.name for parameter in self.compiled.parameters]
        try:
            return self.module.launch(grid.entry, (blocks,), (grid.threads,), values, grid.dynamic_shared, names=names)
        except ptxvm.ExecutionError as error:
            span = span_of(error.location, self.spans)
            failed = failed_assert(grid.kernel.body, span) if isinstance(error, ptxvm.TrapError) else ""
            raise ExecutionError(failed + message_of(error), span) from None
        except ptxvm.UnsupportedError as error:
            raise TargetError("E0915", f"the PTX machine does not execute this: {error}") from None

    def _arguments(
        self,
        grid: Grid,
        memories: Sequence[Bytes],
        shared: Sequence[Workspace],
        scalars: Sequence[int | float],
        symbols: Sequence[int],
    ) -> list[Argument]:
        from vmc.runtime.cuda import arguments

        values = iter(arguments(self.compiled, [0] * len(memories), scalars, symbols))
        places, rest = iter(memories), iter(shared)
        tensors = {p.name: p.tensor for p in grid.kernel.params if isinstance(p.type, TensorType)}
        found: list[Argument] = []
        for parameter in self.compiled.parameters:
            if parameter.kind == "workspace":
                read_only = tensors[parameter.name].access is Access.IN
                found.append(replace(next(rest), constant=read_only))
                continue
            value = next(values).value
            is_tensor = parameter.kind == "pointer"
            found.append(tensor_argument(tensors[parameter.name], next(places)) if is_tensor else value)
        return found


def padded(data: Bytes) -> Bytes:
    """Memory of whole words: device code may read and write the last word of a tensor as a whole."""
    size = -(-data.size // WORD) * WORD
    if size == data.size:
        return data
    whole = np.zeros(size, np.uint8)
    whole[: data.size] = data
    return whole


def tensor_argument(tensor: TensorType, data: Bytes) -> Argument:
    """A tensor's bytes as the machine takes them: inputs must not be written, outputs not be read before.

    Outputs of elements narrower than a byte are plain memory, because a byte is read to write a part of it.
    """
    from vmc.backends import ptxvm

    if tensor.access is Access.IN:
        return ptxvm.Constant(data)
    return ptxvm.Unset(data) if tensor.access is Access.OUT and tensor.dtype.width % 8 == 0 else data


def message_of(error: Fault) -> str:
    """What happened, in which instruction, and where the other one is that takes part in it."""
    other = f"; the other is {error.other}" if error.other is not None else ""
    return f"{error.message} ({error.location}: {error.text}{other})"


def spans_of(region: Region) -> list[Span]:
    """The places that the operations of a region come from."""
    inner = [span for op in region.ops for nested in op.regions for span in spans_of(nested)]
    return [op.span for op in region.ops if op.span.line] + inner


def failed_assert(region: Region, span: Span) -> str:
    """`message: ` of the assert at a place, "" where there is none."""
    for op in region.ops:
        if op.name == "assert" and op.span == span:
            return f"{op.attrs['message']}: "
        for nested in op.regions:
            if found := failed_assert(nested, span):
                return found
    return ""


def span_of(location: Location, spans: Sequence[Span]) -> Span:
    """The widest of `spans` in the line that the PTX tells. (NVRTC makes the names of files absolute.)"""
    here = [
        s
        for s in spans
        if s.line == location.line and (location.file == s.file or location.file.endswith(f"/{s.file}"))
    ]
    return max(here, key=lambda s: (s.end_line, s.end_column - s.column), default=UNKNOWN)
