"""The bounds over the radius, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from lipschitz.bounds import WAYS
from lipschitz.study import Row


def draw(found: Sequence[Row], path: Path) -> None:
    """Writes the picture; the format follows from the name."""
    figure, axes = pyplot.subplots(figsize=(5, 3.4), layout="constrained")
    radii = [row.radius for row in found]
    for way, mark in zip(reversed(WAYS), "^sv", strict=True):
        axes.loglog(radii, [row.bounds[way] for row in found], mark + "-", label=way)
    axes.loglog(radii, [row.searched for row in found], "o-", label="chords and search")
    axes.loglog(radii, [row.sampled for row in found], "k--", label="sampled (below)")
    axes.set_xticks(radii, [f"{radius:g}" for radius in radii])
    axes.minorticks_off()
    axes.set_xlabel("radius of the box")
    axes.set_ylabel("local Lipschitz constant")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=90)
