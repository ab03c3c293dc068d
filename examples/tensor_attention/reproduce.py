"""How the time of tensor attention grows with n, exact and by a polynomial, and how the error depends on the entries.

python examples/tensor_attention/reproduce.py [--quick] [--picture FILE]
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

from tensor_attention.attend import Array, Polynomials, exact

D = 3
Curves = dict[str, list[tuple[float, float]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables; the exit code is 1 where degree 4 errs by more than 1e-10 at entries of 0.3."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and small sizes")
    parser.add_argument("--picture", type=Path, help="draw errors and times into this file")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    right = degrees(24 if quick else 128)
    errors = entries(24 if quick else 128, (1.0, 3.0) if quick else (0.3, 1.0, 1.5, 2.0, 3.0, 4.0))
    times = growth((16, 32) if quick else (64, 128, 256, 512), (64, 128) if quick else (1024, 4096, 16384, 65536))
    if chosen.picture:
        from tensor_attention.picture import draw

        draw(errors, times, chosen.picture)
    return 0 if right else 1


def degrees(n: int) -> bool:
    """The error for each degree, entries uniform in +-0.3."""
    tensors = drawn(n, 0.3)
    print(f"d = {D}, entries within 0.3, n = {n}: greatest error of the result")
    for degree in (1, 2, 3, 4):
        way = Polynomials(D, degree)
        error = distance(way, tensors)
        print(f"  degree {degree}, {way.sizes['R']:3d} features: {error:.1e}")
    return error < 1e-10


def entries(n: int, bounds: Sequence[float]) -> Curves:
    """The error for each bound B of the entries, at degree 4, by both series."""
    print(f"\ndegree 4, entries within B, n = {n}: the limit of almost linear time is B = o((log n)^(1/3))")
    print("    B   Taylor     Chebyshev on the range of the scores")
    found: Curves = {"Taylor": [], "Chebyshev": []}
    for bound in bounds:
        tensors = drawn(n, bound)
        taylor = distance(Polynomials(D, 4), tensors)
        chebyshev = distance(Polynomials(D, 4, bound**3), tensors)
        print(f"{bound:5.1f}   {taylor:.1e}    {chebyshev:.1e}")
        found["Taylor"].append((bound, taylor))
        found["Chebyshev"].append((bound, chebyshev))
    return found


def growth(small: Sequence[int], large: Sequence[int]) -> Curves:
    """Times in f32, and the powers of n that they grow with."""
    way = Polynomials(D, 2)
    print("\nmilliseconds, f32       n   exact   degree 2")
    times: dict[str, list[float]] = {"exact": [], "degree 2": []}
    for n in small:
        tensors = [x.astype(np.float32) for x in drawn(n, 0.3)]
        times["exact"].append(seconds(exact, *tensors))
        print(f"{n:25d}{1e3 * times['exact'][-1]:8.2f}{1e3 * seconds(low_rank, way, tensors):11.3f}")
    for n in large:
        times["degree 2"].append(seconds(low_rank, way, [x.astype(np.float32) for x in drawn(n, 0.3)]))
        print(f"{n:25d}       -{1e3 * times['degree 2'][-1]:11.3f}")
    powers = [
        np.polyfit(np.log(sizes), np.log(times[name]), 1)[0] for name, sizes in zip(times, (small, large), strict=True)
    ]
    print(f"power of n: exact {powers[0]:.2f} (theory 3), degree 2 {powers[1]:.2f} (theory 1 + o(1))")
    return {name: list(zip(sizes, times[name], strict=True)) for name, sizes in zip(times, (small, large), strict=True)}


def drawn(n: int, bound: float) -> list[Array]:
    """Queries, two tensors of keys and two of values, float64 [n, D], uniform within the bound (values within 1)."""
    rng = np.random.default_rng(n)
    return [rng.uniform(-size, size, (n, D)) for size in (bound, bound, bound, 1.0, 1.0)]


def low_rank(way: Polynomials, tensors: Sequence[Array]) -> Array:
    q, k1, k2, v1, v2 = tensors
    return way.attend(q, (k1, k2), (v1, v2))


def distance(way: Polynomials, tensors: Sequence[Array]) -> float:
    return float(abs(low_rank(way, tensors) - exact(*tensors)).max())


if __name__ == "__main__":
    sys.exit(main())
