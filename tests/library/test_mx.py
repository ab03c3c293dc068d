"""The OCP MX formats and nvfp4 agree with their elements and scales decoded by ml_dtypes and multiplied by NumPy."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.library.decoding import Array, decode, same_bits

ELEMENTS: dict[str, tuple[Any, int]] = {
    "mxfp8_e4m3": (ml_dtypes.float8_e4m3fn, 8),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 8),
    "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 6),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 6),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 4),
    "mxint8": (np.int8, 8),
    "nvfp4": (ml_dtypes.float4_e2m1fn, 4),
}


def block_size(name: str) -> int:
    return 16 if name == "nvfp4" else 32


def expected(blocks: Array, name: str) -> Array:
    """Decoded by ml_dtypes; bits are taken apart least significant first."""
    element, width = ELEMENTS[name]
    scale_type = ml_dtypes.float8_e4m3fn if name == "nvfp4" else ml_dtypes.float8_e8m0fnu
    scales = blocks[..., :1].view(scale_type).astype(np.float32)
    bits = np.unpackbits(blocks[..., 1:], axis=-1, bitorder="little").reshape(*blocks.shape[:-1], -1, width)
    codes = (bits << np.arange(width, dtype=np.uint8)).sum(axis=-1, dtype=np.uint8)
    values = codes.view(element).astype(np.float32)
    if name == "mxint8":
        values = values / np.float32(64)
    with np.errstate(all="ignore"):
        return np.asarray((scales * values).reshape(blocks.shape[0], -1), np.float32)


@pytest.mark.parametrize("target", ["interp", "cpu"])
@pytest.mark.parametrize("name", ELEMENTS)
def test_blocks_with_every_scale_and_random_elements(name: str, target: str) -> None:
    block = block_size(name)
    blocks = np.random.default_rng(3).integers(0, 256, (256, 2, 1 + block * ELEMENTS[name][1] // 8), np.uint8)
    blocks[..., 0] = np.arange(256)[:, None]
    assert same_bits(decode("mx", name, block, blocks, target), expected(blocks, name))


@pytest.mark.parametrize("name", ELEMENTS)
def test_every_element_code_under_the_scale_one(name: str) -> None:
    block, width = block_size(name), ELEMENTS[name][1]
    codes = np.arange(1 << width, dtype=np.uint8).reshape(-1, 16)
    codes = np.concatenate([codes] * (block // 16), axis=1)
    bits = (codes[..., None] >> np.arange(width, dtype=np.uint8)) & 1
    one = 0x38 if name == "nvfp4" else 127
    packed = np.packbits(bits.reshape(len(codes), -1), axis=-1, bitorder="little")
    blocks = np.concatenate([np.full((len(codes), 1), one, np.uint8), packed], axis=-1)[:, None]
    assert same_bits(decode("mx", name, block, blocks, "cpu"), expected(blocks, name))
