"""A library as a module of TVM-FFI, called with NumPy and torch tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmc
from tests.artifact.test_library import K, M, N, problem

tvm_ffi = pytest.importorskip("tvm_ffi")


@pytest.fixture(scope="module")
def module(folder: Path) -> Any:
    return tvm_ffi.load_module(str(folder / "small.so"))


@pytest.fixture(scope="module")
def matmul_module(folder: Path) -> Any:
    return tvm_ffi.load_module(str(folder / "matmul.so"))


def of_torch(*arrays: Any) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


@pytest.mark.parametrize("width", [3, 4])
def test_a_matmul_gives_the_bits_of_the_loaded_one(matmul: vmc.Library, matmul_module: Any, width: int) -> None:
    x, codes, scale = problem(width)
    kernel = matmul.kernels[f"matmul_wa16_u{width}"]
    packed = kernel.pack("w", codes)
    y, z, t = (np.full((M, N), number, np.float16) for number in range(3))
    kernel(x, packed, scale, y)
    function = matmul_module[f"matmul_wa16_u{width}"]
    assert function(x, np.asarray(packed), scale, z) is None
    function(*of_torch(x, packed, scale, t))
    np.testing.assert_array_equal(z.view(np.uint16), y.view(np.uint16))
    np.testing.assert_array_equal(t.view(np.uint16), y.view(np.uint16))


def test_scalars_hidden_symbols_and_block_formats_go_through(module: Any) -> None:
    x, y = np.arange(100, dtype=np.float32), np.ones(100, np.float32)
    module.axpy(2, x, y)
    module.axpy(0.25, x, y)
    np.testing.assert_array_equal(y, 1 + 2.25 * x)
    codes = np.arange(50, dtype=np.uint8) % 8
    module.widen(np.asarray(vmc.pack(codes, "u3")), w := np.zeros(50, np.int32), 50)
    np.testing.assert_array_equal(w, codes)
    module.narrow(w, packed := np.zeros(19, np.uint8))
    np.testing.assert_array_equal(packed, vmc.pack(codes, "u3"))
    blocks = np.zeros((2, 1, 34), np.uint8)
    blocks[..., :2] = np.array([0.5], np.float16).view(np.uint8)
    blocks[..., 2:] = np.arange(32)
    for same in (blocks, blocks.reshape(2, 34), blocks.reshape(-1)):
        module.decode(same, values := np.zeros((2, 32), np.float32))
        np.testing.assert_array_equal(values, np.tile(np.arange(32) / 2, (2, 1)))


def test_empty_tensors_are_taken(module: Any) -> None:
    module.shift(1, np.zeros(0, np.int32), np.zeros(0, np.int32))


def test_a_tensor_that_starts_inside_its_memory_is_taken(module: Any) -> None:
    x = torch.arange(10, dtype=torch.int32)
    module.shift(1, x[4:], y := torch.zeros(6, dtype=torch.int32))
    assert y.tolist() == [5, 6, 7, 8, 9, 10]


def one(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


SHARED = one(8)
BYTES = np.zeros(64, np.uint8)


@pytest.mark.parametrize(
    ("kernel", "arguments", "message"),
    [
        ("axpy", (one(4), one(4)), "axpy: takes 3 arguments, got 2"),
        ("axpy", (one(4), one(4), one(4)), "argument `a`: expected a number for a: f32"),
        ("axpy", (1e39, one(4), one(4)), r"argument `a`: 1e\+39 is outside the range of a: f32"),
        ("shift", (1.5, one(4), one(4)), "argument `by`: expected an integer for by: i32, got 1.5"),
        ("shift", (1 << 31, one(4), one(4)), "argument `by`: 2147483648 is outside the range of by: i32"),
        ("axpy", (1, 3, one(4)), r"argument `x`: expected a tensor for x: f32\[N\]"),
        ("axpy", (1, one(4).astype(np.float64), one(4)), r"`x`: expected float32 for x: f32\[N\], got float64\[4\]"),
        ("axpy", (1, one(4, 1), one(4)), r"`x`: expected rank 1 for x: f32\[N\], got rank 2, float32\[4, 1\]"),
        ("axpy", (1, one(4), one(5)), r"`y`: symbol `N` is 4 by `x`, but 5 by `y`, float32\[5\]"),
        ("axpy", (1, one(8)[::2], one(4)), r"`x`: must be contiguous \(row-major\), got a strided float32\[4\]"),
        ("axpy", (1, SHARED[:4], SHARED[2:6]), "`x` and `y` overlap in memory, and `y` is written"),
        ("axpy", (1, BYTES[1:17].view(np.float32), one(4)), "`x`: must be aligned to 4 bytes, got the address 0x"),
        ("widen", (one(4), np.zeros(4, np.int32), 4), r"`w`: expected uint8 \(packed u3\) for w: u3\[K\], got float32"),
        ("widen", (BYTES[:3], np.zeros(4, np.int32), 4), r"`w`: expected 2 bytes \(packed u3\[4\]\), got 3"),
        ("widen", (BYTES[:2], np.zeros(4, np.int32), 5), r"`y`: expected extent 5 \(\(2 \* K\) // 2\) along axis 0"),
        ("widen", (BYTES[:2], np.zeros(4, np.int32), -1), "symbol `K`: an extent must not be negative, got -1"),
        ("widen", (BYTES[:2], np.zeros(4, np.int32), 1 << 62), "is too large"),
        ("widen", (BYTES[:2], np.zeros(4, np.int32), one(1)), "symbol `K`: expected an integer"),
        (
            "decode",
            (np.zeros((1, 33), np.uint8), one(1, 32)),
            r"expected 34 bytes \(blocks of q8_0, 34 bytes each\[1, 32\]",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_a_message(
    module: Any, kernel: str, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module[kernel](*arguments)


def test_an_assert_that_fails_is_an_error(module: Any) -> None:
    with pytest.raises(RuntimeError, match="a number is negative"):
        module.positive(np.array([-1], np.int32), np.zeros(1, np.int32))


def test_a_library_can_be_unloaded_and_loaded_again(folder: Path) -> None:
    x = np.arange(1 << 18, dtype=np.int32)
    for _ in range(3):
        module = tvm_ffi.load_module(str(folder / "small.so"), keep_module_alive=False)
        module.shift(1, x, y := np.zeros_like(x))
        np.testing.assert_array_equal(y, x + 1)
        del module


def test_the_product_of_the_matmul_is_right(matmul: vmc.Library, matmul_module: Any) -> None:
    _, codes, _ = problem(4)
    x, scale, y = np.zeros((1, K), np.float16), np.ones((2, N), np.float16), np.zeros((1, N), np.float16)
    x[0, 7] = 2
    matmul_module.matmul_wa16_u4(x, np.asarray(matmul.matmul_wa16_u4.pack("w", codes)), scale, y)
    np.testing.assert_array_equal(y[0], 2 * (codes[7].astype(np.float16) - 8))
