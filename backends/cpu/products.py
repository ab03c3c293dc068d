"""Matrix products that wait for whoever wants their elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu.instructions import Instruction
from vmc.backends.cpu.tiles import Tile, chain
from vmc.ir.core import Op


@dataclass(eq=False)
class Product:
    """c + a @ b before it is computed: the operands, b converted to what the instruction multiplies."""

    a: Tile
    b: Tile
    c: Tile
    instruction: Instruction
    store: Op | None = None
    reused: bool = False
    """Whether b is better converted once, into memory, for all rows that the product has."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """m, n, k."""
        (m, k), n = self.a.shape, self.b.shape[1]
        return m, n, k


def products_in(tile: Tile) -> Iterator[Tile]:
    """The products that a tile's elements are computed from, and that are still to be computed."""
    waiting, seen = [tile], set()
    while waiting:
        top = waiting.pop()
        if top in seen or top.buffer is not None:
            continue
        seen.add(top)
        if top.product is not None:
            yield top
        waiting += reversed(top.operands)


def alike(one: Product, other: object) -> bool:
    """Whether two products can share loops."""
    return isinstance(other, Product) and (one.shape, one.instruction) == (other.shape, other.instruction)


def conditions_of(tile: Tile) -> list[ir.Value]:
    """When all loads of a chain lie inside their tensors, as i1 values that must all hold."""
    found: dict[ir.Value, None] = {}
    for part in chain(tile):
        if part.buffer is None and part.whole is not None:
            found[part.whole] = None
        if part.buffer is None and isinstance(part.product, Product):
            factors = (part.product.b, part.product.c)
            found |= dict.fromkeys(condition for factor in factors for condition in conditions_of(factor))
    return list(found)


def in_memory(tile: Tile) -> bool:
    """Whether rows of the tile can be read where they are: it has a buffer, or is a slice of memory."""
    return tile.buffer is not None or (tile.origin is not None and tile.origin.address is not None)
