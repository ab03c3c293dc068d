"""Boxes through an embedding by principal components and back, over its width: the paper's linear autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from networks.kernels import Array, Layers

from ibp.boxes import Box, Ibp, linear
from ibp.tightness import of_matrices


@dataclass(frozen=True)
class Embedded:
    """`lost`: the share of the variance that is lost. `radius`: that of the boxes that come back, in units of those
    that went in, on average; `tightness`: how much of them is reached, of outputs that change at all.
    """

    width: int
    lost: float
    radius: float
    tightness: float


def principal(rows: Array, target: str = "cpu") -> tuple[Array, Array]:
    """The principal directions [n, n] of rows of n numbers, the first one first, and their variances."""
    layers = Layers(target, "f64")
    centred = np.ascontiguousarray(rows - rows.mean(axis=0), np.float64)
    n = centred.shape[1]
    covariance, directions, variance = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    layers("product_tn")(centred, centred, covariance)
    Ibp(layers).untyped("principal", N=n)(covariance / len(centred), directions, variance)
    return directions, variance


def embedded(ibp: Ibp, rows: Array, width: int) -> Embedded:
    """The embedding of rows in `width` numbers by their principal directions, and back by the transpose."""
    directions, variance = principal(rows, ibp.layers.kernels.target)
    down = np.ascontiguousarray(directions[:width], ibp.layers.dtype)
    up = np.ascontiguousarray(down.T)
    inputs = down.shape[1]
    box = Box(ibp.layers.zeros(1, inputs), ibp.layers.zeros(1, inputs) + 1)
    for w in (down, up):
        box = linear(ibp, box, w, ibp.layers.zeros(len(w)))
    lost = float(variance[width:].sum() / variance.sum())
    return Embedded(width, lost, float(box.r.mean()), float(np.nanmean(of_matrices(ibp, (down, up)))))
