"""Bit patterns to try: all of a narrow type, the telling ones and random ones of a wide type."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from vmc.ir.types import DType, dtype

Codes = np.ndarray[Any, Any]

TELLING = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    np.inf,
    -np.inf,
    np.nan,
    1.5,
    2.5,
    -2.5,
    0.5,
    -0.5,
    0.1,
    65504.0,
    65520.0,
    2.0**-24,
    3e38,
    1e-40,
)


def sample(kind: str | DType, count: int, seed: str = "") -> Codes:
    """`count` codes, always the same for a type and a seed. Raises nothing: every code is legal."""
    type = dtype(kind)
    rng = np.random.default_rng(zlib.crc32(f"{type.name}/{seed}".encode()))
    if type.width <= 8:
        return rng.permutation(np.resize(type.codes(), count))
    raw = rng.integers(0, np.iinfo(np.uint64).max, count, np.uint64, endpoint=True)
    if type.is_int:
        small = rng.integers(-9, 9, count).astype(np.uint64)
        edges = rng.choice(
            np.array([0, 1, (1 << type.width) - 1, 1 << (type.width - 1), (1 << type.width - 1) - 1], np.uint64), count
        )
        mixed = np.where(rng.random(count) < 0.3, edges, np.where(rng.random(count) < 0.5, small, raw))
        return (mixed & np.uint64((1 << type.width) - 1)).astype(type.code_dtype)
    with np.errstate(all="ignore"):
        near = type.encode(rng.normal(0, 4, count) * 2.0 ** rng.integers(-20, 20, count))
        edges = type.encode(rng.choice(np.array(TELLING), count))
    wild = (raw & np.uint64((1 << type.width) - 1)).astype(type.code_dtype) >> type.unused_bits << type.unused_bits
    choice = rng.random(count)
    return np.where(choice < 0.5, near, np.where(choice < 0.8, edges, wild)).astype(type.code_dtype)
