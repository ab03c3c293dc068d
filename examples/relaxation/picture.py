"""What the bandits have paid above the best fixed omega, round by round, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot


def draw(costs: Mapping[str, Mapping[str, npt.NDArray[np.float64]]], path: Path) -> None:
    """Writes the picture of mean sweeps [rounds], by distribution and way; the format follows from the name."""
    figure, every = pyplot.subplots(1, len(costs), figsize=(3.5 * len(costs), 3), layout="constrained", squeeze=False)
    for axes, (title, ways) in zip(every[0], costs.items(), strict=True):
        for way, sweeps in ways.items():
            rounds = np.arange(1, len(sweeps) + 1)
            axes.semilogx(rounds, np.cumsum(sweeps) / rounds, label=way)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("systems solved")
    every[0][0].set_ylabel("sweeps a system, mean so far")
    every[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=90)
