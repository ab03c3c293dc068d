"""The residual over the iterations, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

Residuals = Sequence[float]


def draw(histories: Mapping[int, tuple[Residuals, Residuals]], path: Path) -> None:
    """Writes the picture of residuals of the network's directions and of conjugate gradients, by the size of the
    square; the format follows from the name.
    """
    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    for number, (size, (ours, theirs)) in enumerate(histories.items()):
        axes.semilogy(range(1, len(ours) + 1), ours, "-", color=f"C{number}", label=f"network, {size} x {size}")
        axes.semilogy(range(1, len(theirs) + 1), theirs, ":", color=f"C{number}")
    axes.plot([], [], "k:", label="conjugate gradients")
    axes.set_xlabel("iterations")
    axes.set_ylabel("residual, of the first")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=90)
