"""What an operation's meaning is written against: arrays for tiles, `Memory` for tensors, `Evaluator` for the rest.

A tile is an array of its dtype's `array_dtype` (native integers and f16/f32/f64; bit patterns for every other float).
The reference VM implements both protocols; operations use nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vmc.ir.types import DType

if TYPE_CHECKING:
    from vmc.ir.core import Op, Region, TensorType, Value

Array = np.ndarray[Any, Any]


class Memory(Protocol):
    """A tensor as the executing block sees it. Indices are int64 arrays, one a dimension, of one common shape.

    `mask` (bool, same shape) says which elements are accessed at all; an accessed element must lie inside the extents,
    must have been written if it is read, and must not be touched by another block if it is written: else the
    evaluator reports an error. Elements that are masked off read as zero bits.
    """

    shape: tuple[int, ...]
    dtype: DType

    def read(self, index: Sequence[Array], mask: Array) -> Array: ...

    def write(self, index: Sequence[Array], mask: Array, values: Array) -> None: ...

    def atomic(self, kind: str, index: Sequence[Array], mask: Array, values: Array) -> Array:
        """Applies `kind` element after element in row-major order; the result is the old values."""
        ...


Operand = Any
"""An `Array` where the operand is a tile, a `Memory` where it is a tensor."""


class Evaluator(Protocol):
    """The machine that executes a region for one block."""

    def symbol(self, name: str) -> int: ...

    def region(self, region: Region, args: Sequence[Operand]) -> tuple[Operand, ...]:
        """Executes a region with these arguments; the result is what it yields."""
        ...

    def grid(self, region: Region, extents: Sequence[int]) -> None:
        """Executes a region once per block."""
        ...

    def allocate(self, tensor: Value) -> Memory:
        """A fresh, never-written tensor of the block's own, with the type and the name of a value."""
        ...

    def field(self, memory: Memory, type: TensorType, bit_offset: int) -> Memory:
        """Another view of a tensor's bytes, with its own dtype, extents and storage."""
        ...

    def copy_async(self, op: Op, source: Array, target: Memory, index: Sequence[Array]) -> None:
        """Starts a write that arrives when its group is waited for, at the latest; not to be read before."""
        ...

    def commit_group(self) -> None: ...

    def wait_group(self, pending: int) -> None: ...

    def barrier(self, op: Op) -> None: ...

    def emit(self, text: str) -> None:
        """Prints a line for the user."""
        ...

    def fail(self, op: Op, message: str) -> None:
        """Reports an error of the program at the operation's source line; does not return."""
        ...

    def expand(self, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        """Executes an operation by its expansion into simpler ones."""
        ...


Values = Sequence["Value"]
