"""Numeric types: every integer and float a tensor element can have, each a record from which all else follows.

    >>> from vmc.ir.types import dtype, pack, unpack
    >>> dtype("f4e2m1").encode([0.3, -5.0, 100.0])
    array([ 1, 14,  7], dtype=uint8)
    >>> pack([1, 2, 3], "u3")
    array([209,   0], dtype=uint8)

`record` holds the record, `names` the table of types, `decoding`, `rounding` and `encoding` the way from bit patterns
to values and back, `packing` the dense bit stream, `moving` what it and other orders of bits are made by.
"""

from vmc.ir.types.names import ALL_DTYPES, ALL_SMALL, UnknownTypeError, dtype
from vmc.ir.types.packing import pack, packed_size, unpack
from vmc.ir.types.record import DType, Kind
from vmc.ir.types.rounding import ROUNDINGS, Rounding

__all__ = [
    "ALL_DTYPES",
    "ALL_SMALL",
    "ROUNDINGS",
    "DType",
    "Kind",
    "Rounding",
    "UnknownTypeError",
    "dtype",
    "pack",
    "packed_size",
    "unpack",
]
