"""The times of all ways over the pattern's length, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def draw(lengths: Sequence[int], times: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """Writes the picture of seconds by alphabet and way; the format follows from the name."""
    figure, every = pyplot.subplots(1, len(times), figsize=(3 * len(times), 3), layout="constrained", squeeze=False)
    for axes, (title, ways) in zip(every[0], times.items(), strict=True):
        for way, seconds in ways.items():
            axes.loglog(lengths, [1e3 * each for each in seconds], "o-", label=way)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("length of the pattern")
    every[0][0].set_ylabel("milliseconds")
    every[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=90)
