"""Four-bit training: quantizing against ml_dtypes in NumPy, products and rotations against torch."""

from __future__ import annotations

from collections.abc import Iterator

import ml_dtypes
import numpy as np
import torch
from fp4_training.recipe import NVFP4
from fp4_training.tensors import Fp4
from networks.kernels import Array

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """A matrix of 1024 x 1024; 96 x 96 where `quick`."""
    size = 96 if quick else 1024
    fp4 = Fp4()
    x, w = (np.random.default_rng(seed).standard_normal((size, size), np.float32) for seed in range(2))
    a, b = fp4.quantize(x, NVFP4), fp4.quantize(w, NVFP4)
    yield Contest(
        f"quantize nvfp4 {size} x {size}",
        "numpy, ml_dtypes",
        lambda: fp4.quantize(x, NVFP4),
        lambda: quantize(x),
        lambda: float(np.abs(fp4.dequantize(fp4.quantize(x, NVFP4)) - quantize(x)).max()),
    )
    dense = [torch.from_numpy(fp4.dequantize(blocks)) for blocks in (a, b)]
    yield Contest(
        f"product nvfp4 {size}^3",
        "torch f32, decoded before",
        lambda: fp4.product(a, b),
        lambda: dense[0] @ dense[1].T,
        lambda: float(np.abs(fp4.product(a, b) - (dense[0] @ dense[1].T).numpy()).max()),
        1e-3,
    )
    turned = torch.from_numpy(fp4.rotate(np.eye(32, dtype=np.float32), 3))
    blocks = torch.from_numpy(x).reshape(size, -1, 32)
    one = np.ascontiguousarray(x[:, :32])
    yield Contest(
        f"rotate {size} x {size}",
        "torch",
        lambda: fp4.rotate(x, 3),
        lambda: blocks @ turned,
        lambda: float(np.abs(fp4.rotate(one, 3) - one @ turned.numpy()).max()),
        1e-5,
    )


def quantize(x: Array) -> Array:
    """NVFP4 and back."""
    blocks = x.reshape(len(x), -1, 16)
    whole = np.abs(x).max() / np.float32(6 * 448)
    most = np.abs(blocks).max(axis=2, keepdims=True) / whole
    steps = (most / np.float32(6)).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * whole
    codes = np.clip(blocks / steps, -6, 6).astype(ml_dtypes.float4_e2m1fn).astype(np.float32)
    found: Array = (codes * steps).reshape(x.shape)
    return found
