"""Kernels compiled for a GPU and executed in the PTX virtual machine, beside the reference machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.generators.ir_arguments import differences
from vmc.backends import cuda, ptxvm
from vmc.backends.interp import run as execute
from vmc.ir.core import Kernel, Module, TensorType
from vmc.ir.passes import pipeline, run

ARCH = "sm_80"
WORD = 4


def lowered(module: Module, arch: str = ARCH) -> Kernel:
    """The only kernel of a module after the passes for an architecture."""
    return run(module, pipeline(f"cuda:{arch}"), verify=True).kernels[0]


def launch(made: cuda.Compiled, arguments: Sequence[Any], symbols: Mapping[str, int], **options: Any) -> ptxvm.Report:
    """Executes compiled code. Tensors are u8 memory, which is written in place; scalars are Python numbers."""
    types = {param.name: param.type for param in made.kernel.params}
    numbers = [a for p, a in zip(made.kernel.params, arguments, strict=True) if not isinstance(p.type, TensorType)]
    blocks = made.blocks(symbols, numbers)
    values: list[Any] = []
    memories = []
    given = iter(arguments)
    for parameter in made.parameters:
        if parameter.name in types and parameter.kind == "pointer":
            memory = next(given)
            padded = np.zeros(-(-max(1, memory.size) // WORD) * WORD, np.uint8)
            padded[: memory.size] = memory
            memories.append((memory, padded))
            values.append(padded)
        elif parameter.kind == "int64":
            values.append(symbols[parameter.name])
        else:
            values.append(scalar(types[parameter.name], next(given), parameter.kind))
    if not blocks:
        return None  # type: ignore[return-value]
    module = ptxvm.parse(made.ptx)
    report = module.launch(made.entry, (blocks,), (made.threads,), values, made.dynamic_shared, **options)
    for memory, padded in memories:
        memory[:] = padded[: memory.size]
    return report


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
