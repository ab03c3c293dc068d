"""The picture of a run: for each case, operations a second over the bits of a stored weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matmul.contender import library
from benchmarks.matmul.results import Case

INSTALL = "pip install matplotlib"
MARKS = {
    **{"vmc": "*", "ggml": "o", "onnxruntime": "s", "openvino": "^", "torch": "D"},
    **{"cublas": "D", "humming": "o", "marlin": "s", "triton": "^", "tilus": "v"},
}
WIDTH, HEIGHT = 5.0, 4.0


def save_plot(path: Path, cases: Sequence[Case]) -> None:
    """Writes a PNG. Raises Missing."""
    matplotlib = library("matplotlib", INSTALL)
    matplotlib.use("Agg")
    pyplot = library("matplotlib.pyplot", INSTALL)
    columns = min(len(cases), 4)
    rows = -(-len(cases) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(WIDTH * columns, HEIGHT * rows), squeeze=False)
    for axes in grid.flat[len(cases) :]:
        axes.set_visible(False)
    for axes, case in zip(grid.flat, cases, strict=False):
        draw(axes, case)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw(axes: Any, case: Case) -> None:
    for name, mark in MARKS.items():
        rows = [row for row in case.rows if row.library == name]
        if rows:
            bits, speeds = [row.bits for row in rows], [row.operations / 1e9 for row in rows]
            axes.plot(bits, speeds, mark, label=name, markersize=11 if name == "vmc" else 6, alpha=0.8)
    widths = np.geomspace(1, 32, 50)
    axes.plot(widths, 2 * case.m * case.read * 8 / widths / 1e9, "k:", label="memory bound")
    axes.set(xscale="log", yscale="log", xlabel="bits of a stored weight", ylabel="Gop/s")
    axes.set_xticks([1, 2, 3, 4, 5, 6, 8, 16, 32], [1, 2, 3, 4, 5, 6, 8, 16, 32])
    axes.minorticks_off()
    axes.set_title(f"{case.shape}\nM={case.m}, {case.memory}", fontsize=9)
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
