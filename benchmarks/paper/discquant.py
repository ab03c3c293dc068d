"""DiscQuant: products with weights between two codes and the divergence against torch, GPTQ's columns against NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from discquant.descent import kl
from discquant.grid import Grid, Quantizer, empty_codes, plain
from discquant.products import Interpolated
from networks.kernels import Array

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """Layers of 512 x 512 and 512 rows; 64 where `quick`."""
    size = 64 if quick else 512
    quantizer, grid = Quantizer(), Grid(3, group=64)
    rng = np.random.default_rng(0)
    w, x = (rng.standard_normal((size, size), np.float32) for _ in range(2))
    place = rng.random((size, size), np.float32)
    matrix = quantizer.neighbours(w, grid)
    products = Interpolated(quantizer, {"w": matrix}, {"w": place})
    low, high = (plain(quantizer.choose(np.full_like(w, end), matrix), w.shape).astype(np.float32) for end in (0, 1))
    scale = np.repeat(matrix.scale.astype(np.float32), 64, axis=1)
    down, up, scales, tx, tp = map(torch.from_numpy, (low, high, scale, x, place))

    def interpolated() -> torch.Tensor:
        return tx @ (((1 - tp) * down + tp * up - 4) * scales).T

    yield Contest(
        f"interpolated product {size}^3",
        "torch",
        lambda: products.forward(x, w, "w"),
        interpolated,
        lambda: float(np.abs(products.forward(x, w, "w") - interpolated().numpy()).max()),
        1e-2,
    )
    p, q = (rng.standard_normal((8 * size, 96), np.float32) for _ in range(2))
    tp_logits, tq_logits = torch.from_numpy(p), torch.from_numpy(q)

    def divergence() -> torch.Tensor:
        return torch.nn.functional.kl_div(
            tq_logits.log_softmax(1), tp_logits.log_softmax(1), reduction="batchmean", log_target=True
        )

    yield Contest(
        f"divergence and its gradient {8 * size} x 96",
        "torch, no gradient",
        lambda: kl(quantizer, p, q),
        divergence,
        lambda: abs(kl(quantizer, p, q)[0] - float(divergence())),
        1e-5,
    )
    u = np.triu(rng.standard_normal((size, size)) / size + np.eye(size)).astype(np.float32)
    codes = empty_codes(w.shape, grid)
    kernel = quantizer.kernels("gptq", T="u3", K=size)
    yield Contest(
        f"gptq columns {size} x {size}",
        "numpy",
        lambda: kernel(w, scale, u, codes),
        lambda: columns(w, scale, u),
        lambda: float((plain_of(codes, grid, w.shape) != columns(w, scale, u)).mean()),
        0.01,
    )


def plain_of(codes: Array, grid: Grid, shape: tuple[int, ...]) -> Array:
    from discquant.grid import Codes

    return plain(Codes(grid, codes, np.empty(0, np.float16)), shape)


def columns(w: Array, scale: Array, u: Array) -> Array:
    """The algorithm in NumPy, without blocks."""
    t, codes = w.copy(), np.empty(w.shape, np.float32)
    for j in range(w.shape[1]):
        codes[:, j] = np.clip(np.rint(t[:, j] / scale[:, j] + 4), 0, 7)
        error = (t[:, j] - (codes[:, j] - 4) * scale[:, j]) / u[j, j]
        t[:, j:] -= error[:, None] * u[j, j:]
    return codes
