"""Runs an elaborated kernel on the reference VM and on the CPU, and compares what they leave in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from tests.generators.ir_arguments import random_arguments, random_memory, same_memory
from tests.generators.stored import stored
from vmc.backends import cpu, interp
from vmc.ir.core import Kernel, Module, TensorType, walk
from vmc.ir.dims import evaluate
from vmc.ir.passes import pipeline
from vmc.ir.passes import run as run_passes
from vmc.ir.types import unpack
from vmc.ir.verifier import verify

FREE_ORDER = {"dot", "reduce", "atomic"}


def compare_targets(kernel: Kernel, seed: int, symbols: Mapping[str, int] | None = None) -> None:
    """Raises AssertionError where the CPU's result is not the reference VM's."""
    import random

    verify(kernel)
    arguments, bound = random_arguments(kernel, seed)
    if symbols:
        bound = {**bound, **symbols}
        rng = random.Random(seed)
        arguments = [
            random_memory(param.type, bound, rng) if isinstance(param.type, TensorType) else argument
            for param, argument in zip(kernel.params, arguments, strict=True)
        ]
    expected = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    interp.run(kernel, expected, bound)
    actual = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    run_cpu(kernel, actual, bound)
    for param, want, got in zip(kernel.params, expected, actual, strict=True):
        if isinstance(param.type, TensorType):
            check_tensor(kernel, param.type, bound, want, got, param.name)


def run_cpu(kernel: Kernel, arguments: list[Any], symbols: Mapping[str, int]) -> None:
    """Compiles for the host and launches."""
    lowered, executable = compiled(kernel)
    given = stored(kernel, lowered, arguments, symbols)
    pointers = [a.ctypes.data for a in given if isinstance(a, np.ndarray)]
    scalars = [a for a in given if not isinstance(a, np.ndarray)]
    executable.launch(pointers, scalars, symbols)


@lru_cache(maxsize=4)
def compiled(kernel: Kernel) -> tuple[Kernel, cpu.Executable]:
    """A kernel after the passes, and its code for the host."""
    lowered = run_passes(Module((kernel,)), pipeline("cpu"), verify=True).kernels[0]
    return lowered, cpu.compile(lowered, cpu.Options())


def check_tensor(kernel: Kernel, type: TensorType, symbols: Mapping[str, int], want: Any, got: Any, name: str) -> None:
    """Bit for bit, but for kernels that sum floats in a free order, which may differ by rounding."""
    if same_memory(type, symbols, want, got):
        return
    free = kernel.fast or any(
        op.name in FREE_ORDER and any(o.tile.dtype.is_float for o in op.operands if not isinstance(o.type, TensorType))
        for op in walk(kernel.body)
    )
    shape = tuple(evaluate(dim, symbols) for dim in type.shape)
    a, b = (type.dtype.decode(unpack(memory, type.dtype, shape)) for memory in (want, got))
    message = f"{kernel.name}: {name} differs between the reference VM and the CPU"
    assert free and type.dtype.is_float, message
    step = 2.0 ** -min(type.dtype.mantissa_bits, 20)
    np.testing.assert_allclose(b, a, rtol=8 * step, atol=1e-3, err_msg=message)
