"""Packed bytes and their labels: of NumPy and torch, lost and given back, and what bytes without one are taken for."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

import vmc

M, K, N = 3, 128, 48
PRODUCT = """
kernel times[T: type = u3](x: f16[M, K], w: T[K, N], y: out f32[M, N]):
    for m, n in grid(M, cdiv(N, 16)):
        acc = zeros(f32[1, 16])
        for k in range(0, K, 64):
            acc += x[m : +1, k : +64] @ f16(w[k : +64, n*16 : +16])
        y[m : +1, n*16 : +16] = acc
"""
SUM = "kernel total[T: type](w: T[N], y: out i32[1]):\n    for i in grid(1):\n        y[0] = sum(i32(w[0 : +32]))\n"


@pytest.fixture(scope="module")
def kernel() -> vmc.Kernel:
    made = vmc.compile(PRODUCT)
    assert made.storages["w"] is not None, "the target has an order of its own for weights of a product"
    return made


@pytest.fixture(scope="module")
def codes() -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).integers(0, 8, (K, N), dtype=np.uint8)


def product(kernel: vmc.Kernel, w: Any) -> np.ndarray[Any, Any]:
    y = np.zeros((M, N), np.float32)
    kernel(np.ones((M, K), np.float16), w, y)
    return y


def test_bytes_without_a_label_are_refused_where_they_could_be_in_two_orders(
    kernel: vmc.Kernel, codes: np.ndarray[Any, Any]
) -> None:
    packed = kernel.pack("w", codes)
    expected = np.broadcast_to(codes.sum(0, dtype=np.float32), (M, N))
    np.testing.assert_array_equal(product(kernel, packed), expected)
    np.testing.assert_array_equal(product(kernel, vmc.pack(codes, "u3")), expected)
    for stripped in (np.asarray(packed), torch.from_numpy(np.asarray(packed)), np.asarray(vmc.pack(codes, "u3"))):
        with pytest.raises(vmc.ArgumentError, match="`w`: is bytes without a label") as refusal:
            product(kernel, stripped)
        assert refusal.value.help is not None and 'kernel.label("w", data, shape, dense=True)' in refusal.value.help


def test_bytes_of_the_size_that_the_code_wants_are_told_to_have_lost_their_label(kernel: vmc.Kernel) -> None:
    """Columns that are no whole number of blocks make it larger than the declared order's."""
    packed = np.asarray(kernel.pack("w", np.zeros((K, 40), np.uint8)))
    assert packed.size > K * 40 * 3 // 8
    with pytest.raises(vmc.ArgumentError, match=f"got {packed.size}") as refusal:
        kernel(np.ones((M, K), np.float16), packed, np.zeros((M, 40), np.float32))
    assert refusal.value.help is not None and 'kernel.label("w", data, shape' in refusal.value.help


def test_a_label_says_which_order_bytes_are_in(kernel: vmc.Kernel, codes: np.ndarray[Any, Any]) -> None:
    packed, dense = np.asarray(kernel.pack("w", codes)), np.asarray(vmc.pack(codes, "u3"))
    expected = np.broadcast_to(codes.sum(0, dtype=np.float32), (M, N))
    for wrap in (np.asarray, torch.from_numpy):
        np.testing.assert_array_equal(product(kernel, kernel.label("w", wrap(packed), (K, N))), expected)
        np.testing.assert_array_equal(product(kernel, kernel.label("w", wrap(dense), (K, N), dense=True)), expected)
    with pytest.raises(ValueError, match="takes 2304 bytes, found 2303"):
        kernel.label("w", torch.from_numpy(packed[1:]), (K, N))
    with pytest.raises(TypeError, match="uint8, not int8"):
        kernel.label("w", torch.from_numpy(packed.view(np.int8)), (K, N))


def test_a_labelled_tensor_is_recognized_and_shares_its_memory(kernel: vmc.Kernel, codes: np.ndarray[Any, Any]) -> None:
    packed = kernel.pack("w", codes)
    tensor = packed.torch()
    assert tensor.data_ptr() == packed.ctypes.data and repr(tensor) == f"PackedTensor(u3[{K}, {N}] on cpu)"
    x, y = torch.ones(M, K, dtype=torch.float16), torch.zeros(M, N)
    for _ in range(4):
        kernel(x, tensor, y.zero_())
        np.testing.assert_array_equal(y.numpy(), np.broadcast_to(codes.sum(0, dtype=np.float32), (M, N)))
    assert kernel._recognizer is not None and kernel._recognizer.find((x, tensor, y)) is not None
    dense = kernel.label("w", np.asarray(vmc.pack(codes, "u3")), (K, N), dense=True).torch()
    assert kernel._recognizer.find((x, dense, y)) is None
    assert (kernel.unpack("w", packed) == codes).all()


def test_what_torch_makes_of_a_labelled_tensor_has_no_label(kernel: vmc.Kernel, codes: np.ndarray[Any, Any]) -> None:
    tensor = kernel.pack("w", codes).torch()
    for made in (tensor.clone(), tensor[:], tensor.to(torch.uint8, copy=True), pickle.loads(pickle.dumps(tensor))):
        assert type(made) is torch.Tensor
        with pytest.raises(vmc.ArgumentError, match="is bytes without a label"):
            product(kernel, made)
    kept = torch.nn.Parameter(tensor, requires_grad=False)
    np.testing.assert_array_equal(product(kernel, kept), product(kernel, tensor))


def test_bytes_of_one_possible_order_need_no_label() -> None:
    kernel = vmc.compile(SUM, T="u3")
    y = np.zeros(1, np.int32)
    kernel(np.asarray(vmc.pack(np.full(32, 3), "u3")), y, N=32)
    assert y[0] == 96
    with pytest.raises(TypeError, match="remember no type and shape"):
        vmc.Packed(3, np.uint8).torch()
