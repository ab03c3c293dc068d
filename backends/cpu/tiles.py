"""Tiles while a kernel is being compiled: a buffer in memory, or a recipe that computes one element at a time.

A *virtual* tile is a recipe: given an index it emits the code of that element. Recipes nest, so that a chain of
elementwise operations becomes one loop without temporaries. A *settled* tile has a buffer: row-major, one LLVM value
per element. Every settled tile is also a recipe, a load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from llvmlite import ir

from vmc.backends.cpu.vectors import Atom, Place
from vmc.ir.core import TensorType, Value
from vmc.ir.types import DType

Index = tuple[ir.Value, ...]
At = Callable[[Index], ir.Value]
Flat = Callable[[ir.Value], ir.Value]
Lanes = Callable[[Place, Atom], ir.Value]


@dataclass(eq=False)
class Scope:
    """Memory that overlaps no other scope's: what LLVM's alias analysis is told."""

    name: str
    own: ir.Value | None = None
    others: ir.Value | None = None


@dataclass(eq=False)
class Buffer:
    """Elements of one LLVM type, row-major, from `pointer` on. `owned`: nobody else holds it, it may be overwritten."""

    pointer: ir.Value
    element: ir.Type
    size: int
    scope: Scope | None = None
    owned: bool = False


@dataclass(eq=False)
class Tile:
    """One tile. `sources` says what memory evaluating it reads (buffers, and loads not yet made), and whether element i
    of the tile reads element i of it alone. `cheap` recipes cost no more than the load of an element. `home` is the
    execution of a region that the tile belongs to: a buffer made elsewhere might not be there when that goes on.
    `operands` are the tiles whose elements i an element i is computed from, `inputs` the others that a recipe reads.
    `lanes` is the recipe for an atom of elements at once (`vectors`); `whole`, where there is one, says at run time
    whether the recipe for lanes needs no guard. `product` is what a matrix product is, until it has a buffer. Places
    whose rows differ by multiples of `period` are decoded alike. `transposed` is the tile of two axes that one is the
    transpose of, `same` one of another type whose elements are the same numbers.
    """

    dtype: DType
    shape: tuple[int, ...]
    at: At | None = None
    flat: Flat | None = None
    buffer: Buffer | None = None
    cheap: bool = False
    sources: Mapping[object, bool] = field(default_factory=dict)
    origin: Origin | None = None
    home: object = None
    operands: tuple[Tile, ...] = ()
    inputs: tuple[Tile, ...] = ()
    lanes: Lanes | None = None
    whole: ir.Value | None = None
    product: object = None
    period: int = 1
    transposed: Tile | None = None
    same: Tile | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a virtual load reads: the memory's scope, and the operands and attributes that name the slice. `address`
    tells where an element lies, of a slice whose rows are runs of memory.
    """

    scope: Scope
    starts: tuple[Value, ...]
    sizes: object
    steps: object
    address: Callable[[Index], ir.Value] | None = None


@dataclass(eq=False)
class Tensor:
    """A tensor in memory. `extents` and `strides` count elements; `length` bytes from `base` on may be touched."""

    type: TensorType
    base: ir.Value
    extents: tuple[ir.Value, ...]
    strides: tuple[ir.Value, ...]
    length: ir.Value
    scope: Scope
    bit_offset: int = 0


def chain(root: Tile) -> Iterator[Tile]:
    """The tiles that the elements of one are computed from, itself first, each once; nothing behind a buffer."""
    waiting, seen = [root], set()
    while waiting:
        top = waiting.pop()
        if top not in seen:
            seen.add(top)
            yield top
            if top.buffer is None:
                waiting += reversed((*top.operands, *top.inputs))


def elementwise_sources(tiles: tuple[Tile, ...]) -> dict[object, bool]:
    """The sources of a tile whose element i depends on the elements i of others."""
    merged: dict[object, bool] = {}
    for tile in tiles:
        for source, aligned in tile.sources.items():
            merged[source] = merged.get(source, True) and aligned
    return merged


def moved_sources(tile: Tile) -> dict[object, bool]:
    """The sources of a tile that reads another's elements at other places."""
    return dict.fromkeys(tile.sources, False)
