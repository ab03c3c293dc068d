"""The method: directions from the network, conjugate to the last two, until the residual is small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dcdm.network import F32, kernel

Mask = npt.NDArray[np.uint8]


def apply_a(x: F32, mask: Mask, target: str = "cpu") -> F32:
    """The five-point Laplacian of x [s, h, w] where `mask` [h, w] is 1; x is 0 elsewhere."""
    y = np.empty_like(x)
    kernel("poisson", target)(mask, x, y)
    return y


def solve(
    directions: Callable[[F32], F32],
    b: F32,
    mask: Mask,
    tolerance: float = 1e-4,
    most: int = 500,
    target: str = "cpu",
) -> tuple[F32, list[float]]:
    """x [h, w] with |b - A x| <= tolerance |b|, and the relative residuals after each iteration. `directions` makes a
    field [1, h, w] of the residual of length 1; the residual itself gives conjugate gradients.
    """
    x = np.zeros_like(b)[None]
    r = b[None].copy()
    p1, ap1, p0, ap0 = np.zeros((4, b.size), np.float32)
    energies = np.zeros(2)
    start = norm(r, target)
    found: list[float] = []
    while len(found) < most and (not found or found[-1] > tolerance):
        scaled, q = np.empty_like(r), np.empty_like(r)
        kernel("unit", target)(flat(r), flat(scaled))
        kernel("masked", target)(mask, directions(scaled), q)
        kernel("orthogonalise", target)(p1[None], ap1[None], p0[None], ap0[None], energies, flat(q))
        aq = apply_a(q, mask, target)
        energy = np.empty(1)
        kernel("advance", target)(flat(q), flat(aq), flat(r), flat(x), energy)
        p0, ap0, p1, ap1 = p1, ap1, q.reshape(-1), aq.reshape(-1)
        energies = np.array([energy[0], energies[0]])
        ax = apply_a(x, mask, target)
        kernel("subtract", target)(b.reshape(-1), ax.reshape(-1), r.reshape(-1))
        found.append(norm(r, target) / start)
    return x[0], found


def flat(x: F32) -> F32:
    return x.reshape(1, -1)


def norm(x: F32, target: str) -> float:
    square = np.empty(1)
    kernel("dots", target)(flat(x), flat(x), square)
    return float(square[0]) ** 0.5
