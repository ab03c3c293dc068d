"""Kernels compiled for a GPU and executed in the PTX virtual machine, beside the reference machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.generators.ir_arguments import differences
from vmc.backends import cuda, ptxvm
from vmc.backends.interp import run as execute
from vmc.ir.core import Module, TensorType
from vmc.ir.dims import evaluate
from vmc.ir.passes import pipeline, run
from vmc.ir.passes.gpu.split import MULTIPROCESSORS

ARCH = "sm_80"
WORD = 4


def lowered(module: Module, arch: str = ARCH) -> Module:
    """The grids of a module's only kernel after the passes for an architecture."""
    return run(module, pipeline(f"cuda:{arch}"), verify=True)


def launch(made: cuda.Compiled, arguments: Sequence[Any], symbols: Mapping[str, int], **options: Any) -> ptxvm.Report:
    """Executes compiled code. Tensors are u8 memory, which is written in place; scalars are Python numbers."""
    types = {param.name: param.type for param in made.params}
    numbers = [a for p, a in zip(made.params, arguments, strict=True) if not isinstance(p.type, TensorType)]
    values: list[Any] = []
    memories = []
    given = iter(arguments)
    if made.counts_multiprocessors:
        symbols = {**symbols, MULTIPROCESSORS: 108}
    sizes = iter(evaluate(size, symbols) for size in made.workspace_sizes)
    for parameter in made.parameters:
        if parameter.kind == "pointer":
            memory = next(given)
            padded = np.zeros(-(-max(1, memory.size) // WORD) * WORD, np.uint8)
            padded[: memory.size] = memory
            memories.append((memory, padded))
            values.append(padded)
        elif parameter.kind == "workspace":
            values.append(np.zeros(next(sizes), np.uint8))
        elif parameter.kind == "int64":
            values.append(symbols[parameter.name])
        else:
            values.append(scalar(types[parameter.name], next(given), parameter.kind))
    module, report = ptxvm.parse(made.ptx), None
    for grid in made.grids:
        blocks = grid.blocks(symbols, numbers)
        if blocks:
            report = module.launch(grid.entry, (blocks,), (grid.threads,), values, grid.dynamic_shared, **options)
    for memory, padded in memories:
        memory[:] = padded[: memory.size]
    return report  # type: ignore[return-value]


def scalar(type: Any, number: int | float, kind: str) -> int | float:
    """A scalar argument as its machine type."""
    dtype = type.dtype
    if kind.startswith("float"):
        return float(number)
    code = int(dtype.to_codes(dtype.from_codes(dtype.encode(np.asarray(number))))[()])
    if dtype.is_int and not dtype.is_uint and code >> (dtype.width - 1):
        code -= 1 << dtype.width
    return code & ((1 << (32 if kind == "uint32" else 64)) - 1)


def wrong(module: Module, arguments: Sequence[Any], symbols: dict[str, int], arch: str = ARCH) -> list[str]:
    """The names of the tensors in which the compiled kernel and the reference machine differ."""
    kernel = module.kernels[0]
    expected, found = ([a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2))
    execute(kernel, expected, symbols)
    launch(cuda.compile(lowered(module, arch), arch), found, symbols)
    return differences(kernel, symbols, expected, found)
