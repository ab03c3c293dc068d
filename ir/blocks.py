"""The bytes of a tensor with a storage, made from bit patterns and turned back into them.

The codes are brought into the order of the blocks in memory, a row of codes for each block, and the bits of all rows
are moved alike. Blocks that do not begin at a byte are taken together, as many as end at one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod
from operator import mul
from typing import Any

import numpy as np

from vmc.ir.core import Storage
from vmc.ir.storage import Array, block_counts, block_positions
from vmc.ir.types.moving import Move, moved, moves_of


@dataclass(frozen=True, slots=True)
class Group:
    """`blocks` neighbouring blocks in `bytes` whole bytes, and the moves between them and the bytes of their codes."""

    blocks: int
    bytes: int
    packing: tuple[Move, ...]
    unpacking: tuple[Move, ...]


@lru_cache(maxsize=64)
def group_of(storage: Storage, width: int, itemsize: int) -> Group:
    """The group for codes of `width` bits in `itemsize` bytes. Raises ValueError where blocks reach into others."""
    inside = block_positions(storage, width)
    if inside.max() >= storage.pitch:
        raise ValueError(f"blocks of {int(inside.max()) + 1} bits lie {storage.pitch} bits apart")
    blocks = 8 // gcd(8, storage.pitch)
    starts = np.arange(blocks, dtype=np.int64) * storage.pitch
    stored = (starts[:, None, None] + inside).reshape(-1, width)
    codes = np.arange(len(stored), dtype=np.int64)[:, None] * (8 * itemsize) + np.arange(width)
    return Group(blocks, blocks * storage.pitch // 8, moves_of(codes, stored), moves_of(stored, codes))


def pack_blocks(codes: Array, storage: Storage, width: int) -> Array:
    """Codes below 2**width, unsigned integers, as uint8[bytes]; bits that belong to no code are zero."""
    group = group_of(storage, width, codes.dtype.itemsize)
    rows = in_memory_order(codes.astype(codes.dtype.newbyteorder("<"), copy=False), storage)
    size = (len(rows) * storage.pitch + 7) // 8
    together = padded(rows, (-(-len(rows) // group.blocks) * group.blocks, rows.shape[1]))
    together = together.view(np.uint8).reshape(-1, group.blocks * rows.shape[1] * rows.itemsize)
    return moved(together, group.packing, group.bytes).reshape(-1)[:size]


def unpack_blocks(data: Array, storage: Storage, shape: tuple[int, ...], width: int, type: np.dtype[Any]) -> Array:
    """The codes of `shape`, as unsigned integers `type`, in uint8[bytes], as many as the tensor takes."""
    group = group_of(storage, width, type.itemsize)
    blocks = prod(block_counts(storage, shape))
    groups = -(-blocks // group.blocks)
    together = padded(data.reshape(-1), (groups * group.bytes,)).reshape(groups, group.bytes)
    rows = moved(together, group.unpacking, group.blocks * prod(storage.block) * type.itemsize)
    codes = rows.view(type.newbyteorder("<")).reshape(-1, prod(storage.block))
    return in_tensor_order(codes[:blocks], storage, shape).astype(type, copy=False)


def in_memory_order(codes: Array, storage: Storage) -> Array:
    """The codes of every block, in the order of the blocks: [blocks, elements of a block]; zeros past the edges."""
    counts, rank = block_counts(storage, codes.shape), codes.ndim
    whole = padded(codes, tuple(map(mul, counts, storage.block)))
    apart = whole.reshape([extent for pair in zip(counts, storage.block, strict=True) for extent in pair])
    axes = (*(2 * dim for dim in storage.dimensions), *(2 * dim + 1 for dim in range(rank)))
    return apart.transpose(axes).reshape(prod(counts), prod(storage.block))


def in_tensor_order(rows: Array, storage: Storage, shape: tuple[int, ...]) -> Array:
    """The inverse of `in_memory_order`: a new array of `shape`."""
    counts, rank = block_counts(storage, shape), len(shape)
    apart = rows.reshape(*(counts[dim] for dim in storage.dimensions), *storage.block)
    axes = [axis for dim in range(rank) for axis in (storage.dimensions.index(dim), rank + dim)]
    whole = apart.transpose(axes).reshape([*map(mul, counts, storage.block)])
    return np.ascontiguousarray(whole[tuple(map(slice, shape))])


def padded(array: Array, shape: tuple[int, ...]) -> Array:
    """The array with zeros behind it up to `shape`; itself where it has that shape."""
    if array.shape == shape:
        return np.ascontiguousarray(array)
    result = np.zeros(shape, array.dtype)
    result[tuple(map(slice, array.shape))] = array
    return result
