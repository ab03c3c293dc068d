"""Philox4x32-10 against the published answers, by way of an implementation in Python's integers."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.ir.core import IRError

WORD = 0xFFFFFFFF


def philox(counter, key):
    """Four words from four words of counter and two of key (Salmon et al. 2011, figure 2)."""
    a, b, c, d = counter
    left, right = key
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (second >> 32) ^ b ^ left, second & WORD, (first >> 32) ^ d ^ right, first & WORD
        left, right = (left + 0x9E3779B9) & WORD, (right + 0xBB67AE85) & WORD
    return a, b, c, d


KNOWN = [  # from the file kat_vectors of Random123
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((WORD,) * 4, (WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_the_oracle_gives_the_published_answers(counter, key, answer):
    assert philox(counter, key) == answer


def test_philox_gives_the_published_bits(evaluate, samples):
    seeds, counters = samples("u64", 200, "seed"), samples("u64", 200, "counter")
    seeds[0] = counters[0] = 0
    results = evaluate("philox", ("u64", seeds), ("u64", counters))
    for place, (seed, counter) in enumerate(zip(seeds.tolist(), counters.tolist(), strict=True)):
        expected = philox((counter & WORD, counter >> 32, 0, 0), (seed & WORD, seed >> 32))
        assert tuple(int(words[place]) for words in results) == expected


def test_philox_takes_tiles_of_one_shape(evaluate):
    with pytest.raises(IRError, match="one shape"):
        evaluate("philox", ("u64", 1), ("u64", np.zeros(3)))
