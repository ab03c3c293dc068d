"""Hamming distances: words of bits against NumPy's comparisons, convolution against scipy.signal.oaconvolve."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from hamming.distances import Counts, Symbols, by_comparing, by_planes, by_symbols

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """Texts of 100,000 symbols and patterns of about a thousand; a hundredth of it where `quick`."""
    n, m = (1000, 50) if quick else (100_000, 1000)
    for alphabet in (4, 64):
        rng = np.random.default_rng(alphabet)
        text = rng.integers(0, alphabet, n).astype(np.uint8)
        pattern = rng.integers(0, alphabet, m).astype(np.uint8)
        size = f"n={n} m={m} symbols={alphabet}"
        yield contest(f"compare {size}", "numpy", lambda t=text, p=pattern: by_comparing(t, p), text, pattern)
        yield contest(
            f"planes {size}", "numpy", lambda t=text, p=pattern, a=alphabet: by_planes(t, p, a), text, pattern
        )
        yield contest(
            f"convolution {size}",
            "scipy oaconvolve",
            lambda t=text, p=pattern, a=alphabet: by_symbols(t, p, a, frequent=0),
            text,
            pattern,
        )


def contest(name: str, library: str, ours: Callable[[], Counts], text: Symbols, pattern: Symbols) -> Contest:
    theirs = sliding if library == "numpy" else convolved
    return Contest(
        name,
        library,
        ours,
        lambda: theirs(text, pattern),
        lambda: float(abs(ours() - theirs(text, pattern)).max()),
    )


def sliding(text: Symbols, pattern: Symbols) -> Counts:
    """By comparing one symbol of the pattern with all of the text after another, which is NumPy's fastest way."""
    h = np.zeros(len(text) - len(pattern) + 1, np.int32)
    for j, symbol in enumerate(pattern):
        h += text[j : j + len(h)] != symbol
    return h


def convolved(text: Symbols, pattern: Symbols) -> Counts:
    """By overlapping convolutions of the places of each symbol."""
    from scipy.signal import oaconvolve  # type: ignore[import-untyped]

    equal = np.zeros(len(text) - len(pattern) + 1)
    for symbol in np.unique(pattern):
        equal += oaconvolve((text == symbol).astype(np.float64), (pattern[::-1] == symbol).astype(np.float64), "valid")
    return (len(pattern) - np.rint(equal)).astype(np.int32)
