"""Element types of arrays: the names that NumPy, ml_dtypes and torch give to what vmc calls f16, bf16 or u8.

Types that no array library has are passed as bit patterns: 8-bit types as uint8, bf16 also as uint16, tf32 as uint32.
Types below 8 bits, and tensors with a storage of their own, are passed packed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vmc.ir.types import DType

COMMON: dict[str, str] = {
    **{f"uint{width}": f"u{width}" for width in (8, 16, 32, 64)},
    **{f"int{width}": f"i{width}" for width in (8, 16, 32, 64)},
    **{f"float{width}": f"f{width}" for width in (16, 32, 64)},
    "bfloat16": "bf16",
    "float8_e4m3fn": "f8e4m3",
    "float8_e5m2": "f8e5m2",
    "float8_e8m0fnu": "f8e8m0",
}
"""From the name that NumPy, ml_dtypes and torch use to vmc's."""

NARROW: dict[str, str] = {
    **{f"{sign}int{width}": f"{kind}{width}" for sign, kind in (("u", "u"), ("", "i")) for width in (2, 4)},
    "float4_e2m1fn": "f4e2m1",
    "float6_e2m3fn": "f6e2m3",
    "float6_e3m2fn": "f6e3m2",
}
"""The same for elements of less than 8 bits, of which ml_dtypes keeps each in a byte."""

THEIRS: dict[str, str] = {ours: theirs for theirs, ours in COMMON.items()}


def accepted(type: DType) -> tuple[str, ...]:
    """The elements, in vmc's names, that an array for a dense tensor of `type` (8 bits or more) may have."""
    pattern = f"u{type.code_dtype.itemsize * 8}"
    native = type.is_int or type.is_native_float
    return (type.name,) if native or pattern == type.name else (type.name, pattern)


def shown(type: DType) -> str:
    """The arrays that `accepted` describes, in the words of the array libraries: `bfloat16, or uint16 bit patterns`."""
    first, *patterns = accepted(type)
    if not patterns:
        return THEIRS[first]
    bits = f"{THEIRS[patterns[0]]} bit patterns"
    return f"{THEIRS[first]}, or {bits}" if first in THEIRS else bits


def type_name(value: Any) -> str | None:
    """vmc's name for an element type of NumPy, ml_dtypes or torch, or for its name; None for anything else."""
    if isinstance(value, type) and issubclass(value, np.generic):
        value = np.dtype(value)
    if isinstance(value, np.dtype):
        value = value.name
    elif type(value).__module__ == "torch":
        value = str(value).removeprefix("torch.")
    return COMMON.get(value) or NARROW.get(value) if isinstance(value, str) else None
