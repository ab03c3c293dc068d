"""Decoding of a block format's bytes by a kernel, for comparison with an independent decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

import vmc

Array = np.ndarray[Any, Any]

DECODE = """
import {module}

kernel decode[F: format = {module}.{name}, B = {block}](w: F[N, K], y: out f32[N, K]):
    for n, k in grid(N, cdiv(K, B)):
        y[n, k*B : +B] = w[n, k*B : +B]
"""


def decode(module: str, name: str, block: int, blocks: Array, target: str) -> Array:
    """The values, f32[n, k * block], of uint8[n, k, bytes of a block], by the library's format."""
    kernel = vmc.compile(DECODE.format(module=module, name=name, block=block), target=target)
    rows, count, _ = blocks.shape
    values = np.full((rows, count * block), np.nan, np.float32)
    kernel(blocks, values)
    return values


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays of f32 are equal bit for bit; any NaN equals any NaN."""
    both_nan = np.isnan(a) & np.isnan(b)
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | both_nan).all())
