"""What an operation's definition is: one class, one place, for types, verification, meaning and expansion.

    class Negate(OpDef):
        name = "neg"
        def infer(self, types, attrs): ...        # result types, or IRError: this is the verification, too
        def evaluate(self, run, op, operands): ... # the meaning, in NumPy

A *composite* operation defines `expand` instead of `evaluate`: its meaning is its expansion into simpler operations,
and executors that have nothing better execute that, so that all targets give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from vmc.ir.core import Attr, IRError, Op, TensorType, TileType, Type, Value
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.types import ALL_DTYPES, DType

if TYPE_CHECKING:
    from vmc.ir.builder import Builder


class OpDef:
    """The definition of one operation. Instances carry no state beyond their name's family parameters."""

    name: str
    signature: str = "()"
    """The operands, as the reference documentation writes them; `?` marks an optional one, `...` a list."""
    pure: ClassVar[bool] = True
    """No effect but its results: may be removed when unused, merged with its equals, moved."""
    elementwise: ClassVar[bool] = False
    """Every operand and result has one shape, and element i of the results depends on elements i alone."""
    reads_memory: ClassVar[bool] = False
    writes_memory: ClassVar[bool] = False
    composite: ClassVar[bool] = False
    """Has an expansion and no meaning of its own."""
    attrs: Mapping[str, type | tuple[type, ...]] = MappingProxyType({})
    """Name and Python type of every attribute. All are required."""

    @property
    def summary(self) -> str:
        """What the operation does, in a line or a paragraph."""
        return (type(self).__doc__ or "").strip()

    def legal_types(self) -> tuple[DType, ...]:
        """The dtypes that the elements it works on may have: its tensor's or its first tile's. In the table's order."""
        return ALL_DTYPES

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


def check_attrs(definition: OpDef, attrs: Mapping[str, Attr]) -> None:
    """Raises IRError unless the attributes have exactly the names and types of the definition's schema."""
    for name, legal in definition.attrs.items():
        if name not in attrs:
            raise IRError(f"{definition.name} needs the attribute {name}")
        legal = legal if isinstance(legal, tuple) else (legal,)
        value = attrs[name]
        if not isinstance(value, legal) or (isinstance(value, bool) and bool not in legal):
            wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in legal)
            raise IRError(f"the attribute {name} of {definition.name} must be {wanted}, and is {value!r}")
    if len(attrs) > len(definition.attrs):
        unknown = next(name for name in attrs if name not in definition.attrs)
        raise IRError(f"{definition.name} has no attribute {unknown}")


def axis_of(source: TileType, axis: int, name: str) -> int:
    """The axis, counted from 0. Raises IRError where the tile has no such axis."""
    if not 0 <= axis < source.rank:
        raise IRError(f"{name}: {source} has no axis {axis}")
    return axis


def filtered(legal: Callable[[DType], bool]) -> tuple[DType, ...]:
    """The dtypes that a predicate holds of, in the table's order."""
    return tuple(dtype for dtype in ALL_DTYPES if legal(dtype))


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


def schema(**attrs: type | tuple[type, ...]) -> Mapping[str, type | tuple[type, ...]]:
    """The read-only schema of a definition's attributes."""
    return MappingProxyType(attrs)


Attrs = Mapping[str, Any]
"""Attributes after `OpDef.attrs` checked their types."""
