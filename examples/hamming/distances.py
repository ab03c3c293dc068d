"""The ways to Hamming distances, as calls of kernels. Texts and patterns are uint8, uint16 or uint32 [length]."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vmc

KERNELS = Path(__file__).with_name("hamming.vmc")
LARGEST_TRANSFORM = 8192
"""Longer patterns are cut: distances to a pattern are the sum of distances to its parts."""

Symbols = npt.NDArray[np.unsignedinteger[Any]]
Counts = npt.NDArray[np.int32]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


def places(text: Symbols, pattern: Symbols) -> int:
    """How many distances there are. Raises ValueError where the pattern is empty or longer than the text."""
    if not 1 <= len(pattern) <= len(text):
        raise ValueError(f"a pattern of {len(pattern)} symbols does not lie in a text of {len(text)}")
    if text.dtype != pattern.dtype or text.dtype.kind != "u":
        raise ValueError(f"text and pattern are {text.dtype} and {pattern.dtype}, not one unsigned type")
    return len(text) - len(pattern) + 1


def by_comparing(text: Symbols, pattern: Symbols, target: str = "cpu") -> Counts:
    """int32 [n - m + 1], by every comparison."""
    h = np.empty(places(text, pattern), np.int32)
    kernel("compare", target, T=text.dtype.name)(text, pattern, h)
    return h


def by_planes(text: Symbols, pattern: Symbols, alphabet: int, target: str = "cpu") -> Counts:
    """int32 [n - m + 1], by words of bits; symbols are below `alphabet`."""
    h = np.empty(places(text, pattern), np.int32)
    planes = max(1, (alphabet - 1).bit_length())
    pack = kernel("pack_planes", target, T=text.dtype.name, PLANES=planes)
    packed = []
    for symbols in (text, pattern):
        words = np.empty((planes, -(-len(symbols) // 32)), np.uint32)
        pack(symbols, words)
        packed.append(words)
    kernel("planes", target, PLANES=planes)(*packed, len(pattern), h)
    return h


def histogram(symbols: Symbols, alphabet: int, target: str = "cpu") -> Counts:
    """How often each symbol occurs, int32 [alphabet]."""
    counts = np.zeros(alphabet, np.int32)
    kernel("histogram", target, T=symbols.dtype.name)(symbols, counts)
    return counts


def by_symbols(
    text: Symbols, pattern: Symbols, alphabet: int, target: str = "cpu", *, frequent: float | None = None
) -> Counts:
    """int32 [n - m + 1], by convolution for the symbols with at least `frequent` places in the pattern, and by pairs of
    places for the others. Without `frequent` it is sqrt(m log2 m), as in Abrahamson's analysis.
    """
    h = np.empty(places(text, pattern), np.int32)
    m = len(pattern)
    kernel("start", target)(m, h)
    least = np.sqrt(m * max(1.0, np.log2(m))) if frequent is None else frequent
    counts = histogram(pattern, alphabet, target)
    common = np.flatnonzero(counts >= least).astype(np.int32)
    if len(common) < np.count_nonzero(counts):
        count_rare(text, pattern, counts < least, h, target)
    if len(common):
        pairs = np.full((-(-len(common) // 2), 2), -1, np.int32)
        pairs.reshape(-1)[: len(common)] = common
        for first in range(0, m, LARGEST_TRANSFORM // 2):
            part = pattern[first : first + LARGEST_TRANSFORM // 2]
            count_common(text[first : first + len(h) + len(part) - 1], part, pairs, h, target)
    return h


def count_rare(text: Symbols, pattern: Symbols, rare: npt.NDArray[np.bool_], h: Counts, target: str) -> None:
    """Lowers `h` by the equal pairs of the symbols that are `rare`."""
    heads = np.full(len(rare), -1, np.int32)
    after = np.empty(len(pattern), np.int32)
    kernel("chain", target, T=text.dtype.name)(pattern, heads, after)
    kernel("count_by_pairs", target, T=text.dtype.name)(text, rare.astype(np.uint8), heads, after, h)


def count_common(text: Symbols, pattern: Symbols, pairs: Counts, h: Counts, target: str) -> None:
    """Lowers `h` by the equal places of the symbols in `pairs`."""
    size = max(16, 1 << (2 * len(pattern) - 1).bit_length())
    re, im = roots(size, target)
    spectra = np.empty((2, len(pairs), size))
    kernel("spectra", target, T=text.dtype.name, N=size)(pattern, pairs, re, im, *spectra)
    count = kernel("count_by_fourier", target, T=text.dtype.name, N=size)
    count(len(pattern), text, pairs, *spectra, re, im, h)


@cache
def roots(size: int, target: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The roots of unity of a transform of `size` points."""
    re, im = np.empty(size), np.empty(size)
    kernel("roots", target, N=size)(re, im)
    return re, im


def estimate(text: Symbols, pattern: Symbols, trials: int, seed: int, target: str = "cpu") -> npt.NDArray[np.float32]:
    """Karloff's estimates, float32 [n - m + 1]: twice the mean distance of `trials` random maps to bits. Unbiased, with
    a standard deviation of at most h / sqrt(trials).
    """
    h = np.empty(places(text, pattern), np.float32)
    pack = kernel("pack_random", target, T=text.dtype.name)
    packed = []
    for symbols in (text, pattern):
        words = np.empty((trials, -(-len(symbols) // 32)), np.uint32)
        pack(seed, symbols, words)
        packed.append(words)
    kernel("planes_mean", target)(*packed, len(pattern), h)
    return h


WAYS: dict[str, Callable[[Symbols, Symbols, int, str], Counts]] = {
    "compare": lambda text, pattern, alphabet, target: by_comparing(text, pattern, target),
    "planes": by_planes,
    "symbols": by_symbols,
}
"""The exact ways: text, pattern, size of the alphabet, target."""
