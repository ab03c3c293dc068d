"""Dense bit streams: element i occupies bits [i*b, (i+1)*b) of the bytes, least significant bit first.

Eight codes of b <= 8 bits fill exactly b bytes, so both directions go through one 64-bit word per eight codes.

    >>> pack([1, 2, 3], "u3")        # 0b011_010_001, then padding
    array([209,   0], dtype=uint8)
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vmc.ir.types.arrays import Codes, as_codes
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
    words = np.zeros(-(-flat.size // 8), "<u8")
    padded = np.zeros((words.size, 8), np.uint64)
    padded.reshape(-1)[: flat.size] = flat
    for place in range(8):
        words |= padded[:, place] << np.uint64(place * element.width)
    stream = words.view(np.uint8).reshape(-1, 8)[:, : element.width]
    return np.ascontiguousarray(stream).reshape(-1)[: packed_size(flat.size, element)].copy()


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
    return _spread(stream, element.width, count).reshape(extents)


def _spread(stream: npt.NDArray[np.uint8], width: int, count: int) -> npt.NDArray[np.uint8]:
    groups = -(-count // 8)
    padded = np.zeros(groups * width, np.uint8)
    padded[: stream.size] = stream
    bytes_of_words = np.zeros((groups, 8), np.uint8)
    bytes_of_words[:, :width] = padded.reshape(groups, width)
    words = bytes_of_words.reshape(-1).view("<u8")
    codes = np.empty((groups, 8), np.uint8)
    for place in range(8):
        codes[:, place] = (words >> np.uint64(place * width)) & np.uint64((1 << width) - 1)
    return codes.reshape(-1)[:count]
