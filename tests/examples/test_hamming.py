"""Hamming distances against NumPy's sliding windows: all small inputs, ragged sizes, every way, both machines."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from hamming import reproduce
from hamming.distances import WAYS, Counts, Symbols, by_symbols, estimate

# All 901 means lie within as many standard deviations of the truth, but for one choice of seeds in about 30,000.
SIGMAS = 5.5


def slid(text: Symbols, pattern: Symbols) -> Counts:
    windows = np.lib.stride_tricks.sliding_window_view(text, len(pattern))
    return (windows != pattern).sum(axis=1).astype(np.int32)


def drawn(n: int, m: int, alphabet: int, type: str = "uint8", seed: int = 0) -> tuple[Symbols, Symbols]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, alphabet, n).astype(type), rng.integers(0, alphabet, m).astype(type)


def variance(window: Symbols, pattern: Symbols) -> float:
    """Of one trial: two symbols that meet c times add 2 c or 0, each half of the time, and all pairs independently."""
    low, high = np.minimum(window, pattern), np.maximum(window, pattern)
    _, often = np.unique(np.stack([low, high])[:, window != pattern], axis=1, return_counts=True)
    return float((often**2).sum())


@pytest.mark.parametrize("way", WAYS)
def test_every_word_of_four_symbols_meets_every_pattern_of_at_most_four(way: str) -> None:
    words = np.array(list(product(range(3), repeat=4)), np.uint8).ravel()
    for length in range(1, 5):
        for letters in product(range(3), repeat=length):
            pattern = np.array(letters, np.uint8)
            assert (WAYS[way](words, pattern, 3, "cpu") == slid(words, pattern)).all(), letters


@pytest.mark.parametrize("frequent", [0, 2, 1e9], ids=["convolution", "both", "pairs"])
def test_symbols_may_be_frequent_or_rare_in_every_mixture(frequent: float) -> None:
    words = np.array(list(product(range(3), repeat=3)), np.uint8).ravel()
    for length in range(1, 6):
        for letters in product(range(3), repeat=length):
            pattern = np.array(letters, np.uint8)
            assert (by_symbols(words, pattern, 3, frequent=frequent) == slid(words, pattern)).all(), letters


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("n", "m", "alphabet", "type"), [(1003, 61, 4, "uint8"), (517, 40, 20, "uint16"), (900, 33, 25, "uint32")]
)
def test_sizes_need_not_be_multiples_of_anything(way: str, n: int, m: int, alphabet: int, type: str) -> None:
    text, pattern = drawn(n, m, alphabet, type)
    text[100 : 100 + m] = pattern
    found = WAYS[way](text, pattern, alphabet, "cpu")
    assert (found == slid(text, pattern)).all() and found[100] == 0


@pytest.mark.parametrize("way", WAYS)
def test_the_reference_machine_finds_the_same(way: str) -> None:
    text, pattern = drawn(203, 13, 4)
    assert (WAYS[way](text, pattern, 4, "interp") == slid(text, pattern)).all()


def test_a_pattern_longer_than_a_transform_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hamming.distances.LARGEST_TRANSFORM", 32)
    text, pattern = drawn(700, 101, 2)
    assert (by_symbols(text, pattern, 2, frequent=0) == slid(text, pattern)).all()


def test_the_estimate_is_unbiased() -> None:
    text, pattern = drawn(1000, 100, 20)
    trials, repeats = 16, 50
    truth = slid(text, pattern)
    mean = np.mean([estimate(text, pattern, trials, 1000 * seed) for seed in range(repeats)], axis=0)
    deviation = np.sqrt([variance(text[i : i + 100], pattern) / (trials * repeats) for i in range(len(truth))])
    assert (abs(mean - truth) <= SIGMAS * deviation).all()
    assert estimate(text, text[:100], trials, 7)[0] == 0


def test_the_estimate_has_the_same_bits_on_both_machines() -> None:
    text, pattern = drawn(300, 50, 20)
    assert (estimate(text, pattern, 5, 3, "cpu") == estimate(text, pattern, 5, 3, "interp")).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_pattern_that_does_not_fit_is_refused(way: str) -> None:
    text, pattern = drawn(5, 6, 4)
    with pytest.raises(ValueError, match="6 symbols does not lie in a text of 5"):
        WAYS[way](text, pattern, 4, "cpu")
    with pytest.raises(ValueError, match="uint8 and uint16"):
        WAYS[way](text, text.astype(np.uint16), 4, "cpu")


@pytest.mark.slow
def test_the_study_prints_crossings_and_exponents(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "exponent" in capsys.readouterr().out
