"""The data of the tile IR: types of values, operations, regions, kernels and modules. All of it is immutable.

A module holds kernels; a kernel's body is a region; a region is a list of operations in SSA form, each value
defined once and used only where its definition dominates. What an operation *is* (its types, its verification,
its meaning) stands in its definition under `vmc.ir.ops`; an `Op` only says which definition, on which values.

    kernel  :=  name, params, symbols, body
    body    :=  pure preamble, then one `grid` whose region is what one block does
    op      :=  results = definition(operands) {attributes} regions @span
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from vmc.ir.dims import Dim
from vmc.ir.layout import Layout, Shuffle
from vmc.ir.span import UNKNOWN, Span
from vmc.ir.types import DType

if TYPE_CHECKING:
    from vmc.ir.opdef import OpDef


class IRError(Exception):
    """An ill-formed operation or module: `message` tells what is wrong; `span`, where known, where; `str()` both."""

    def __init__(self, message: str, span: Span = UNKNOWN) -> None:
        super().__init__(message if span == UNKNOWN else f"{span}: {message}")
        self.message = message
        self.span = span


class Access(Enum):
    """What a kernel may do with a tensor parameter."""

    IN = "in"
    OUT = "out"
    INOUT = "inout"

    @property
    def writable(self) -> bool:
        return self is not Access.IN


class Space(Enum):
    """Where a tensor lives: device memory, or a block's own shared memory. A workspace is device memory that a launch
    has for itself, in which the kernels of a module leave results for those after them.
    """

    GLOBAL = "global"
    SHARED = "shared"
    WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class Storage:
    """How a tensor's elements lie in memory: in blocks, one after the other, `pitch` bits apart.

    The bit offset of element `i` is `pitch * number(i // block) + layout(i % block)`, where blocks are numbered with
    the last dimension of `order` running fastest; `order` is a permutation of the dimensions, () for (0, 1, ...), which
    is row-major. `layout` maps an index inside the block (and the bit inside the element) to the axis `bit`, and
    `shuffle`, where there is one, permutes the block's bits after that. A tensor without a storage is dense: element
    number n of the row-major order occupies the bits [n*b, (n+1)*b).
    """

    block: tuple[int, ...]
    layout: Layout
    pitch: int
    order: tuple[int, ...] = ()
    shuffle: Shuffle | None = None

    @property
    def dimensions(self) -> tuple[int, ...]:
        """`order`, written out."""
        return self.order or tuple(range(len(self.block)))

    def __hash__(self) -> int:
        """Without the layout, whose hash would be the most of a launch's look at its arguments."""
        return hash((self.block, self.pitch, self.order))


@dataclass(frozen=True, slots=True)
class TileType:
    """A tile: a value of static shape that one block holds. Rank 0 is a scalar. `layout` is None until inferred."""

    dtype: DType
    shape: tuple[int, ...] = ()
    layout: Layout | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def __str__(self) -> str:
        shape = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        pinned = f" layout {self.layout}" if self.layout is not None else ""
        return f"{self.dtype.name}{shape}{pinned}"


@dataclass(frozen=True, slots=True)
class TensorType:
    """A tensor in memory, of static or symbolic extents, reached by loads and stores only."""

    dtype: DType
    shape: tuple[Dim, ...]
    access: Access = Access.IN
    space: Space = Space.GLOBAL
    storage: Storage | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def in_device_memory(self) -> bool:
        return self.space is not Space.SHARED


Type = TileType | TensorType


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """An SSA value. Identity is what makes it itself; `name` is a hint for printing."""

    type: Type
    name: str = ""

    @property
    def tile(self) -> TileType:
        """The type, which must be a tile's."""
        assert isinstance(self.type, TileType)
        return self.type

    @property
    def tensor(self) -> TensorType:
        """The type, which must be a tensor's."""
        assert isinstance(self.type, TensorType)
        return self.type


@dataclass(frozen=True, slots=True)
class Table:
    """A constant tile: `codes` are the bit patterns, row-major, in the dtype's `code_dtype`, as bytes."""

    dtype: DType
    shape: tuple[int, ...]
    codes: bytes

    @staticmethod
    def of(dtype: DType, codes: np.ndarray[Any, Any]) -> Table:
        """The table of an array of bit patterns."""
        return Table(dtype, codes.shape, np.ascontiguousarray(codes, dtype.code_dtype).tobytes())

    def array(self) -> np.ndarray[Any, Any]:
        """The bit patterns, in `dtype.code_dtype`."""
        return np.frombuffer(self.codes, self.dtype.code_dtype).reshape(self.shape)


Attr = int | float | str | bool | None | DType | Layout | TileType | TensorType | Table | tuple["Attr", ...]

NO_ATTRS: Mapping[str, Attr] = MappingProxyType({})


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """One operation on values. `attrs` is read-only and sorted by name; its values are of type `Attr`."""

    definition: OpDef
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    attrs: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRS)
    regions: tuple[Region, ...] = ()
    span: Span = UNKNOWN

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Operations in order, with arguments; the last one is a `yield` whose operands are the region's results."""

    args: tuple[Value, ...]
    ops: tuple[Op, ...]

    @property
    def yielded(self) -> tuple[Value, ...]:
        return self.ops[-1].operands if self.ops and self.ops[-1].name == "yield" else ()


class Level(Enum):
    """Tile level: slices of tensors, layouts optional. Access level: every tile has a layout, accesses are explicit."""

    TILE = "tile"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Note:
    """What a pass decided about the program at `span`, and why: the proof or the costs that it chose by."""

    step: str
    text: str
    span: Span = UNKNOWN


@dataclass(frozen=True, eq=False, slots=True)
class Kernel:
    """A kernel whose compile-time parameters are all bound.

    `params` are the values a launch passes, in order (tensors, and rank-0 tiles for scalars); `symbols` are the names
    that the launch binds from the tensors' shapes. `bindings` are the compile-time arguments, for messages and keys;
    `notes` is what passes tell of their decisions (`vmc explain`), and changes nothing. `threads` is how many threads
    a block has where passes have chosen it, 0 before.
    """

    name: str
    params: tuple[Value, ...]
    symbols: tuple[str, ...]
    body: Region
    fast: bool = False
    level: Level = Level.TILE
    bindings: tuple[tuple[str, str], ...] = ()
    span: Span = UNKNOWN
    notes: tuple[Note, ...] = ()
    threads: int = 0

    @property
    def storages(self) -> dict[str, Storage | None]:
        """How each tensor parameter lies in memory; None: as declared."""
        return {param.name: param.type.storage for param in self.params if isinstance(param.type, TensorType)}

    def noted(self, *notes: Note) -> Kernel:
        """The kernel with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def with_body(self, body: Region) -> Kernel:
        return replace(self, body=body)


@dataclass(frozen=True, eq=False, slots=True)
class Module:
    """Kernels compiled together."""

    kernels: tuple[Kernel, ...]

    def kernel(self, name: str) -> Kernel:
        """The kernel of that name. Raises KeyError."""
        for kernel in self.kernels:
            if kernel.name == name:
                return kernel
        raise KeyError(name)


def attributes(**attrs: Attr) -> Mapping[str, Attr]:
    """A read-only attribute mapping in canonical order."""
    return MappingProxyType(dict(sorted(attrs.items())))


def walk(region: Region) -> Iterator[Op]:
    """Every operation of a region and of the regions inside, outer before inner, in program order."""
    for op in region.ops:
        yield op
        for inner in op.regions:
            yield from walk(inner)


def needed(op: Op) -> set[Value]:
    """The values from outside that an operation and its regions use."""
    used, defined = set(op.operands), set[Value]()
    for region in op.regions:
        defined.update(region.args)
        for inner in walk(region):
            used.update(inner.operands)
            defined.update(inner.results)
            for nested in inner.regions:
                defined.update(nested.args)
    return used - defined


def sources(values: Iterable[Value], ops: Sequence[Op]) -> list[Op]:
    """Those of `ops`, which are in program order, that values are computed from."""
    wanted = set(values)
    found: list[Op] = []
    for op in reversed(ops):
        if wanted.intersection(op.results):
            wanted |= needed(op)
            found.insert(0, op)
    return found
