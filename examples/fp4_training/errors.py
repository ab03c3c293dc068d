"""The table of quantization errors: the relative square error of four formats on data of different sizes.

Student's t with three degrees of freedom has tails so heavy that its fourth moment is infinite: figures from different
samples differ in the third digit, and the table says by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fp4_training.recipe import E4M3, MXFP4, NVFP4, UE5M3, Format
from fp4_training.tensors import Fp4

FORMATS: dict[str, Format] = {"E8M0/32": MXFP4, "E4M3/16": E4M3, "E4M3+tensor": NVFP4, "UE5M3/16": UE5M3}

PAPER: dict[str, tuple[float, ...]] = {
    "t(3) x 1e-2": (0.0200, 0.0104, 0.0083, 0.0083),
    "t(3) x 1e-3": (0.0201, 0.561, 0.0081, 0.0081),
    "t(3) x 1e-4": (0.0204, 0.943, 0.0081, 0.0082),
    "t(3) x 1e-5": (0.0199, 1.00, 0.0083, 0.0698),
    "N(0, 1)": (0.0132, 0.0090, 0.0090, 0.0090),
}


@dataclass(frozen=True)
class Cell:
    """The median of the samples' errors, the least and the greatest; `paper` is the figure to compare with."""

    data: str
    format: str
    paper: float
    ours: float
    least: float
    greatest: float


def cells(fp4: Fp4, samples: int, size: int) -> Iterator[Cell]:
    """Every cell of the table, from `samples` samples of `size` numbers each, a multiple of 32."""
    for data, figures in PAPER.items():
        for (name, format), paper in zip(FORMATS.items(), figures, strict=True):
            sums = np.array([fp4.lost(_draw(data, size, seed), format) for seed in range(samples)])
            each = sums[:, 0] / sums[:, 1]
            yield Cell(data, name, paper, float(np.median(each)), float(each.min()), float(each.max()))


def _draw(data: str, size: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    if data.startswith("N"):
        return rng.standard_normal((size // 1024, 1024), np.float32)
    drawn = rng.standard_t(3, (size // 1024, 1024)) * float(data.split()[-1])
    return drawn.astype(np.float32)
