"""examples/matmul_split.vmc: K shared among blocks, with results that do not depend on their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc

SOURCE = Path(__file__).parents[2] / "examples" / "matmul_split.vmc"


def product(target: str, m: int, k: int, n: int, **bindings: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The result, the exact one, and what its error is measured by."""
    rng, split = np.random.default_rng(1), bindings["SPLIT"]
    x = rng.normal(size=(m, k)).astype(np.float16)
    codes = rng.integers(0, 16, (k, n)).astype(np.uint8)
    scale = (0.5 + rng.random((-(-k // 128), n))).astype(np.float16)
    parts = np.full((split, m, n), np.nan, np.float32)
    y = np.full((m, n), np.nan, np.float16)
    first = vmc.compile(SOURCE, kernel="matmul_parts", target=target, T="u4", **bindings)
    first(x, first.pack("w", codes), scale, parts)
    vmc.compile(SOURCE, kernel="sum_parts", target=target, SPLIT=split)(parts, y)
    weights = (codes.astype(np.float64) - 8) * np.repeat(scale.astype(np.float64), 128, axis=0)[:k]
    return y, x.astype(np.float64) @ weights, np.abs(x.astype(np.float64)) @ np.abs(weights)


def check(target: str, m: int, k: int, n: int, **bindings: int) -> None:
    y, exact, magnitude = product(target, m, k, n, **bindings)
    allowed = (k + 8) * 2.0**-24 * magnitude + 1.01 * 2.0**-11 * np.abs(exact)
    assert (np.abs(y.astype(np.float64) - exact) <= allowed).all()


@pytest.mark.parametrize(("m", "k", "n", "split"), [(3, 1024, 128, 4), (1, 128, 70, 4), (16, 640, 64, 3)])
def test_parts_add_up_on_the_cpu(m: int, k: int, n: int, split: int) -> None:
    check("cpu", m, k, n, SPLIT=split)


@pytest.mark.parametrize(("m", "k", "n", "split"), [(3, 512, 64, 2), (1, 328, 72, 3)])
def test_parts_add_up_in_the_ptx_machine(m: int, k: int, n: int, split: int) -> None:
    pytest.importorskip("tvm")
    pytest.importorskip("cuda.bindings")
    check("ptx-vm:sm_80", m, k, n, SPLIT=split)
