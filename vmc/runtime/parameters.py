"""A kernel's run-time parameters as its callers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmc.ir.core import Access, Kernel, Storage, TensorType, Value
from vmc.ir.dims import Dim
from vmc.ir.types import DType, dtype

if TYPE_CHECKING:
    from vmc.lang.elaborate.kernels import Elaborated
    from vmc.lang.elaborate.kernels import Parameter as Declared


@dataclass(frozen=True, slots=True)
class FloatField:
    """A float field of a block format: `count` elements, the first at `offset` bits."""

    dtype: DType
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block format: `elements` values in `bytes` bytes, along the last axis. `floats` are its float fields."""

    name: str
    elements: int
    bytes: int
    floats: tuple[FloatField, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A scalar (`dims` None) or a tensor of logical extents `dims`, of numbers or of a block format's values.

    `dtype` is the element type, for a block format that of its bytes. `storage` is None for a dense tensor.
    """

    name: str
    access: Access
    dtype: DType
    dims: tuple[Dim, ...] | None = None
    format: Block | None = None
    storage: Storage | None = None

    @property
    def is_scalar(self) -> bool:
        return self.dims is None

    @property
    def is_packed(self) -> bool:
        """Whether its arrays are packed bytes, whose shape says nothing of the tensor's."""
        return self.dims is not None and self.format is None and (self.dtype.width < 8 or self.storage is not None)

    @property
    def memory(self) -> TensorType:
        """The tensor type of a parameter that is neither a scalar nor of a block format."""
        assert self.dims is not None and self.format is None
        return TensorType(self.dtype, self.dims, self.access, storage=self.storage)

    def __str__(self) -> str:
        """As in the language: `y: out f16[M, N]`."""
        access = "" if self.access is Access.IN else f"{self.access.value} "
        base = self.format.name if self.format else self.dtype.name
        extents = "" if self.dims is None else f"[{', '.join(plain(dim) for dim in self.dims)}]"
        return f"{self.name}: {access}{base}{extents}"


def plain(dim: Dim) -> str:
    """An extent as text, without the outermost parentheses."""
    text = str(dim)
    return text[1:-1] if text.startswith("(") else text


def parameters_of(elaborated: Elaborated) -> tuple[Parameter, ...]:
    """The parameters of an elaborated kernel."""
    return tuple(map(from_declared, elaborated.parameters, elaborated.kernel.params))


def from_declared(parameter: Declared, value: Value) -> Parameter:
    if parameter.format is None:
        return from_value(value)
    declared = parameter.format
    floats = tuple(FloatField(f.dtype, f.count or 1, f.offset) for f in declared.fields if f.dtype.is_float)
    block = Block(declared.name, declared.block, declared.bytes, floats)
    return Parameter(parameter.name, parameter.access, dtype("u8"), parameter.dims, block)


def parameters_of_ir(kernel: Kernel) -> tuple[Parameter, ...]:
    """The parameters of a kernel in tile IR; tensors of block formats are the bytes that they are there."""
    return tuple(map(from_value, kernel.params))


def from_value(value: Value) -> Parameter:
    match value.type:
        case TensorType(type, shape, access, _, storage):
            return Parameter(value.name, access, type, shape, None, storage)
        case tile:
            return Parameter(value.name, Access.IN, tile.dtype)
