"""A hint that a slice of a tensor is read soon.

    prefetch(tensor, start i64 per dimension; sizes)

It means nothing: executors may bring the slice nearer, or not. Elements outside of the tensor are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmc.ir.core import Op, Type
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, require, schema, tensor
from vmc.ir.ops.control import scalar_index
from vmc.ir.ops.memory import first


class Prefetch(OpDef):
    """A hint that a slice, with one entry of `sizes` a dimension as in `load`, is read soon."""

    name = "prefetch"
    signature = "(tensor, start...)"
    pure = False
    attrs = schema(sizes=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        memory = tensor(first(types, self.name), "what prefetch reads")
        starts, sizes = types[1:], attrs["sizes"]
        require(len(starts) == len(sizes) == memory.rank, "prefetch takes one start and one size for each dimension")
        for start in starts:
            scalar_index(start, "a start of prefetch")
        require(all(size is None or size >= 1 for size in sizes), "prefetch: sizes must be at least 1")
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return ()


DEFINITIONS: tuple[OpDef, ...] = (Prefetch(),)
