"""The convolution against torch, and residuals as directions against SciPy's conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dcdm.network import F32, Network, kernel
from dcdm.reproduce import conjugate_gradients
from dcdm.solver import solve

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """64 x 64 points, 8 channels; a quarter where `quick`."""
    import torch

    torch.set_num_threads(1)
    size = 16 if quick else 64
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, size, size, 8)).astype(np.float32)
    w = Network(channels=8).weights[1]
    y = np.empty_like(x)
    fields = torch.from_numpy(x).permute(0, 3, 1, 2)
    taps = torch.from_numpy(w).reshape(3, 3, 8, 8).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

    def ours() -> F32:
        kernel("conv", "cpu", V="f32", CI=8, CO=8, RELU=False)(x, w, y)
        return y

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return torch.nn.functional.conv2d(fields, taps, padding=1)

    yield Contest(
        f"conv {size} x {size}, 8 channels",
        "torch",
        ours,
        theirs,
        lambda: float(abs(ours() - theirs().permute(0, 2, 3, 1).numpy()).max()),
        1e-4,
    )
    b, mask = x[0, :, :, 0].copy(), np.ones((size, size), np.uint8)
    yield Contest(
        f"conjugate gradients {size} x {size}",
        "scipy.sparse",
        lambda: solve(lambda r: r, b, mask, 1e-4),
        lambda: conjugate_gradients(b, mask, 1e-4),
        lambda: abs(len(solve(lambda r: r, b, mask, 1e-4)[1]) - conjugate_gradients(b, mask, 1e-4)),
        3.0,
    )
