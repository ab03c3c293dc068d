"""The errors as a picture: hollow on functions trained on, filled on new ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from deeponet.study import Result


def draw(found: Sequence[Result], path: Path) -> None:
    """Writes the picture; the format follows from the name."""
    figure, axes = pyplot.subplots(figsize=(6, 2.8), layout="constrained")
    names = [f"{row.problem}, {row.network}" for row in found]
    places = range(len(found))
    axes.semilogx([row.train for row in found], places, "o", mfc="none", label="trained on")
    axes.semilogx([row.test for row in found], places, "o", label="new functions")
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("mean square error")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=90)
