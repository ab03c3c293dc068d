"""Names for the arrays that the machine works on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

UINT: dict[int, type[np.unsignedinteger[Any]]] = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
SINT: dict[int, type[np.signedinteger[Any]]] = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}


def slot_dtype(width: int) -> np.dtype[Any]:
    """How a register of a width is held: predicates as bools, all others as unsigned integers."""
    return np.dtype(np.bool_) if width == 1 else np.dtype(UINT[width])


def ones(width: int) -> Any:
    """All bits of a register set."""
    return np.bool_(True) if width == 1 else UINT[width]((1 << width) - 1)
