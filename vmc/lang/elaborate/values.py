"""What an expression of the language stands for while it is elaborated.

Compile-time things (`Const`, `TypeRef`, functions, formats, layouts) exist only here; `Tile` and `Tensor` wrap values
of the tile IR that the elaborator has emitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from vmc.ir.core import Table, TensorType, TileType, Value
from vmc.ir.dims import Dim
from vmc.ir.layout import Layout
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang import syntax

if TYPE_CHECKING:
    from vmc.lang.elaborate.builtins import Builtin
    from vmc.lang.elaborate.formats import FieldAccess, Format
    from vmc.lang.elaborate.scope import Scope


@dataclass(frozen=True, slots=True)
class Const:
    """A compile-time number or boolean; it takes the type of what it meets."""

    value: int | float | bool

    def describe(self) -> str:
        return f"the compile-time value {self.value}"


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile or scalar computed at run time."""

    value: Value

    @property
    def type(self) -> TileType:
        return self.value.tile

    @property
    def dtype(self) -> DType:
        return self.value.tile.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.tile.shape

    def describe(self) -> str:
        return f"a tile {self.type}" if self.shape else f"a scalar {self.dtype.name}"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor parameter or a buffer. With a format, `value` is the blocks' bytes, and `dims` the logical extents."""

    value: Value
    name: str
    dims: tuple[Dim, ...]
    format: Format | None = None
    declared: Span | None = None

    @property
    def type(self) -> TensorType:
        return self.value.tensor

    @property
    def element(self) -> str:
        return self.format.name if self.format else self.type.dtype.name

    def describe(self) -> str:
        return f"a tensor {self.element}[{', '.join(map(str, self.dims))}]"


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A numeric type used as a value: a cast when it is called."""

    dtype: DType

    def describe(self) -> str:
        return f"the type {self.dtype.name}"


@dataclass(frozen=True, slots=True)
class ShapedRef:
    """A tile type used as a value, as in `zeros(f32[64, 64])`."""

    type: TileType

    def describe(self) -> str:
        return f"the type {self.type}"


@dataclass(frozen=True, slots=True)
class TableRef:
    """A constant table; using its name makes it a tile."""

    table: Table

    def describe(self) -> str:
        return f"a table {self.table.dtype.name}{list(self.table.shape)}"


@dataclass(frozen=True, slots=True)
class FormatRef:
    """A block format's name."""

    format: Format

    def describe(self) -> str:
        return f"the format {self.format.name}"


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A user function, with the scope that it was declared in."""

    declaration: syntax.Function
    scope: Scope

    def describe(self) -> str:
        return f"the function {self.declaration.name}"


@dataclass(frozen=True, slots=True)
class KernelRef:
    """A kernel's name; kernels are launched by the host only."""

    name: str

    def describe(self) -> str:
        return f"the kernel {self.name}"


@dataclass(frozen=True, slots=True)
class BuiltinRef:
    """A function of the language."""

    builtin: Builtin

    def describe(self) -> str:
        return f"the function {self.builtin.name}"


@dataclass(frozen=True, slots=True)
class ModuleRef:
    """An imported module."""

    name: str
    scope: Scope

    def describe(self) -> str:
        return f"the module {self.name}"


@dataclass(frozen=True, slots=True)
class LayoutRef:
    """A layout."""

    layout: Layout

    def describe(self) -> str:
        return f"the layout {self.layout}"


@dataclass(frozen=True, slots=True)
class ListRef:
    """A bracketed list: table contents and shapes."""

    items: tuple[Thing, ...]

    def describe(self) -> str:
        return "a list"


@dataclass(frozen=True, slots=True)
class TextRef:
    """A string."""

    text: str

    def describe(self) -> str:
        return "a string"


@dataclass(frozen=True, slots=True)
class TupleRef:
    """Several results of one call."""

    items: tuple[Thing, ...]

    def describe(self) -> str:
        return f"{len(self.items)} values"


@dataclass(frozen=True, slots=True)
class Nothing:
    """The result of a call that has none."""

    def describe(self) -> str:
        return "no value"


@dataclass(frozen=True, slots=True)
class Poison:
    """The result of something already reported, or of a variable that may be unassigned: `reason` tells then."""

    reason: str = ""
    span: Span | None = None

    def describe(self) -> str:
        return "an erroneous value"


Thing = Union[
    Const, Tile, Tensor, TypeRef, ShapedRef, TableRef, FormatRef, FunctionRef, KernelRef, BuiltinRef, ModuleRef,
    LayoutRef, ListRef, TextRef, TupleRef, Nothing, Poison, "FieldAccess",
]  # fmt: skip
"""Whatever an expression can stand for."""
