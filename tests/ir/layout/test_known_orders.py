"""The orders in which others store quantized weights are layouts: GGUF's blocks, GPTQ, AWQ, Marlin."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.ir.layout import (
    Layout,
    compose,
    contiguous_bits,
    gather_bits,
    inverse,
    is_bijective,
    local,
    mma_fragment,
    packed,
    row_major,
    split,
    strided,
)

gguf = pytest.importorskip("gguf.quants", reason="gguf is not installed")

ONE = np.frombuffer(np.float16(1).tobytes(), np.uint8)


def codes(layout: Layout, data: np.ndarray) -> np.ndarray:
    """The elements that bytes hold in a layout: [elements]."""
    bits = np.unpackbits(data, bitorder="little")
    held = bits[gather_bits(layout)].astype(np.int64)
    return held @ (1 << np.arange(layout.element_bits))


def joined(*parts: Layout) -> Layout:
    """The elements whose ranges of bits, lowest first, lie as the parts say."""
    return Layout(parts[0].shape, tuple(plane for part in parts for plane in part.planes))


def values(name: str, block: np.ndarray) -> np.ndarray:
    """What gguf reads from one block."""
    quantization = getattr(gguf, name)
    return quantization.dequantize_blocks(block[None, :])[0]


def random_block(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, size, np.uint8)


def test_q4_0_holds_its_halves_in_low_and_high_nibbles() -> None:
    block = random_block(18)
    block[:2] = ONE
    assert np.array_equal(codes(split(32, 4).shifted(bit=16), block) - 8, values("Q4_0", block))


def test_q5_0_has_a_plane_of_fifth_bits() -> None:
    block = random_block(22)
    block[:2] = ONE
    layout = joined(split(32, 4).shifted(bit=48), packed(1, 32).shifted(bit=16))
    assert len(layout.planes) == 2
    assert np.array_equal(codes(layout, block) - 16, values("Q5_0", block))


def test_q2_k_interleaves_four_runs_of_32_in_every_32_bytes() -> None:
    block = random_block(84)
    block[:16], block[80:82], block[82:84] = 1, ONE, 0
    layout = strided((2, 4, 32), (128, 1, 4), bits=2).reshape(256).shifted(bit=128)
    assert np.array_equal(codes(layout, block), values("Q2_K", block))


def test_q6_k_has_planes_of_four_and_two_bits() -> None:
    block = random_block(210)
    block[192:208], block[208:210] = 1, ONE
    low = strided((2, 2, 2, 32), (128, 1, 64, 2), bits=4).reshape(256)
    high = strided((2, 4, 32), (128, 1, 4), bits=2).reshape(256).shifted(bit=1024)
    assert np.array_equal(codes(joined(low, high), block) - 32, values("Q6_K", block))


def test_q4_k_pairs_runs_of_32() -> None:
    block = random_block(144)
    block[:2], block[2:4] = ONE, 0
    block[4:16] = [1] * 4 + [0] * 4 + [1] * 4
    layout = strided((4, 2, 32), (64, 1, 2), bits=4).reshape(256).shifted(bit=128)
    assert np.array_equal(codes(layout, block), values("Q4_K", block))


def test_gptq_packs_eight_rows_in_a_word() -> None:
    weights = np.random.default_rng(1).integers(0, 16, (16, 4), np.uint32)
    words = np.zeros((2, 4), np.uint32)
    for k, n in np.ndindex(16, 4):
        words[k // 8, n] |= weights[k, n] << np.uint32(4 * (k % 8))
    layout = local(2, 4) * strided((8, 1), (1, 1), bits=4)
    assert np.array_equal(codes(layout, words.view(np.uint8).reshape(-1)).reshape(16, 4), weights)


def test_awq_puts_even_columns_in_the_low_half_of_a_word() -> None:
    weights = np.random.default_rng(2).integers(0, 16, (4, 16), np.uint32)
    words = np.zeros((4, 2), np.uint32)
    for k, word, place in np.ndindex(4, 2, 8):
        column = (0, 2, 4, 6, 1, 3, 5, 7)[place]
        words[k, word] |= weights[k, 8 * word + column] << np.uint32(4 * place)
    layout = (local(4, 2) * strided((1, 4, 2), (1, 1, 4)).reshape(1, 8)).with_bits(4)
    assert np.array_equal(codes(layout, words.view(np.uint8).reshape(-1)).reshape(4, 16), weights)


def marlin_words(weights: np.ndarray) -> np.ndarray:
    """A tile [16, 64] of 4-bit weights as 128 words, by the published rule: a thread's eight, interleaved."""
    words = np.zeros(128, np.uint32)
    for thread in range(32):
        for column in range(4):
            held = []
            for block in range(2):
                for k in (2 * (thread % 4), 2 * (thread % 4) + 1, 2 * (thread % 4) + 8, 2 * (thread % 4) + 9):
                    held.append(weights[k, 16 * column + 8 * block + thread // 4])
            for place, source in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
                words[4 * thread + column] |= held[source] << np.uint32(4 * place)
    return words


def test_marlin_stores_the_b_fragment_with_its_nibbles_interleaved() -> None:
    """The order of (lane, slot) in memory, after the fragment, is the storage: nothing else need be written down."""
    weights = np.random.default_rng(3).integers(0, 16, (16, 64), np.uint32)
    fragment = local(1, 4) * local(1, 2) * mma_fragment("m16n8k16", "b")
    nibbles = strided((32, 4, 4, 2), (32, 8, 1, 4)).reshape(32, 32)
    layout = compose(nibbles, fragment).with_bits(4)
    assert is_bijective(layout)
    found = codes(layout, marlin_words(weights).view(np.uint8).reshape(-1)).reshape(16, 64)
    assert np.array_equal(found, weights)


@pytest.mark.parametrize("bits", range(1, 9))
def test_any_width_stored_lane_by_lane_loads_in_words(bits: int) -> None:
    """32 elements a lane make 32 * bits bits: a whole number of 32-bit words at every width."""
    fragment = (local(2, 4) * mma_fragment("m16n8k16", "b")).with_bits(bits)
    assert fragment.bits_per_lane == 32 * bits
    storage = compose(row_major(32, 32 * bits), fragment)
    assert is_bijective(storage)
    assert contiguous_bits(compose(storage, inverse(fragment))) >= 32
    by_row = compose(row_major(*fragment.shape, bits=bits), inverse(fragment))
    assert contiguous_bits(by_row) < 32
