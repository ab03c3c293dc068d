"""The formats of GGUF files agree bit for bit with the decoders of the gguf package, which is independent of ours."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

from tests.library.decoding import Array, decode, same_bits

FORMATS = (
    *("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"),
    *("iq4_nl", "iq4_xs", "tq1_0", "tq2_0", "mxfp4", "nvfp4"),
)
QUANTIZED = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "mxfp4")
TARGETS = ("interp", "cpu")


def kind(name: str) -> gguf.GGMLQuantizationType:
    return gguf.GGMLQuantizationType[name.upper()]


def expected(blocks: Array, name: str) -> Array:
    rows = blocks.reshape(blocks.shape[0], -1)
    with np.errstate(all="ignore"):
        return np.asarray(dequantize(rows, kind(name)), np.float32)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FORMATS)
def test_blocks_of_random_bits_decode_as_gguf_decodes_them(name: str, target: str) -> None:
    block, nbytes = gguf.GGML_QUANT_SIZES[kind(name)]
    blocks = np.random.default_rng(7).integers(0, 256, (6, 2048 // block, nbytes), np.uint8)
    assert same_bits(decode("gguf", name, block, blocks, target), expected(blocks, name))


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_weights_decode_as_gguf_decodes_them(name: str) -> None:
    block, nbytes = gguf.GGML_QUANT_SIZES[kind(name)]
    weights = np.random.default_rng(8).normal(0, 0.02, (16, 1024)).astype(np.float32)
    weights[3] = 0
    blocks = quantize(weights, kind(name)).reshape(16, -1, nbytes)
    values = decode("gguf", name, block, blocks, "cpu")
    assert same_bits(values, expected(blocks, name))
    assert np.abs(values - weights).max() < 0.08


@pytest.mark.parametrize(("name", "scale_bytes"), [("mxfp4", 1), ("nvfp4", 4)])
def test_every_scale_of_the_small_float_formats(name: str, scale_bytes: int) -> None:
    block, nbytes = gguf.GGML_QUANT_SIZES[kind(name)]
    blocks = np.random.default_rng(9).integers(0, 256, (256, 1, nbytes), np.uint8)
    blocks[..., :scale_bytes] = np.arange(256)[:, None, None]
    assert same_bits(decode("gguf", name, block, blocks, "cpu"), expected(blocks, name))
