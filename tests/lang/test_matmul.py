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


def product(x: np.ndarray, w: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x @ (w * scale), and a bound of the error before y is rounded.

    In each group digits may differ from the product by 2^-21 of the largest x times the sum of |w| over a column; f32
    rounds once for every sum, once for each scaled group, and once for each group that is added.
    """
    a, exact, bound = x.astype(np.float64), np.zeros((len(x), w.shape[1])), np.zeros((len(x), w.shape[1]))
    roundings = (TILES["G"] + 3 + len(scale)) * 2.0**-24
    for group, factor in enumerate(scale.astype(np.float64)):
        part = slice(group * TILES["G"], (group + 1) * TILES["G"])
        exact += a[:, part] @ w[part] * factor
        largest = np.abs(a[:, part]).max(axis=1, keepdims=True)
        digits = 2.0**-21 * largest * np.abs(w[part]).sum(axis=0)
        bound += (digits + roundings * (np.abs(a[:, part]) @ np.abs(w[part]))) * factor
    return exact, bound


@pytest.mark.parametrize("type", ALL_SMALL, ids=lambda t: t.name)
def test_the_matrix_product_is_right_for_every_small_type(type: DType) -> None:
    kernel = compile_kernel(SOURCE.read_text(), str(SOURCE), None, {"T": type, **TILES}).kernel
    rng = np.random.default_rng(type.width)
    for m, k, n in SIZES:
        codes, values = weights(type, k, n, rng)
        x = rng.standard_normal((m, k)).astype(np.float16)
        scale = rng.uniform(0.5, 1.0, (-(-k // 32), n)).astype(np.float16)
        rounded = (values - type.zero_point).astype(np.float16).astype(np.float64)
        exact, bound = product(x, rounded, scale)
        for execute in (interp.run, run_cpu):
            y = np.full((m, n), np.nan, np.float16)
            out = raw(y).copy()
            arguments = [raw(x).copy(), np.array(pack(codes, type)), raw(scale).copy(), out]
            execute(kernel, arguments, {"M": m, "K": k, "N": n})
            result = out.view(np.float16).reshape(m, n).astype(np.float64)
            limit = bound + np.abs(exact) * 2.0**-11 + 2.0**-25
            with np.errstate(invalid="ignore"):
                close = (np.abs(result - exact) <= limit) | (np.abs(exact) > 65000)
            assert close.all(), (type.name, m, np.abs(result - exact).max())


def test_zero_point_of_a_type_is_half_of_an_unsigned_range() -> None:
    assert [dtype(name).zero_point for name in ("u1", "u4", "i4", "f4e2m1")] == [1, 8, 0, 0]
