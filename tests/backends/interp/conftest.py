"""Fixtures: `kernel` builds a kernel around the body of one block; `launch` executes it on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from vmc.backends.interp import run
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Kernel, TileType, Type
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.ir.verifier import verify


class LineBuilder(Builder):
    """Gives every operation a line of its own: the first one line 1, and so on."""

    def many(self, name: str, /, *operands: Any, **attrs: Any) -> Any:
        line = len(self.ops) + 1
        self.span = Span("test.vmc", line, 1, line, 9)
        return super().many(name, *operands, **attrs)


def build_kernel(
    params: Mapping[str, Type],
    grid: Sequence[int],
    body: Callable[..., None],
    symbols: Sequence[str] = (),
) -> Kernel:
    """A kernel whose block is built by `body(build, parameters..., block indices...)`; verified."""
    values = [argument(type, name) for name, type in params.items()]
    places = [argument(TileType(dtype("i64")), f"block{axis}") for axis in range(len(grid))]
    block, whole = LineBuilder(), Builder()
    body(block, *values, *places)
    region = block.region(places)
    whole.many("grid", *(whole.index(extent) for extent in grid), regions=(region,))
    kernel = Kernel("test", tuple(values), tuple(symbols), whole.region())
    verify(kernel)
    return kernel


def launch_kernel(kernel: Kernel, *arguments: Any, symbols: Mapping[str, int] | None = None, **options: Any) -> None:
    """Executes a kernel on arrays of any dtype, as the memory of its tensors."""
    memory = [
        array.reshape(-1).view(np.uint8) if isinstance(array, np.ndarray) and array.ndim else array
        for array in arguments
    ]
    run(kernel, memory, symbols or {}, **options)


@pytest.fixture
def kernel() -> Callable[..., Kernel]:
    return build_kernel


@pytest.fixture
def launch() -> Callable[..., None]:
    return launch_kernel
