"""M-FAC's cost as m and d grow, its distance from the dense inverse, and a model that it prunes.

python examples/mfac/reproduce.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from timing import seconds

from mfac.inverse import Array, Dynamic, Static
from mfac.pruning import DAMP, Examples, by_loss, gradients, judge, magnitude, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables; the exit code is 1 where M-FAC is not the dense inverse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and small sizes, and random data to prune by")
    quick = parser.parse_args(arguments).quick
    exact = exactness(*((24, 60) if quick else (256, 2000)))
    growth([(16, 64), (32, 64)] if quick else [(128, 4096), (256, 4096), (512, 4096), (128, 16384), (128, 65536)])
    prune(random_examples() if quick else digits(), steps=20 if quick else 400, rows=24 if quick else 1024)
    return 0 if exact else 1


def exactness(m: int, d: int) -> bool:
    """Compares both ways with numpy.linalg.inv, before and after gradients were replaced."""
    rng = np.random.default_rng(m)
    ring = rng.standard_normal((m, d))
    dynamic = Dynamic(ring, DAMP)
    worst = 0.0
    for step in range(4):
        if step:
            ring[step - 1] = rng.standard_normal(d)
            dynamic.replace(ring[step - 1])
        x = rng.standard_normal(d)
        expected = np.linalg.solve(DAMP * np.eye(d) + ring.T @ ring / m, x)
        for found in (dynamic.product(x), Static(ring, DAMP).product(x)):
            worst = max(worst, float(abs(found - expected).max() / abs(expected).max()))
    print(f"distance from the dense inverse, m={m} d={d} lambda={DAMP}, three gradients replaced: {worst:.1e}")
    print("(paper: exact; what is left is rounding, amplified by F's condition of about 1e5)")
    return worst < 1e-9


def growth(sizes: Sequence[tuple[int, int]]) -> None:
    """Times of the static and the dynamic way, and of the dense inverse where it is possible."""
    print("\nmilliseconds          static                    dynamic")
    print("    m      d   prepare   product   first    replace   product   dense solve of [d, d]")
    for m, d in sizes:
        rng = np.random.default_rng(m + d)
        gradients = rng.standard_normal((m, d)).astype(np.float32)
        x = rng.standard_normal(d).astype(np.float32)
        static, dynamic = Static(gradients, 1e-2), Dynamic(gradients, 1e-2)
        times = [
            seconds(Static, gradients, 1e-2),
            seconds(static.product, x),
            seconds(Dynamic, gradients, 1e-2),
            seconds(dynamic.replace, x),
            seconds(dynamic.product, x),
        ]
        dense = f"{1e3 * seconds(dense_product, gradients, x):10.1f}" if d <= 4096 else "         -"
        print(f"{m:5d} {d:6d}" + "".join(f"{1e3 * t:10.2f}" for t in times) + f"   {dense}")
    print("theory: prepare d m^2, product d m; first d m^2 + m^3, replace d m + m^3, product d m + m^2; dense d^3")


def dense_product(gradients: Array, x: Array) -> Array:
    found: Array = np.linalg.solve(1e-2 * np.eye(len(x), dtype=x.dtype) + gradients.T @ gradients / len(gradients), x)
    return found


def prune(data: Examples, steps: int, rows: int) -> None:
    """Prints loss and accuracy of a trained softmax regression after pruning in three ways."""
    w = train(data, steps)
    loss, right = judge(data, w)
    inverse = Static(gradients(data, w)[:rows].astype(np.float64), DAMP)
    print(f"\nsoftmax regression, {w.size} weights, loss {loss:.4f}, {right:.1%} right; {rows} gradients")
    print("pruned    magnitude          diagonal of F^-1   with correction")
    for share in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
        ways = (magnitude(w, share), by_loss(w, inverse, share, False), by_loss(w, inverse, share, True))
        cells = (f"{loss:7.4f} {right:7.1%}   " for loss, right in (judge(data, way) for way in ways))
        print(f"{share:5.0%}  " + " ".join(cells))


def digits() -> Examples:
    """scikit-learn's digits, 1797 images of 8 x 8."""
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError:
        print("\nno scikit-learn: random data takes the place of its digits (pip install scikit-learn)")
        return random_examples()
    images, labels = load_digits(return_X_y=True)
    ones = np.ones((len(images), 1))
    return Examples(np.hstack([images / 16.0, ones]).astype(np.float32), labels.astype(np.int32), 10)


def random_examples() -> Examples:
    """Three overlapping clouds of points in 8 dimensions."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 200).astype(np.int32)
    points = rng.standard_normal((200, 8)) + 1.5 * np.eye(3, 8)[label]
    return Examples(np.hstack([points, np.ones((200, 1))]).astype(np.float32), label, 3)


if __name__ == "__main__":
    sys.exit(main())
