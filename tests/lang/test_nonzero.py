"""`nonzero(mask)` in programs, on every executor."""

from __future__ import annotations

import numpy as np
import pytest

import vmc

SOURCE = """
kernel packed[B = 32](x: f32[N], y: out f32[G, B], counts: out i32[G]):
    for i in grid(G):
        t = x[i*B : +B]
        places, count = nonzero(t > 0.0)
        y[i, :] = where(arange(B) < count, take(t, places), -1.0)
        counts[i] = count
"""


@pytest.mark.parametrize("target", ["interp", "cpu", "cpu:x86-64-v3", "ptx-vm:sm_80"])
def test_elements_that_hold_are_packed_together(target: str) -> None:
    if target.startswith("ptx"):
        pytest.importorskip("tvm")
        pytest.importorskip("cuda.bindings")
    x = np.random.default_rng(0).standard_normal(70).astype(np.float32)
    x[32:64] = -1
    y, counts = np.zeros((3, 32), np.float32), np.zeros(3, np.int32)
    vmc.compile(SOURCE, target=target)(x, y, counts)
    for i in range(3):
        kept = [number for number in x[32 * i : 32 * i + 32] if number > 0]
        assert counts[i] == len(kept)
        assert y[i].tolist() == kept + [-1.0] * (32 - len(kept))


@pytest.mark.parametrize("mask", ["x[:, :] > 0.0", "x[0, 0] > 0.0", "true"])
def test_masks_have_one_axis(mask: str) -> None:
    source = f"kernel k(x: f32[4, 4], y: out i32[4]):\n    p, n = nonzero({mask})\n    y[:] = p\n"
    with pytest.raises(vmc.CompileError, match="takes a tile of one axis"):
        vmc.compile(source)
