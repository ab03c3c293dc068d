"""Trains a small network on squares of 32 points and compares iterations with conjugate gradients, at other sizes, too.

python examples/dcdm/reproduce.py [--quick] [--picture FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dcdm.network import F32, Network, train
from dcdm.solver import Mask, solve

TOLERANCE = 1e-4
"""The paper's tolerance."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables; the exit code is 1 where the network's directions take more iterations than residuals do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller network, fewer steps and sizes")
    parser.add_argument("--picture", type=Path, help="draw residuals over iterations into this file")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    network = Network(channels=8, levels=3, seed=1) if quick else Network(channels=8, levels=4, seed=1)
    steps, size = (300, 16) if quick else (800, 32)
    start = time.perf_counter()
    losses = train(network, size, steps, batch=4)
    count = sum(w.size for w in network.weights)
    print(f"{len(network.weights)} convolutions, {count} weights; {steps} steps in {time.perf_counter() - start:.0f} s")
    print(f"loss {np.mean(losses[:20]):.3f}, at the end {np.mean(losses[-20:]):.3f}")
    sizes = (16, 32) if quick else (32, 64, 96, 128)
    if chosen.picture:
        from dcdm.picture import draw

        draw({size: histories(network, size) for size in (sizes[0], sizes[-1])}, chosen.picture)
    return 0 if compare(network, sizes) else 1


def histories(network: Network, size: int) -> tuple[list[float], list[float]]:
    """The residuals, as parts of the first, of the network's directions and of the residuals', on a whole square."""
    mask = np.ones((size, size), np.uint8)
    b = np.random.default_rng(size).standard_normal((size, size)).astype(np.float32)
    return solve(network, b, mask, TOLERANCE)[1], solve(lambda r: r, b, mask, TOLERANCE)[1]


def compare(network: Network, sizes: Sequence[int]) -> bool:
    """Prints iterations for random right sides, with and without an obstacle; whether the network's are fewer."""
    rounded = {
        "f16": Network(network.channels, network.levels, weights=narrowed(network, np.float16)),
        "f8e4m3": Network(network.channels, network.levels, weights=narrowed(network, ml_dtypes.float8_e4m3fn)),
    }
    print(f"\niterations to {TOLERANCE}      network   f16 weights   f8e4m3 weights   conjugate gradients")
    fewer = True
    for size in sizes:
        for mask, title in ((np.ones((size, size), np.uint8), "square"), (obstacle(size), "obstacle")):
            b = np.random.default_rng(size).standard_normal((size, size)).astype(np.float32) * mask
            ours = [len(solve(each, b, mask, TOLERANCE)[1]) for each in (network, *rounded.values())]
            theirs = conjugate_gradients(b, mask, TOLERANCE)
            fewer &= ours[0] < theirs
            print(f"{size:5d} x {size:<5d} {title:12s}{ours[0]:8d}{ours[1]:14d}{ours[2]:17d}{theirs:22d}")
    return fewer


def narrowed(network: Network, dtype: object) -> list[Any]:
    """The weights, rounded to a type that `conv` reads."""
    return [w.astype(dtype) for w in network.weights]  # type: ignore[call-overload]


def obstacle(size: int) -> Mask:
    """A square without a disc, off its centre."""
    row, column = np.mgrid[0:size, 0:size] / size
    disc = (row - 0.4) ** 2 + (column - 0.55) ** 2 < 0.03
    return np.where(disc, 0, 1).astype(np.uint8)


def conjugate_gradients(b: F32, mask: Mask, tolerance: float) -> int:
    """SciPy's iterations, in f64."""
    from scipy.sparse import diags, kronsum  # type: ignore[import-untyped]
    from scipy.sparse.linalg import cg  # type: ignore[import-untyped]

    down, across = (diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n, n)) for n in b.shape)
    kept = np.flatnonzero(mask)
    a = kronsum(across, down).tocsr()[kept][:, kept]
    steps = 0

    def count(_: object) -> None:
        nonlocal steps
        steps += 1

    cg(a, b.ravel()[kept].astype(np.float64), rtol=tolerance, callback=count)
    return steps


if __name__ == "__main__":
    sys.exit(main())
