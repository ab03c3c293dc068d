"""What an operation's definition is: one class, one place, for types, verification, meaning and expansion.

    class Negate(OpDef):
        name = "neg"
        def infer(self, types, attrs): ...        # result types, or IRError: this is the verification, too
        def evaluate(self, run, op, operands): ... # the meaning, in NumPy

A *composite* operation defines `expand` instead of `evaluate`: its meaning is its expansion into simpler operations,
and executors that have nothing better execute that, so that all targets give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vmc.ir.core import Attr, IRError, Op, TensorType, TileType, Type, Value
from vmc.ir.evaluate import Evaluator, Operand

if TYPE_CHECKING:
    from vmc.ir.builder import Builder


class OpDef:
    """The definition of one operation. Instances carry no state beyond their name's family parameters."""

    name: str
    pure: ClassVar[bool] = True
    """No effect but its results: may be removed when unused, merged with its equals, moved."""
    elementwise: ClassVar[bool] = False
    """Every operand and result has one shape, and element i of the results depends on elements i alone."""
    reads_memory: ClassVar[bool] = False
    writes_memory: ClassVar[bool] = False
    composite: ClassVar[bool] = False
    """Has an expansion and no meaning of its own."""
    attrs: Mapping[str, type | tuple[type, ...]] = {}
    """Name and Python type of every attribute. All are required."""

    def infer(self, types: Sequence[Type], attrs: Mapping[str, Attr]) -> tuple[Type, ...]:
        """The result types, without layouts. Raises IRError when operands or attributes are not legal."""
        raise NotImplementedError(self.name)

    def verify(self, op: Op) -> None:
        """What `infer` cannot see: regions. Raises IRError."""

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        """The meaning: results from operands."""
        return run.expand(op, operands)

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        """The operation in terms of simpler ones, emitted into `build`; the values that replace its results."""
        raise NotImplementedError(self.name)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def tile(type: Type, what: str = "operand") -> TileType:
    """The type as a tile's. Raises IRError."""
    if not isinstance(type, TileType):
        raise IRError(f"{what} must be a tile, and is a tensor")
    return type


def tensor(type: Type, what: str = "operand") -> TensorType:
    """The type as a tensor's. Raises IRError."""
    if not isinstance(type, TensorType):
        raise IRError(f"{what} must be a tensor, and is a tile {type}")
    return type


def operands(types: Sequence[Type], count: int, name: str) -> None:
    """Raises IRError unless there are `count` operands."""
    if len(types) != count:
        raise IRError(f"{name} takes {count} operands, and has {len(types)}")


def require(condition: bool, message: str) -> None:
    """Raises IRError with the message unless the condition holds."""
    if not condition:
        raise IRError(message)


Attrs = Mapping[str, Any]
"""Attributes after `OpDef.attrs` checked their types."""
