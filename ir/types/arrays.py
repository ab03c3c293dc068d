"""Array types that the numeric types share, and the checks on arrays that callers hand in."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Codes: TypeAlias = npt.NDArray[np.unsignedinteger]


def native_uint(width: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned NumPy integer of at least `width` bits."""
    return np.dtype(f"u{next(size for size in (1, 2, 4, 8) if 8 * size >= width)}")


def as_codes(codes: npt.ArrayLike, width: int, name: str) -> Codes:
    """`codes` as the smallest unsigned integers of `width` bits.

    Raises TypeError unless they are integers, ValueError if one is negative or not below 2**width.
    """
    array = np.asarray(codes)
    if array.size == 0:
        return array.astype(native_uint(width))
    if array.dtype.kind not in "iu":
        raise TypeError(f"codes of {name} must be integers, not {array.dtype}")
    if array.dtype.itemsize * 8 > width or array.dtype.kind == "i":
        least, most = int(array.min()), int(array.max())
        if least < 0 or most >> width:
            raise ValueError(f"codes of {name} lie in 0..{(1 << width) - 1}, found {least if least < 0 else most}")
    return array.astype(native_uint(width), copy=False)
