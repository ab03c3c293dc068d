"""One matrix product source, every weight type, sizes that are no multiples of the tile, on the VM and the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lang.running import run_cpu
from vmc.backends import interp
from vmc.ir.types import ALL_SMALL, DType, dtype, pack
from vmc.lang import compile_kernel

SOURCE = Path(__file__).parents[2] / "examples" / "matmul_wa16.vmc"
TILES = {"BM": 16, "BN": 32, "BK": 32, "G": 32}
SIZES = [(m, 77, 45) for m in (1, 3, 16, 33)]


def weights(type: DType, k: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random codes and their values, NaN and infinity left out."""
    codes = rng.integers(0, 1 << type.width, (k, n)).astype(np.uint8)
    values = np.asarray(type.decode(codes), np.float64)
    codes[~np.isfinite(values) | (np.abs(values) > 60000)] = 0
    return codes, np.asarray(type.decode(codes), np.float64)


def raw(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)


@pytest.mark.parametrize("type", ALL_SMALL, ids=lambda t: t.name)
def test_the_matrix_product_is_right_for_every_small_type(type: DType) -> None:
    kernel = compile_kernel(SOURCE.read_text(), str(SOURCE), None, {"T": type, **TILES}).kernel
    rng = np.random.default_rng(type.width)
    for m, k, n in SIZES:
        codes, values = weights(type, k, n, rng)
        x = rng.standard_normal((m, k)).astype(np.float16)
        scale = rng.uniform(0.5, 1.0, (-(-k // 32), n)).astype(np.float16)
        rounded = (values - type.zero_point).astype(np.float16).astype(np.float64)
        decoded = (rounded * np.repeat(scale, 32, axis=0)[:k].astype(np.float64)).astype(np.float16)
        expected = x.astype(np.float64) @ decoded.astype(np.float64)
        bound = np.abs(x).astype(np.float64) @ np.abs(decoded).astype(np.float64)
        for execute in (interp.run, run_cpu):
            y = np.full((m, n), np.nan, np.float16)
            out = raw(y).copy()
            arguments = [raw(x).copy(), np.array(pack(codes, type)), raw(scale).copy(), out]
            execute(kernel, arguments, {"M": m, "K": k, "N": n})
            result = out.view(np.float16).reshape(m, n).astype(np.float64)
            limit = (k + 2) * 2.0**-24 * bound + np.abs(expected) * 2.0**-11 + 2.0**-25
            with np.errstate(invalid="ignore"):
                close = (np.abs(result - expected) <= limit) | (np.abs(expected) > 65000)
            assert close.all(), (type.name, m, np.abs(result - expected).max())


def test_zero_point_of_a_type_is_half_of_an_unsigned_range() -> None:
    assert [dtype(name).zero_point for name in ("u1", "u4", "i4", "f4e2m1")] == [1, 8, 0, 0]
