"""Elementary functions, strict and to few digits, against NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import vmc
from benchmarks.paper.contest import Contest

EVOLVED = Path(__file__).resolve().parents[2] / "examples" / "autonumerics" / "evolved.vmc"
SOURCE = """
kernel strict[T: float, B = 1024](x: T[N], y: out T[N]):
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = {0}(x[i*B : +B])

kernel near[T: float, BOUND = 0.001, B = 1024](x: T[N], y: out T[N]):
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = {0}(x[i*B : +B], approx=BOUND)
"""
FUNCTIONS = ("exp", "exp2", "log2", "sin", "tanh")
Array = np.ndarray[Any, Any]


def contests(quick: bool) -> Iterator[Contest]:
    """262144 elements, or 4096."""
    count = 1 << 12 if quick else 1 << 18
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, count)
    yield contest("exp2 f64, ten operations", vmc.compile(EVOLVED, "evolved_exp2"), np.exp2, x, 2e-13)
    yield contest("exp2 f64, all sizes", vmc.compile(EVOLVED, "exp2_full"), np.exp2, 30 * x, 2e-13)
    yield contest("exp2 f64, strict", vmc.compile(SOURCE.format("exp2"), "strict", T="f64"), np.exp2, 30 * x, 3e-16)
    for name in FUNCTIONS:
        single = rng.uniform(0.1, 10, count).astype(np.float32)
        theirs, source = getattr(np, name), SOURCE.format(name)
        yield contest(f"{name} f32, strict", vmc.compile(source, "strict", T="f32"), theirs, single, 4e-7)
        for bits in (8, 11, 16):
            kernel = vmc.compile(source, "near", T="f32", BOUND=2.0**-bits)
            yield contest(f"{name} f32, 2^-{bits}", kernel, theirs, single, 2.0**-bits + 4e-7)


def contest(name: str, ours: vmc.Kernel, theirs: Callable[..., Any], x: Array, tolerance: float) -> Contest:
    y, z = np.empty_like(x), np.empty_like(x)

    def error() -> float:
        """Relative, or absolute below 1/4: sines and logarithms have zeros."""
        return float(np.max(abs(y.astype(np.float64) - z) / np.maximum(abs(z), 0.25)))

    return Contest(name, "numpy", lambda: ours(x, y), lambda: theirs(x, out=z), error, tolerance)
