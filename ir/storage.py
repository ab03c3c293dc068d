"""Where the elements of a tensor lie in its bytes, by `TensorType.storage` (see `Storage`) or densely without one."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from vmc.ir.core import Storage, TensorType
from vmc.ir.dims import evaluate
from vmc.ir.layout import gather_bits

Array = np.ndarray[Any, Any]


def extents(type: TensorType, symbols: Mapping[str, int]) -> tuple[int, ...]:
    """The tensor's extents. Raises KeyError for an unbound symbol, ZeroDivisionError for a zero divisor."""
    return tuple(evaluate(dim, symbols) for dim in type.shape)


def block_counts(storage: Storage, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The number of blocks along every dimension."""
    return tuple(-(-extent // size) for extent, size in zip(shape, storage.block, strict=True))


def block_numbers(storage: Storage, blocks: tuple[Array, ...], counts: tuple[int, ...]) -> Array:
    """The place of each block in memory, from its index in every dimension: int64."""
    number: Array = np.zeros((), np.int64)
    for dim in storage.dimensions:
        number = number * counts[dim] + blocks[dim]
    return number


def storage_bytes(type: TensorType, shape: tuple[int, ...]) -> int:
    """The bytes that a tensor of these extents takes."""
    if type.storage is None:
        return (prod(shape) * type.dtype.width + 7) // 8
    return (prod(block_counts(type.storage, shape)) * type.storage.pitch + 7) // 8


def block_positions(storage: Storage, width: int) -> Array:
    """The bit offset of every bit of every element of a block: int64[elements of the block, width].

    A layout that does not say how many bits an element has counts elements. Raises LayoutError for a register layout.
    """
    layout = storage.layout if storage.layout.element_bits else storage.layout.with_bits(width)
    places = gather_bits(layout)
    return places if storage.shuffle is None else storage.shuffle(places)
