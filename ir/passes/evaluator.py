"""Evaluates pure operations on constants by their definitions, without memory and without blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from vmc.ir.builder import Builder
from vmc.ir.core import Op, Region, TensorType, Value
from vmc.ir.evaluate import Array, Memory, Operand


class NotConstantError(Exception):
    """The evaluation asked for something that only a launch knows."""


def evaluate(op: Op, operands: Sequence[Array]) -> tuple[Array, ...]:
    """The results of an operation on these tiles. Raises NotConstantError where they depend on more."""
    return ConstantEvaluator().execute(op, operands)


class ConstantEvaluator:
    """The part of `vmc.ir.evaluate.Evaluator` that constants need; the rest raises NotConstantError."""

    def __init__(self) -> None:
        self.values: dict[Value, Operand] = {}

    def execute(self, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return op.definition.evaluate(self, op, operands)

    def run(self, ops: Sequence[Op]) -> None:
        for op in ops:
            results = self.execute(op, [self.values[operand] for operand in op.operands])
            self.values.update(zip(op.results, results, strict=False))

    def region(self, region: Region, args: Sequence[Operand]) -> tuple[Operand, ...]:
        self.values.update(zip(region.args, args, strict=True))
        self.run(region.ops[:-1])
        return tuple(self.values[value] for value in region.yielded)

    def expand(self, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        build = Builder(op.span)
        results = op.definition.expand(build, op)
        self.values.update(zip(op.operands, operands, strict=True))
        self.run(build.ops)
        return tuple(self.values[result] for result in results)

    def fail(self, op: Op, message: str) -> NoReturn:
        raise NotConstantError(message)

    def refuse(self, *args: Any) -> NoReturn:
        raise NotConstantError("this needs a launch")

    def symbol(self, name: str) -> int:
        self.refuse(name)

    def grid(self, region: Region, extents: Sequence[int]) -> None:
        self.refuse(region)

    def allocate(self, tensor: Value) -> Memory:
        self.refuse(tensor)

    def field(self, memory: Memory, type: TensorType, bit_offset: int) -> Memory:
        self.refuse(memory)

    def copy_async(self, op: Op, source: Array, target: Memory, index: Sequence[Array]) -> None:
        self.refuse(op)

    def commit_group(self) -> None:
        self.refuse()

    def wait_group(self, pending: int) -> None:
        self.refuse(pending)

    def barrier(self, op: Op) -> None:
        self.refuse(op)

    def emit(self, text: str) -> None:
        self.refuse(text)
