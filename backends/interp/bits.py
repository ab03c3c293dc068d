"""Reads and writes groups of bits at arbitrary offsets of a byte array, all elements at once.

Offsets count bits, least significant first: bit n is bit n % 8 of byte n // 8. Codes are u64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def read_runs(data: Array, offsets: Array, width: int) -> Array:
    """The codes of `width` consecutive bits at each offset. u8[n], int64[..] -> u64[..]."""
    first, shift = offsets >> 3, (offsets & 7).astype(np.uint64)
    last = data.size - 1
    codes = np.zeros(offsets.shape, np.uint64)
    for byte in range((width + 7) // 8):
        codes |= data[first + byte].astype(np.uint64) << np.uint64(8 * byte)
    codes >>= shift
    spill = data[np.minimum(first + (width + 7) // 8, last)].astype(np.uint64)
    place = np.uint64(8 * ((width + 7) // 8)) - shift
    codes |= np.where(shift > 0, spill << np.minimum(place, np.uint64(63)), np.uint64(0))
    return codes if width == 64 else codes & np.uint64((1 << width) - 1)


def write_runs(data: Array, offsets: Array, width: int, codes: Array) -> None:
    """Writes the low `width` bits of each code at its offset. Where runs meet in a byte, both arrive."""
    bits = (codes[..., None] >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
    write_bits(data, offsets[..., None] + np.arange(width, dtype=np.int64), bits)


def read_bits(data: Array, positions: Array) -> Array:
    """The codes whose bit b lies at positions[.., b]. u8[n], int64[.., width] -> u64[..]."""
    bits = ((data[positions >> 3] >> (positions & 7).astype(np.uint8)) & np.uint8(1)).astype(np.uint64)
    places = np.arange(positions.shape[-1], dtype=np.uint64)
    return np.asarray(np.bitwise_or.reduce(bits << places, axis=-1))


def write_bits(data: Array, positions: Array, bits: Array) -> None:
    """Writes single bits at their positions; int64[..], any integer[..] of the same shape."""
    where = positions.reshape(-1) >> 3
    one = np.uint8(1) << (positions.reshape(-1) & 7).astype(np.uint8)
    np.bitwise_and.at(data, where, ~one)
    np.bitwise_or.at(data, where, np.where(bits.reshape(-1) != 0, one, np.uint8(0)))
