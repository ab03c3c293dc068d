"""Where the exact ways cross and how they grow with the pattern, and what the estimate costs and errs.

python examples/hamming/reproduce.py [--quick] [--picture FILE]
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

from hamming.distances import WAYS, Symbols, by_comparing, estimate

ALPHABETS = {"DNA, 4 symbols": 4, "bytes, 256": 256, "words, 65536": 65536}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each alphabet; the exit code is 1 where two exact ways disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short texts and patterns")
    parser.add_argument("--picture", type=Path, help="draw the times into this file")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    n = 2000 if quick else 1 << 17
    lengths = [9, 16] if quick else [64, 256, 1024, 4096]
    alphabets = {"bits, 2 symbols": 2} if quick else ALPHABETS
    times = {title: growth(title, alphabet, n, lengths) for title, alphabet in alphabets.items()}
    estimates(n, lengths[-1], (4, 16) if quick else (4, 16, 64, 256))
    found = {title: ways for title, ways in times.items() if ways is not None}
    if chosen.picture and found:
        from hamming.picture import draw

        draw(lengths, found, chosen.picture)
    return 0 if len(found) == len(times) else 1


def growth(title: str, alphabet: int, n: int, lengths: Sequence[int]) -> dict[str, list[float]] | None:
    """Times of all ways for patterns of `lengths`, and the power of m that they grow with; None if they disagree."""
    print(f"\n{title}, text of {n}: milliseconds")
    print("      m " + "".join(f"{way:>10}" for way in WAYS) + "   fastest")
    ways: dict[str, list[float]] = {way: [] for way in WAYS}
    agree = True
    for m in lengths:
        text, pattern = drawn(n, m, alphabet)
        found = {way: find(text, pattern, alphabet, "cpu") for way, find in WAYS.items()}
        agree &= all((found["compare"] == other).all() for other in found.values())
        for way, find in WAYS.items():
            ways[way].append(seconds(find, text, pattern, alphabet, "cpu"))
        row = {way: times[-1] for way, times in ways.items()}
        print(f"{m:7d} " + "".join(f"{1e3 * t:10.2f}" for t in row.values()) + f"   {min(row, key=row.__getitem__)}")
    slopes = [np.polyfit(np.log(lengths), np.log(times), 1)[0] for times in ways.values()]
    print("exponent" + "".join(f"{slope:10.2f}" for slope in slopes) + "   (theory: 1, 1, 0.5 with logarithms)")
    print("all ways agree" if agree else "WAYS DISAGREE")
    return ways if agree else None


def estimates(n: int, m: int, trials: Sequence[int]) -> None:
    """The estimate's relative error and time for numbers of trials."""
    text, pattern = drawn(n, m, 256)
    truth = by_comparing(text, pattern)
    exact = seconds(by_comparing, text, pattern)
    print(f"\nestimate, m = {m}, 256 symbols (every comparison: {1e3 * exact:.2f} ms)")
    print(" trials        ms   error, mean    greatest   theory: at most 1/sqrt(trials)")
    for count in trials:
        error = abs(estimate(text, pattern, count, 1) / truth - 1)
        took = seconds(estimate, text, pattern, count, 1)
        print(f"{count:7d}{1e3 * took:10.2f}{error.mean():14.4f}{error.max():12.4f}{count**-0.5:12.4f}")


def drawn(n: int, m: int, alphabet: int) -> tuple[Symbols, Symbols]:
    """A random text and pattern."""
    rng = np.random.default_rng(n + m + alphabet)
    return rng.integers(0, alphabet, n).astype(np.uint16), rng.integers(0, alphabet, m).astype(np.uint16)


if __name__ == "__main__":
    sys.exit(main())
