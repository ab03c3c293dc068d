"""Error and query time of private sums against epsilon, beside the exact ones; and private classification.

python examples/private_kde/reproduce.py [--quick] [--picture FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from timing import seconds

from private_kde.estimators import F64, Distances, Floats, GaussianKernel, classify, exact

EPSILONS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables; the exit code is 1 where errors do not fall as epsilon grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few points, two draws")
    parser.add_argument("--picture", type=Path, help="draw the errors into this file")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    n, repeats = (2000, 2) if quick else (100_000, 5)
    rng = np.random.default_rng(0)
    line, cloud = rng.beta(2, 5, (n, 1)).astype(np.float32), (0.5 * rng.standard_normal((n, 8))).astype(np.float32)
    near_line = rng.random((200, 1)).astype(np.float32)
    near_cloud = (0.5 * rng.standard_normal((200, 8))).astype(np.float32)
    curves = {
        "distances on a line": errors(
            f"sum of distances on a line, n = {n}, 1024 leaves",
            lambda epsilon, seed: Distances(line, epsilon, seed),
            partial(exact, line, near_line, "l1"),
            near_line,
            repeats,
        ),
        "Gaussian kernel": errors(
            f"Gaussian kernel, n = {n}, d = 8, 2048 features",
            lambda epsilon, seed: GaussianKernel(cloud, epsilon, seed, features=2048),
            partial(exact, cloud, near_cloud, "gaussian"),
            near_cloud,
            repeats,
        ),
    }
    classes(500 if quick else 20_000, quick)
    if chosen.picture:
        from private_kde.picture import draw

        draw(EPSILONS, curves, chosen.picture)
    return 0 if all(curve[-1] < curve[0] for curve in curves.values()) else 1


def errors(
    title: str,
    publish: Callable[[float, int], Distances | GaussianKernel],
    right: Callable[[], F64],
    y: Floats,
    repeats: int,
) -> list[float]:
    """Prints the mean error of a query relative to its sum, for each epsilon."""
    truth = right()
    print(f"\n{title}: relative error, mean of {len(y)} queries and {repeats} draws")
    found: list[float] = []
    for epsilon in EPSILONS:
        each = [np.mean(abs(publish(epsilon, 10 * seed).query(y) - truth) / truth) for seed in range(repeats)]
        found.append(float(np.mean(each)))
        print(f"  epsilon {epsilon:5.2f}  {found[-1]:.5f}")
    published = publish(1.0, 0)
    slow, fast = seconds(right), seconds(published.query, y)
    each = f"exact {1e6 * slow / len(y):.1f} us a query, private {1e6 * fast / len(y):.1f} us"
    print(f"  {each}: {slow / fast:.0f} times as fast")
    return found


def classes(n: int, quick: bool) -> None:
    """Five overlapping classes: the share of queries whose class has the greatest noisy mean similarity."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((5, 8))
    label = rng.integers(0, 5, 1000)
    y = (centres[label] + rng.standard_normal((1000, 8))).astype(np.float32)
    data = [(centre + rng.standard_normal((n, 8))).astype(np.float32) for centre in centres]
    sizes = np.full(5, float(n))
    clear = classify(np.stack([exact(x, y, "gaussian", 2.0) for x in data]), sizes)
    print(f"\nfive classes of {n} points, d = 8: exact similarities {np.mean(clear == label):.1%} right")
    for epsilon in (0.1, 1.0) if quick else (0.01, 0.03, 0.1, 0.3, 1.0):
        private = [GaussianKernel(x, epsilon, 2 * seed, width=2.0) for seed, x in enumerate(data)]
        chosen = classify(np.stack([each.query(y) for each in private]), sizes)
        print(f"  epsilon {epsilon:5.2f}  {np.mean(chosen == label):.1%} right")


if __name__ == "__main__":
    sys.exit(main())
