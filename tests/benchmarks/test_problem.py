"""Rounding by groups and packing, as the benchmarks do it for peers that have no quantizer."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.matmul.problem import Shape, make_activations, make_weights, packed_bits, restored, rounded


def test_rounding_keeps_each_group_within_half_a_step_of_its_scale() -> None:
    values = make_weights(Shape(64, 8, 32)).values
    integers, scales = rounded(values, 32, -8, 7)
    error = np.abs(restored(integers, scales, 32) - values) / np.repeat(scales.astype(np.float32), 32, axis=0)
    inside = integers < 7
    assert error[inside].max() <= 0.51
    assert integers.min() >= -8 and integers.max() <= 7


def test_activations_are_exact_in_bf16_and_f16() -> None:
    x = make_activations(4, 512)
    assert not np.any(x.view(np.uint32) & 0xFFFF)
    normal = np.abs(x) >= 2.0**-14
    assert np.array_equal(x.astype(np.float16).astype(np.float32)[normal], x[normal])


def test_weights_do_not_depend_on_the_group() -> None:
    assert np.array_equal(make_weights(Shape(64, 8, 32)).values, make_weights(Shape(64, 8, 64)).values)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_packing_puts_the_first_code_in_the_lowest_bits(bits: int) -> None:
    codes = np.random.default_rng(0).integers(0, 1 << bits, (3, 16), dtype=np.uint8)
    packed = packed_bits(codes, bits)
    stream = np.unpackbits(packed, axis=-1, bitorder="little").reshape(3, 16, bits)
    assert np.array_equal((stream << np.arange(bits)).sum(axis=-1), codes)
