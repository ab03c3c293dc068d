"""What helps to find mistakes in a kernel.

    print(tile...) {text}         the text, and the values, for every block that comes by
    assert(condition) {message}   an error of the program unless every element of the u1 condition holds

The order in which blocks print is not defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, Type
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, operands, require, schema, tile
from vmc.ir.types import DType, dtype


class Print(OpDef):
    """Prints a line: the text, then the values of the operands."""

    name = "print"
    signature = "(a...)"
    pure = False
    attrs = schema(text=str)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        for type in types:
            tile(type, "what print shows")
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        shown = [
            np.array2string(value.tile.dtype.to_values(array), separator=", ")
            for value, array in zip(op.operands, operands, strict=True)
        ]
        run.emit(" ".join([op.attrs["text"], *shown]).strip())
        return ()


class Assert(OpDef):
    """Stops the program with the message unless the condition holds everywhere."""

    name = "assert"
    signature = "(condition)"
    pure = False
    attrs = schema(message=str)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        condition = tile(types[0], "the condition")
        require(condition.dtype == dtype("u1"), f"the condition of assert must be u1, and is {condition}")
        return ()

    def legal_types(self) -> tuple[DType, ...]:
        return (dtype("u1"),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        if not np.all(operands[0]):
            run.fail(op, op.attrs["message"])
        return ()


DEFINITIONS: tuple[OpDef, ...] = (Print(), Assert())
