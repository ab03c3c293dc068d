"""The ranking as a picture: the test loss of every recipe over that of plain training, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from fp4_training.study import Outcome


def draw(found: Sequence[Outcome], path: Path) -> None:
    """Writes the picture; the format follows from the name."""
    plain = next(outcome for outcome in found if outcome.recipe == "f32")
    others = sorted((outcome for outcome in found if outcome is not plain), key=lambda outcome: -outcome.test)
    figure, axes = pyplot.subplots(figsize=(6.5, 4.2), layout="constrained")
    for place, outcome in enumerate(others):
        gaps = [ours - theirs for ours, theirs in zip(outcome.tests, plain.tests, strict=True)]
        axes.plot(gaps, [place] * len(gaps), ".", color="0.6")
        axes.plot(outcome.test - plain.test, place, "|", color="C3", markersize=14, markeredgewidth=2)
    axes.set_xscale("symlog", linthresh=0.05)
    axes.axvline(0, color="0.8", zorder=0)
    axes.set_yticks(range(len(others)), [outcome.recipe for outcome in others], fontsize=8)
    axes.set_xlabel("test loss above f32's (dots: seeds, bar: mean)")
    figure.savefig(path, dpi=90)
