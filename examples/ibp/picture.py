"""The tightness over width at the start, and before and after training, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from ibp.study import Trained, foretold


def draw(widths: Sequence[int], curves: Mapping[int, Sequence[float]], found: Sequence[Trained], path: Path) -> None:
    """Writes the picture; the format follows from the name."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for depth, curve in curves.items():
        left.loglog(widths, curve, "o-", label=f"{depth} matrices")
    left.loglog(widths, [foretold(width) for width in widths], "k--", label="√(π / 2 width)")
    left.set_xlabel("width")
    left.set_ylabel("tightness at the start")
    left.legend(fontsize=8)
    for method, mark in (("plain", "s"), ("boxes", "o")):
        rows = sorted((row for row in found if row.method == method and row.depth == 3), key=lambda row: row.width)
        right.semilogx([row.width for row in rows], [row.tightness for row in rows], mark + "-", label=method)
    right.set_xlabel("width, three matrices, digits")
    right.set_ylabel("local tightness after training")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=90)
