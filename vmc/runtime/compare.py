"""Whether two executors agree on what a kernel wrote.

They must, bit for bit (any NaN equals any NaN), but for kernels in which the order of float additions is free: the
inside of `dot` and `reduce`, atomic additions from several blocks, and everything in a `fast` kernel. There a float
result may differ by the tolerance times the largest magnitude of the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import TensorType, walk
from vmc.ir.ops.linear import DOTS
from vmc.ir.types import DType

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel

Array = npt.NDArray[Any]
FREE_ORDER = DOTS | {"reduce", "atomic"}
STRICT = 64.0
"""Units in the last place, of f32 or the result's own type, that reordered sums may be apart."""

FAST = 4096.0
"""The same for `fast` kernels."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest difference relative to the tensor's largest magnitude; a message where it is too large, else None."""

    worst: float
    message: str | None = None


def tolerance(kernel: Kernel) -> float | None:
    """None for a kernel whose results are equal bit for bit; else the units in the last place they may be apart."""
    return tolerance_of(kernel._tile)


def tolerance_of(tile: TileKernel) -> float | None:
    if tile.fast:
        return FAST
    floats = (
        op.name in FREE_ORDER and any(not isinstance(v.type, TensorType) and v.tile.dtype.is_float for v in op.operands)
        for op in walk(tile.body)
    )
    return STRICT if any(floats) else None


def compare(type: DType, got: Array, expected: Array, bound: float | None) -> Difference:
    """Compares two tensors of `type`, given as `array_dtype` or as bit patterns."""
    codes = [canonical(type, array) for array in (got, expected)]
    different = codes[0] != codes[1]
    if not different.any():
        return Difference(0.0)
    a, b = (type.decode(side) for side in codes)
    if bound is not None and type.is_float:
        allowed = bound * max(2.0 ** -(type.mantissa_bits + 1), 2.0**-24)
        worst = relative(a, b)
        if worst <= allowed:
            return Difference(worst)
        return Difference(
            worst, f"{worst:.3g} of the largest value, and {allowed:.3g} is allowed; {first(a, b, different)}"
        )
    return Difference(float("inf"), f"{int(different.sum())} of {different.size} elements; {first(a, b, different)}")


def canonical(type: DType, array: Array) -> Array:
    """Bit patterns with one for all NaN."""
    codes = type.to_codes(array) if array.dtype == type.array_dtype else array
    if not type.is_float or type.nan_code is None:
        return codes
    return np.where(np.isnan(type.decode(codes)), codes.dtype.type(type.nan_code), codes)


def relative(a: Array, b: Array) -> float:
    """The largest difference over the largest magnitude; infinite where one is not finite and the other differs."""
    with np.errstate(invalid="ignore"):
        both = np.isfinite(a) & np.isfinite(b)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
    if (~both & ~same).any():
        return float("inf")
    scale = float(np.abs(np.where(np.isfinite(b), b, 0.0)).max(initial=0.0))
    difference = float(np.abs(np.where(both, a, 0.0) - np.where(both, b, 0.0)).max(initial=0.0))
    return difference / scale if scale else float("inf") if difference else 0.0


def first(a: Array, b: Array, different: Array) -> str:
    """The first element that differs."""
    place = tuple(int(i) for i in np.argwhere(different)[0])
    return f"at {list(place)} {a[place]!s}, and the reference has {b[place]!s}"
