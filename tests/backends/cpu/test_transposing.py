"""Transposes that are written to memory, in blocks of vectors and otherwise, against the reference machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc
from tests.backends.cpu.execution import Sketch, assert_sketch
from tests.backends.cpu.samples import sample
from vmc.backends.cpu.levels import TABLE
from vmc.backends.cpu.target import missing
from vmc.ir.types import dtype

BOTH = """
fast kernel both[T: type, BM = 24, BN = 32, BK = 32](x: T[M, K], w: T[N, K], y: out T[M, N], z: out T[M, N]):
    for i, j in grid(cdiv(M, BM), cdiv(N, BN)):
        plain = zeros(T[BM, BN])
        size = zeros(T[BM, BN])
        for k in range(0, K, BK):
            t = w[j*BN : +BN, k : +BK]
            plain += x[i*BM : +BM, k : +BK] @ t.T
            size += abs(x[i*BM : +BM, k : +BK]) @ abs(t).T
        y[i*BM : +BM, j*BN : +BN] = plain
        z[i*BM : +BM, j*BN : +BN] = size
"""


@pytest.mark.parametrize("features", ["", "-avx512f", "-avx512f,-avx"], ids=["host", "without AVX-512", "without AVX"])
@pytest.mark.parametrize("shape", [(16, 16), (32, 48), (8, 64), (4, 4), (15, 16), (3, 5)], ids=str)
@pytest.mark.parametrize("name", ["u8", "f16", "f32", "f64", "i64"])
def test_transposes_agree_with_the_reference(name: str, shape: tuple[int, int], features: str) -> None:
    sketch = Sketch()
    value = sketch.take(name, shape)
    turned = sketch.b("transpose", value, permutation=(1, 0))
    sketch.give(turned)
    sketch.give(sketch.b("reduce", turned, kind="max", axis=0))
    doubled = sketch.b("transpose", sketch.b("max", value, value), permutation=(1, 0))
    sketch.give(sketch.b("transpose", doubled, permutation=(1, 0)))
    codes = sample(name, shape[0] * shape[1]).reshape(shape)
    assert_sketch(sketch, [codes], features=features, opt_level=2)


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_products_of_transposes_agree_with_the_reference(name: str) -> None:
    sketch = Sketch()
    a, b, c = (sketch.take(name, shape) for shape in ((32, 16), (48, 32), (16, 48)))
    left, right = (sketch.b("transpose", value, permutation=(1, 0)) for value in (a, b))
    sketch.give(sketch.b("reduce", sketch.b("dot", left, right, c), kind="max", axis=1))
    small = [sample("i4", 32 * 16), sample("i4", 48 * 32), sample("i4", 16 * 48)]
    type = dtype(name)
    numbers = [type.encode(dtype("i4").decode(codes)) for codes in small]
    inputs = [codes.reshape(value.tile.shape) for codes, value in zip(numbers, (a, b, c), strict=True)]
    assert_sketch(sketch, inputs, opt_level=2)


@pytest.mark.parametrize("level", [level.name for level in TABLE if not missing(level)])
@pytest.mark.parametrize("type", ["f32", "f64"])
def test_slices_are_transposed_from_where_they_lie_up_to_the_edge(type: str, level: str, tmp_path: Path) -> None:
    path = tmp_path / "both.vmc"
    path.write_text(BOTH, encoding="utf-8")
    kernel, element = vmc.compile(path, T=type, target=f"cpu:{level}"), np.dtype(type.replace("f", "float"))
    for m, n, k in ((24, 32, 32), (50, 64, 96), (24, 33, 32), (7, 45, 70), (1, 31, 33)):
        rng = np.random.default_rng(n)
        x, w = rng.standard_normal((m, k)).astype(element), rng.standard_normal((n, k)).astype(element)
        y, z = np.full((m, n), np.nan, element), np.full((m, n), np.nan, element)
        kernel(x, w, y, z)
        size = abs(x).astype(float) @ abs(w).T.astype(float)
        bound = (k + 2) * np.finfo(element).eps * size
        assert (abs(y - x.astype(float) @ w.T.astype(float)) <= bound).all()
        assert (abs(z - size) <= bound).all()
