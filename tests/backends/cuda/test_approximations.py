"""Functions within a stated error (`approx=`), executed as PTX: the same bits as on the CPU."""

from __future__ import annotations

import numpy as np

import vmc

SOURCE = """
kernel near[B = 64](x: f32[N], y: out f32[N]):
    for i in grid(cdiv(N, B)):
        t = x[i*B : +B]
        y[i*B : +B] = exp(t, approx=0.001) + sin(t, approx=0.001) + log(abs(t), approx=0.001) + tanh(t, approx=0.001)
"""


def test_functions_within_an_error_give_the_bits_of_the_cpu() -> None:
    x = np.concatenate([np.linspace(-90, 90, 93), [0.0, np.inf, -np.inf, np.nan, 1e-40]]).astype(np.float32)
    results = []
    for target in ("cpu", "ptx-vm:sm_80"):
        y = np.empty_like(x)
        vmc.compile(SOURCE, target=target)(x, y)
        results.append(np.where(np.isnan(y), np.float32(np.nan), y).tobytes())
    assert results[0] == results[1]
