"""Few weights need be undecided: with m constraints on x in [0, 1]^n, some x that meets them all has at most m numbers
that are neither 0 nor 1 (the paper, section 3). Here the constraints are that to first order no loss of m pieces of
text changes: the gradients of those losses are orthogonal to the move from y, where the weights are as trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from networks.kernels import Array
from networks.transformer import Transformer

from discquant.grid import Grid, Quantizer
from discquant.products import Interpolated


def gradients(
    quantizer: Quantizer, network: Transformer, pieces: Sequence[tuple[Array, Array]], grid: Grid, name: str, count: int
) -> tuple[Array, Array]:
    """The gradients f64 [pieces, count] of the losses of `pieces` (symbols, and what follows each) for the places of
    the first `count` weights of a matrix that lie between two codes, all weights being as trained; and these places.
    """
    weights = network.parameters.values
    matrices = {key: quantizer.neighbours(weights[key], grid) for key in network.shape.matrices}
    plain = network.products
    network.products = Interpolated(quantizer, matrices, {key: found.y for key, found in matrices.items()})
    rows = []
    for ids, targets in pieces:
        network.gradients(ids, targets)
        rows.append(network.parameters.gradients[name].reshape(-1).astype(np.float64))
    network.products = plain
    y = matrices[name].y.reshape(-1).astype(np.float64)
    between = np.flatnonzero((y > 0) & (y < 1) & (rows[0] != 0))[:count]
    return np.stack(rows)[:, between], y[between]


def walk(quantizer: Quantizer, constraints: Array, cost: Array, x: Array) -> tuple[Array, int]:
    """From x f64 [n] to a vertex of {z in [0, 1]^n : constraints @ z = constraints @ x} whose <cost, z> is no greater,
    and the steps taken; constraints f64 [m, n].
    """
    found, steps = x.copy(), np.zeros(1, np.int32)
    m, n = constraints.shape
    quantizer.kernels("walk", M=m, N=n)(np.ascontiguousarray(constraints), cost, found, steps)
    return found, int(steps[0])


def fractional(x: Array, tolerance: float = 1e-9) -> int:
    """How many numbers are neither 0 nor 1."""
    return int(((x > tolerance) & (x < 1 - tolerance)).sum())
