"""A compiled kernel, and all that a launch must know of it.

A launch passes the parameters in order, tensors as addresses in device memory (multiples of `target.ALIGNMENT`),
scalars in the machine type of `Parameter.kind`, then each symbol as i64; its grid is (`blocks(...)`, 1, 1), its block
(`threads`, 1, 1), and its dynamic shared memory `dynamic_shared` bytes, for which a kernel that takes more than 48 KiB
in all must opt in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vmc.backends.cuda.binary import FAST, LINES, STRICT
from vmc.backends.cuda.compilers import compile_cuda
from vmc.backends.cuda.kernel import MOST_BLOCKS, counting, cuda_source, parameter_kind, prim_func
from vmc.backends.cuda.target import ARCHES, STATIC_SHARED
from vmc.ir.core import Kernel, Note, TensorType, Value
from vmc.ir.span import Span
from vmc.ir.text import parse_module, print_kernel


@dataclass(frozen=True)
class Parameter:
    """`kind` is "pointer", or the machine type of a scalar: uint32, uint64 (with the sign extended), float32, float64;
    of a symbol, int64.
    """

    name: str
    kind: str


@dataclass(frozen=True, eq=False)
class Compiled:
    """A kernel for one architecture."""

    entry: str
    arch: str
    ptx: str
    cubin: bytes
    source: str
    parameters: tuple[Parameter, ...]
    threads: int
    static_shared: int
    dynamic_shared: int
    kernel: Kernel = field(repr=False)

    def header(self) -> dict[str, Any]:
        """All but the cubin, as JSON can hold it; see `from_header`."""
        return {
            "entry": self.entry,
            "arch": self.arch,
            "ptx": self.ptx,
            "source": self.source,
            "parameters": [[parameter.name, parameter.kind] for parameter in self.parameters],
            "threads": self.threads,
            "static_shared": self.static_shared,
            "dynamic_shared": self.dynamic_shared,
            "kernel": print_kernel(self.kernel, locations=True),
            "notes": [[note.step, note.text, asdict(note.span)] for note in self.kernel.notes],
        }

    @staticmethod
    def from_header(header: Mapping[str, Any], cubin: bytes) -> Compiled:
        """The inverse of `header`. Raises KeyError, TypeError, ValueError or IRError for anything else."""
        fields = dict(header)
        notes = tuple(Note(step, text, Span(**span)) for step, text, span in fields.pop("notes"))
        (kernel,) = parse_module(fields.pop("kernel")).kernels
        parameters = tuple(Parameter(name, kind) for name, kind in fields.pop("parameters"))
        return Compiled(cubin=cubin, parameters=parameters, kernel=kernel.noted(*notes), **fields)

    @property
    def grid(self) -> tuple[Value, ...]:
        """The extents of the grid, results of the preamble; the number of blocks is their product."""
        return self.kernel.body.ops[-2].operands

    def blocks(self, symbols: Mapping[str, int], scalars: Sequence[int | float]) -> int:
        """The number of blocks of a launch; 0 where there is nothing to do. Raises ValueError for too many."""
        values = grid_values(self.kernel, symbols, scalars)
        extents = [max(0, int(values[extent])) for extent in self.grid]
        count = int(np.prod(extents, dtype=object))
        if count > MOST_BLOCKS:
            raise ValueError(f"{self.entry}: a launch of {count} blocks; the most is {MOST_BLOCKS}")
        return count


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


def compile(kernel: Kernel, arch: str, lines: bool = False) -> Compiled:
    """A kernel after the passes for the architecture. `lines`: PTX and cubin know the lines of the kernel's source.

    Raises UnsupportedError, ToolchainError.
    """
    function = prim_func(kernel, ARCHES[arch], lines)
    text = cuda_source(function, ARCHES[arch])
    options = FAST if kernel.fast else STRICT
    binary = compile_cuda(text, arch, (*options, LINES) if lines else options)
    shared = int(function.attrs["vmc.shared"])
    static, dynamic = (shared, 0) if shared <= STATIC_SHARED else (0, shared)
    parameters = [
        Parameter(p.name, "pointer" if isinstance(p.type, TensorType) else parameter_kind(p)) for p in kernel.params
    ]
    parameters += [Parameter(name, "int64") for name in kernel.symbols]
    return Compiled(
        str(function.attrs["global_symbol"]),
        arch,
        binary.ptx,
        binary.cubin,
        text,
        tuple(parameters),
        kernel.threads,
        static,
        dynamic,
        kernel,
    )


def source(kernel: Kernel, arch: str) -> str:
    """CUDA C."""
    return cuda_source(prim_func(kernel, ARCHES[arch]), ARCHES[arch])


def tir_script(kernel: Kernel, arch: str) -> str:
    """The PrimFunc as TVM prints it."""
    return str(prim_func(kernel, ARCHES[arch]).script())
