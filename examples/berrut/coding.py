"""Encoding, workers, location of wrong answers and decoding, as calls of kernels on f64 arrays (encoding f32, too)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vmc

KERNELS = Path(__file__).with_name("berrut.vmc")

Floats = npt.NDArray[np.floating[Any]]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


@cache
def chebyshev_points(count: int, target: str = "cpu") -> F64:
    """cos((2 i + 1) pi / 2 count), from 1 downwards."""
    x = np.empty(count)
    kernel("chebyshev_points", target)(x)
    return x


def berrut(nodes: Floats, values: Floats, points: Floats, target: str = "cpu") -> Floats:
    """The interpolant through `values` [k, e] at `nodes` [k], which are in order, at `points` [n]: [n, e]."""
    weights = np.empty((len(points), len(nodes)), values.dtype)
    y = np.empty((len(points), values.shape[1]), values.dtype)
    kernel("berrut_weights", target, T=values.dtype.name)(nodes, points, weights)
    kernel("berrut_eval", target, T=values.dtype.name)(weights, values, y)
    return y


def gram(blocks: Floats, rows: int, target: str = "cpu") -> Floats:
    """What workers compute of blocks [n, rows * columns]: their Gram matrices [n, rows * rows]."""
    y = np.empty((len(blocks), rows * rows), blocks.dtype)
    columns = blocks.shape[1] // rows
    kernel("gram", target, T=blocks.dtype.name, R=rows, C=columns)(blocks, y)
    return y


def syndrome(answers: F64, keep: int, target: str = "cpu") -> F64:
    """The rows of the transform from `keep` on: [n - keep, e]."""
    y = np.empty((len(answers) - keep, answers.shape[1]))
    kernel("syndrome", target, N=len(answers), E=answers.shape[1], KEEP=keep)(answers, y)
    return y


def locate(answers: F64, keep: int, target: str = "cpu") -> tuple[I32, F64]:
    """The three places where each of the sets of answers [p, n, e] is most likely wrong, int32 [p, 3], and the errors
    there [p, 3, e]; where fewer are wrong, the rest have small errors. n - keep is at least 7.
    """
    sets, n, e = answers.shape
    places, errors = np.empty((sets, 3), np.int32), np.empty((sets, 3, e))
    kernel("locate", target, N=n, E=e, KEEP=keep)(answers, places, errors)
    return places, errors


@dataclass(frozen=True)
class Code:
    """`data` blocks and `masks` random ones for `workers`; spectra of right answers are small from `keep` on."""

    data: int = 3
    masks: int = 1
    workers: int = 32
    keep: int = 20
    target: str = "cpu"

    @property
    def nodes(self) -> F64:
        """Where the interpolant meets the blocks, the data first: the masks lie between."""
        return chebyshev_points(self.data + self.masks, self.target)

    @property
    def points(self) -> F64:
        """Where the workers are."""
        return chebyshev_points(self.workers, self.target)

    def encode(self, blocks: Floats, masks: Floats) -> Floats:
        """What each worker gets: [workers, e] of data [data, e] and random masks [masks, e]."""
        return berrut(self.nodes, np.concatenate([blocks, masks]), self.points, self.target)

    def decode(self, answers: F64, survivors: npt.NDArray[np.intp]) -> F64:
        """The results of the data blocks from the answers of `survivors`, which are in order."""
        wanted = self.nodes[: self.data].copy()
        found: F64 = berrut(self.points[survivors], answers[survivors], wanted, self.target)
        return found

    def corrected(self, answers: F64) -> F64:
        """The results where up to three answers of all workers may be wrong."""
        places, _ = locate(answers[None], self.keep, self.target)
        return self.decode(answers, np.setdiff1d(np.arange(self.workers), places[0]))
