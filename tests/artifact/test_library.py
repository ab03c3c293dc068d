"""`vmc.load`: kernels of a library do what compiled ones do, and refuse what those refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmc
from tests.artifact.conftest import EXAMPLES
from tests.artifact.programs import SMALL

M, K, N = 5, 256, 96


def problem(width: int) -> tuple[np.ndarray[Any, Any], ...]:
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 1 << width, (K, N), dtype=np.uint8)
    x = rng.standard_normal((M, K)).astype(np.float16)
    return x, codes, rng.random((2, N)).astype(np.float16)


@pytest.mark.parametrize("width", [3, 4])
def test_a_loaded_matmul_leaves_the_bits_of_the_compiled_one(matmul: vmc.Library, target: str, width: int) -> None:
    x, codes, scale = problem(width)
    loaded = matmul.kernels[f"matmul_wa16_u{width}"]
    compiled = vmc.compile(EXAMPLES / "matmul_wa16.vmc", target=target, T=f"u{width}", BM=16, BN=32)
    y, z = np.zeros((M, N), np.float16), np.ones((M, N), np.float16)
    packed = loaded.pack("w", codes)
    assert packed.tobytes() == compiled.pack("w", codes).tobytes()
    assert (loaded.unpack("w", packed) == codes).all()
    loaded(x, packed, scale, y)
    compiled(x, compiled.pack("w", codes), scale, z)
    np.testing.assert_array_equal(y.view(np.uint16), z.view(np.uint16))
    values = (codes.astype(np.float64) - (1 << width - 1)) * np.repeat(scale, 128, axis=0)
    np.testing.assert_allclose(y, x.astype(np.float64) @ values, rtol=0.02, atol=0.2)


def test_a_loaded_kernel_takes_torch_tensors(matmul: vmc.Library) -> None:
    x, codes, scale = problem(4)
    kernel = matmul.matmul_wa16_u4
    y, z = torch.zeros(M, N, dtype=torch.float16), np.zeros((M, N), np.float16)
    packed = kernel.pack("w", codes)
    kernel(torch.from_numpy(x), packed, torch.from_numpy(scale), y)
    kernel(x, packed, scale, z)
    np.testing.assert_array_equal(y.numpy(), z)


def test_bytes_from_a_file_are_labelled_as_for_a_compiled_kernel(matmul: vmc.Library) -> None:
    x, codes, scale = problem(3)
    kernel = matmul.matmul_wa16_u3
    stored = np.asarray(kernel.pack("w", codes)).copy()
    y, z = np.zeros((M, N), np.float16), np.zeros((M, N), np.float16)
    kernel(x, kernel.label("w", stored, (K, N)), scale, y)
    kernel(x, kernel.pack("w", codes), scale, z)
    np.testing.assert_array_equal(y, z)


def test_a_tensor_in_the_declared_order_is_refused_where_the_library_wants_another(matmul: vmc.Library) -> None:
    x, codes, scale = problem(4)
    kernel = matmul.matmul_wa16_u4
    if kernel.storages["w"] is None:
        pytest.skip("the code takes the declared order")
    with pytest.raises(vmc.ArgumentError, match=r'kernel.pack\("w", codes\)'):
        kernel(x, vmc.pack(codes, "u4"), scale, np.zeros((M, N), np.float16))


def test_scalars_symbols_and_block_formats_go_through(small: vmc.Library) -> None:
    x, y = np.arange(100, dtype=np.float32), np.ones(100, np.float32)
    small.axpy(0.5, x, y)
    np.testing.assert_array_equal(y, 1 + x / 2)
    small.shift(-3, np.arange(9, dtype=np.int32), z := np.zeros(9, np.int32))
    np.testing.assert_array_equal(z, np.arange(9) - 3)
    codes = np.arange(50, dtype=np.uint8) % 8
    small.widen(np.asarray(small.widen.pack("w", codes)), w := np.zeros(50, np.int32), K=50)
    np.testing.assert_array_equal(w, codes)
    small.narrow(w, packed := small.narrow.pack("y", np.zeros(50, np.uint8)))
    np.testing.assert_array_equal(vmc.unpack(packed), codes)
    blocks = np.zeros((2, 1, 34), np.uint8)
    blocks[..., :2] = np.array([0.5], np.float16).view(np.uint8)
    blocks[..., 2:] = np.arange(32)
    small.decode(blocks, values := np.zeros((2, 32), np.float32))
    np.testing.assert_array_equal(values, np.tile(np.arange(32) / 2, (2, 1)))


def test_wrong_arguments_are_refused_as_by_a_compiled_kernel(small: vmc.Library) -> None:
    kernel = vmc.compile(SMALL, kernel="shift")
    for bad in [(1, np.zeros(3), np.zeros(3, np.int32)), (1.5, np.zeros(3, np.int32), np.zeros(3, np.int32)), (1,)]:
        with pytest.raises(vmc.ArgumentError) as compiled:
            kernel(*bad)
        with pytest.raises(vmc.ArgumentError) as loaded:
            small.shift(*bad)
        assert str(loaded.value) == str(compiled.value)


def test_an_assert_that_fails_says_where(small: vmc.Library) -> None:
    with pytest.raises(vmc.ExecutionError, match=r"^<text>:27:9: a number is negative$"):
        small.positive(np.array([1, -1], np.int32), np.zeros(2, np.int32))
    small.positive(x := np.array([1, 2], np.int32), y := np.zeros(2, np.int32))
    np.testing.assert_array_equal(x, y)


def test_a_library_lists_its_kernels_and_suggests_names(small: vmc.Library) -> None:
    assert {"axpy", "decode"} <= set(dir(small)) and [kernel.name for kernel in small][:2] == ["axpy", "shift"]
    assert "axpy" in repr(small) and "for cpu" in repr(small.axpy)
    with pytest.raises(AttributeError, match="did you mean `axpy`"):
        small.axpi  # noqa: B018 - made by looking


def test_loading_needs_neither_llvm_nor_the_parser(folder: Path) -> None:
    code = (
        "import sys, numpy as np, vmc; lib = vmc.load(sys.argv[1]); y = np.zeros(3, np.int32);"
        "lib.shift(2, np.arange(3, dtype=np.int32), y); assert y.tolist() == [2, 3, 4];"
        "assert not {'llvmlite', 'lark', 'torch', 'tvm_ffi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "small.so")], check=True)


def test_two_libraries_run_at_the_same_time_from_several_threads(folder: Path, target: str) -> None:
    vmc.build([SMALL], folder / "other.so", targets=[target])
    libraries = [vmc.load(folder / "small.so"), vmc.load(folder / "other.so")]
    wrong: list[int] = []

    def work(library: vmc.Library, number: int) -> None:
        x = np.full(1 << 18, number, np.int32)
        for _ in range(20):
            library.shift(1, x, y := np.zeros_like(x))
            if not (y == number + 1).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(libraries[number % 2], number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_goes_on(small: vmc.Library) -> None:
    x = np.arange(1 << 18, dtype=np.int32)
    small.shift(1, x, np.zeros_like(x))
    child = os.fork()
    if not child:
        small.shift(1, x, y := np.zeros_like(x))
        os._exit(0 if (y == x + 1).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_number_of_threads_is_respected(folder: Path) -> None:
    code = (
        "import sys, os, numpy as np, vmc; lib = vmc.load(sys.argv[1]); x = np.zeros(1 << 20, np.int32);"
        "lib.shift(2, x, np.zeros_like(x)); print(len(os.listdir('/proc/self/task')))"
    )
    counts = {}
    for wanted in ("1", "3"):
        environment = {**os.environ, "VMC_NUM_THREADS": wanted, "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-c", code, str(folder / "small.so")]
        counts[wanted] = int(subprocess.run(command, check=True, env=environment, capture_output=True).stdout)
    assert counts["3"] == counts["1"] + 2
