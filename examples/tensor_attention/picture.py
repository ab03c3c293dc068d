"""The error over the size of the entries, and the time over n, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

Points = Mapping[str, Sequence[tuple[float, float]]]


def draw(errors: Points, times: Points, path: Path) -> None:
    """Writes the picture of named curves, (bound, error) and (n, seconds); the format follows from the name."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 3), layout="constrained")
    for axes, curves, mark in ((left, errors, "o-"), (right, times, "s-")):
        for name, points in curves.items():
            axes.loglog(*zip(*points, strict=True), mark, label=name)
        axes.legend(fontsize=8)
    bounds = [bound for bound, _ in next(iter(errors.values()))]
    left.set_xticks(bounds, [f"{bound:g}" for bound in bounds])
    left.minorticks_off()
    left.set_xlabel("bound of the entries")
    left.set_ylabel("greatest error, degree 4")
    right.set_xlabel("n")
    right.set_ylabel("seconds")
    figure.savefig(path, dpi=90)
