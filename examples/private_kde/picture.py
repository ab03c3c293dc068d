"""The errors of private sums over epsilon, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def draw(epsilons: Sequence[float], curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """Writes the picture; the format follows from the name."""
    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    for name, errors in curves.items():
        axes.loglog(epsilons, errors, "o-", label=name)
    axes.set_xlabel("ε")
    axes.set_ylabel("relative error of a query")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=90)
