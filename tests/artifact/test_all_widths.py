"""The matrix product of every width in one library: small, and on the CPU with the bits of the compiled kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc
from tests.artifact.conftest import EXAMPLES

WIDTHS = tuple(f"u{width}" for width in range(1, 9))
FLOATS = ("f4e2m1", "f6e3m2", "f8e4m3")
LIMIT = 2_000_000
MATMUL = f"{EXAMPLES / 'matmul_wa16.vmc'}:matmul_wa16"


@pytest.mark.slow
def test_all_widths_on_the_cpu(tmp_path: Path, target: str) -> None:
    rng = np.random.default_rng(6)
    types = [*WIDTHS, *FLOATS]
    vmc.build([MATMUL], tmp_path / "lib.so", targets=[target], T=types)
    lib = vmc.load(tmp_path / "lib.so")
    assert (tmp_path / "lib.so").stat().st_size < LIMIT
    for name in types:
        kernel = lib.kernels[f"matmul_wa16_{name}"]
        compiled = vmc.compile(EXAMPLES / "matmul_wa16.vmc", target=target, T=name)
        codes = rng.integers(0, 1 << vmc.dtype(name).width, (300, 70), dtype=np.uint8)
        x, scale = rng.standard_normal((9, 300)).astype(np.float16), rng.random((3, 70)).astype(np.float16)
        y, z = np.zeros((9, 70), np.float16), np.ones((9, 70), np.float16)
        kernel(x, kernel.pack("w", codes), scale, y)
        compiled(x, compiled.pack("w", codes), scale, z)
        np.testing.assert_array_equal(y.view(np.uint16), z.view(np.uint16), err_msg=name)
        np.testing.assert_array_equal(kernel.unpack("w", kernel.pack("w", codes)), codes)


@pytest.mark.slow
def test_all_levels_of_all_widths_are_small(tmp_path: Path) -> None:
    vmc.build([MATMUL], tmp_path / "lib.so", T=WIDTHS)
    assert (tmp_path / "lib.so").stat().st_size < LIMIT


@pytest.mark.slow
def test_all_widths_for_a_gpu_are_small_and_pack_as_compiled_ones(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    pytest.importorskip("cuda.bindings")
    made = vmc.build([MATMUL], tmp_path / "lib.so", targets=["cuda:sm_90a"], T=WIDTHS)
    assert (tmp_path / "lib.so").stat().st_size < LIMIT
    lib = vmc.load(tmp_path / "lib.so")
    for name in WIDTHS:
        kernel = lib.kernels[f"matmul_wa16_{name}"]
        codes = np.arange(256 * 64, dtype=np.uint64).reshape(256, 64) % (1 << vmc.dtype(name).width)
        np.testing.assert_array_equal(kernel.unpack("w", kernel.pack("w", codes)), codes)
    compiled = vmc.compile(EXAMPLES / "matmul_wa16.vmc", target="cuda:sm_90a", T="u3")
    assert compiled.storages == lib.matmul_wa16_u3.storages == dict(made.kernels[2].storages["cuda:sm_90a"])
