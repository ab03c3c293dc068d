"""Dense bit streams: element i occupies bits [i*b, (i+1)*b) of the bytes, least significant bit first.

The fewest codes of b <= 8 bits that fill whole bytes are a row, and all rows are packed alike.

    >>> pack([1, 2, 3], "u3")        # 0b011_010_001, then padding
    array([209,   0], dtype=uint8)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from vmc.ir.types.arrays import Codes, as_codes
from vmc.ir.types.moving import Move, moved, moves_of
from vmc.ir.types.names import dtype as named
from vmc.ir.types.record import DType


def packed_size(count: int, dtype: str | DType) -> int:
    """Bytes that `count` packed codes take: ceil(count * width / 8)."""
    return -(-count * named(dtype).width // 8)


def pack(codes: npt.ArrayLike, dtype: str | DType) -> npt.NDArray[np.uint8]:
    """`codes` of any shape, in row-major order, as a 1-D stream of `packed_size` bytes.

    Bits past the last code are zero. Raises as `DType.decode`.
    """
    element = named(dtype)
    flat = as_codes(codes, element.width, element.name).reshape(-1)
    if element.width > 8:
        return flat.astype(flat.dtype.newbyteorder("<")).view(np.uint8)
    row = row_of(element.width)
    rows = np.zeros((-(-flat.size // row.count), row.count), np.uint8)
    rows.reshape(-1)[: flat.size] = flat
    return moved(rows, row.packing, row.bytes).reshape(-1)[: packed_size(flat.size, element)]


def unpack(data: npt.ArrayLike, dtype: str | DType, shape: int | tuple[int, ...]) -> Codes:
    """The codes of `shape` that `pack` made the bytes `data` (uint8, any shape) from, as the type's `code_dtype`.

    Raises TypeError unless `data` is uint8, ValueError if it has another length than `shape` asks for. Padding bits are
    not read.
    """
    element = named(dtype)
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    count = math.prod(extents)
    stream = np.asarray(data)
    if stream.dtype != np.uint8:
        raise TypeError(f"packed data must be uint8, not {stream.dtype}")
    stream = np.ascontiguousarray(stream).reshape(-1)
    if stream.size != packed_size(count, element):
        expected = packed_size(count, element)
        raise ValueError(f"{count} codes of {element.name} take {expected} bytes, found {stream.size}")
    if element.width > 8:
        return stream.view(element.code_dtype.newbyteorder("<")).astype(element.code_dtype).reshape(extents)
    row = row_of(element.width)
    rows = np.zeros((-(-count // row.count), row.bytes), np.uint8)
    rows.reshape(-1)[: stream.size] = stream
    return moved(rows, row.unpacking, row.count).reshape(-1)[:count].reshape(extents)


@dataclass(frozen=True, slots=True)
class Row:
    """`count` codes, the fewest that fill `bytes` whole bytes, and the moves of their bits in both directions."""

    count: int
    bytes: int
    packing: tuple[Move, ...]
    unpacking: tuple[Move, ...]


@cache
def row_of(width: int) -> Row:
    """The row of codes of at most 8 bits."""
    count = 8 // math.gcd(8, width)
    bits = np.arange(width, dtype=np.int64)
    codes, stream = (np.arange(count)[:, None] * step + bits for step in (8, width))
    return Row(count, count * width // 8, moves_of(codes, stream), moves_of(stream, codes))
