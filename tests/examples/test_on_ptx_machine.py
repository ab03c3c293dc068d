"""The papers' mathematics on the PTX machine, at small sizes: the same bits as on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TARGET = "ptx-vm:sm_80"


def test_exp2_in_ten_operations() -> None:
    x = np.linspace(0, 1, 100)
    results = []
    for target in ("cpu", TARGET):
        y = np.empty_like(x)
        vmc.compile(EXAMPLES / "autonumerics" / "evolved.vmc", "evolved_exp2", target, B=64)(x, y)
        results.append(y.tobytes())
    assert results[0] == results[1]


def test_functions_within_an_error() -> None:
    source = """
kernel near[B = 64](x: f32[N], y: out f32[N]):
    for i in grid(cdiv(N, B)):
        t = x[i*B : +B]
        y[i*B : +B] = exp(t, approx=0.001) + sin(t, approx=0.001) + log(abs(t), approx=0.001) + tanh(t, approx=0.001)
"""
    x = np.concatenate([np.linspace(-90, 90, 93), [0.0, np.inf, -np.inf, np.nan, 1e-40]]).astype(np.float32)
    results = []
    for target in ("cpu", TARGET):
        y = np.empty_like(x)
        vmc.compile(source, target=target)(x, y)
        results.append(np.where(np.isnan(y), np.float32(np.nan), y).tobytes())
    assert results[0] == results[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["log_iv", "log_kv"])
def test_log_bessel(name: str) -> None:
    sys.path.insert(0, str(EXAMPLES))
    from log_bessel import functions

    function = getattr(functions, name)
    rng = np.random.default_rng(0)
    v, x = rng.uniform(0, 50, 70), rng.uniform(0, 50, 70)
    assert function(v, x).tobytes() == function(v, x, target=TARGET).tobytes()
