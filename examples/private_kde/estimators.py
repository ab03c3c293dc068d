"""Exact and private sums over a data set x [n, d] for queries y [q, d], as calls of kernels: f32 or f64.

Results are f64 [q]. Two data sets are neighbours where one has one point more. What the private classes publish is
epsilon-private; queries look at nothing else.
"""

from __future__ import annotations

from functools import cache
from math import pi, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import vmc

KERNELS = Path(__file__).with_name("kde.vmc")
KINDS = {"l1": 0, "l2": 1, "gaussian": 2, "laplacian": 3}
Kind = Literal["l1", "l2", "gaussian", "laplacian"]

Floats = npt.NDArray[np.floating[Any]]
F64 = npt.NDArray[np.float64]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


def exact(x: Floats, y: Floats, kind: Kind, width: float = 1.0, target: str = "cpu") -> F64:
    """Sums of l1 or l2 distances, or of exp(-l2^2 / 2 width^2) or exp(-l1 / width)."""
    total = np.empty(len(y))
    kernel("pairwise_sum", target, T=x.dtype.name, D=x.shape[1], KIND=KINDS[kind])(width, x, y, total)
    return total


class Distances:
    """Sums of l1 distances. Coordinates lie within `low` and `low + width`, and are counted in 2^levels leaves."""

    def __init__(
        self,
        x: Floats,
        epsilon: float,
        seed: int,
        *,
        low: float = 0.0,
        width: float = 1.0,
        levels: int = 10,
        ratio: float = 0.1,
        target: str = "cpu",
    ) -> None:
        self.bindings = {"T": x.dtype.name, "LEVELS": levels}
        self.low, self.width, self.target = low, width, target
        self.edges = ring_edges(1 << levels, ratio)
        counts = np.zeros((x.shape[1], 2 << levels), np.int32)
        kernel("histogram_tree", target, **self.bindings)(low, width, x, counts)
        # A point is counted once on each level of each coordinate's tree.
        self.scale = x.shape[1] * (levels + 1) / epsilon
        self.tree = np.empty(counts.shape)
        kernel("add_noise", target)(seed, self.scale, counts, self.tree)

    def query(self, y: Floats) -> F64:
        total = np.empty(len(y))
        bound = kernel("ring_query", self.target, RINGS=len(self.edges) - 1, **self.bindings)
        bound(self.low, self.width, self.edges, self.tree, y, total)
        return total


def ring_edges(leaves: int, ratio: float) -> F64:
    """Where rings begin, in leaves: 0, then at least one leaf apart, each at least 1 + ratio times the one before."""
    edges = [0.0, 0.5]
    while edges[-1] < leaves:
        edges.append(float(np.floor(max(edges[-1] + 1.0, edges[-1] * (1.0 + ratio)))) + 0.5)
    return np.array(edges)


class EuclideanDistances:
    """Sums of l2 distances for points within the unit ball, by `projections` on random lines."""

    def __init__(
        self, x: Floats, epsilon: float, seed: int, *, projections: int = 16, reach: float = 4.0, **options: Any
    ) -> None:
        self.target = options.get("target", "cpu")
        self.g = np.empty((projections, x.shape[1]), x.dtype)
        kernel("directions", self.target, T=x.dtype.name)(seed, self.g)
        self.inner = Distances(self._project(x), epsilon, seed + 1, low=-reach, width=2 * reach, **options)

    def _project(self, x: Floats) -> Floats:
        y = np.empty((len(x), len(self.g)), x.dtype)
        kernel("project", self.target, T=x.dtype.name)(x, self.g, y)
        return y

    def query(self, y: Floats) -> F64:
        found: F64 = self.inner.query(self._project(y)) * (sqrt(pi / 2) / len(self.g))
        return found


class GaussianKernel:
    """Sums of exp(-l2^2 / 2 width^2) by `features` random ones."""

    def __init__(
        self, x: Floats, epsilon: float, seed: int, *, width: float = 1.0, features: int = 256, target: str = "cpu"
    ) -> None:
        self.target, self.type = target, x.dtype.name
        self.omega = np.empty((features, x.shape[1]), x.dtype)
        self.phase = np.empty(features, x.dtype)
        kernel("frequencies", target, T=self.type)(seed, width, self.omega, self.phase)
        sums = np.empty(features)
        kernel("rff_sum", target, T=self.type, D=x.shape[1])(x, self.omega, self.phase, sums)
        # One point changes each of the features by at most sqrt(2 / features).
        self.scale = sqrt(2.0 * features) / epsilon
        self.sums = np.empty(features)
        kernel("release", target)(seed + 1, self.scale, sums, self.sums)

    def query(self, y: Floats) -> F64:
        total = np.empty(len(y))
        bound = kernel("rff_query", self.target, T=self.type, D=y.shape[1])
        bound(y, self.omega, self.phase, self.sums, total)
        return total


def classify(similarity: F64, sizes: F64, target: str = "cpu") -> npt.NDArray[np.int32]:
    """The class of the greatest mean similarity, int32 [q], for sums [classes, q] over classes of `sizes` points."""
    y = np.empty(similarity.shape[1], np.int32)
    kernel("classify", target, C=len(sizes))(similarity, sizes, y)
    return y
