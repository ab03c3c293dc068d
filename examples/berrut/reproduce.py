"""How accurate decoding is with late and with wrong workers, and whether every pattern of up to three is located.

python examples/berrut/reproduce.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from berrut.coding import F64, Code, gram, locate, syndrome

ROWS, COLUMNS = 4, 8
SIZE = 10.0
"""The standard deviation of wrong answers' errors; right answers are about 8."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables; the exit code is 1 where a pattern of wrong workers was not located."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few draws, every 20th pattern")
    quick = parser.parse_args(arguments).quick
    draws = 2 if quick else 50
    late(Code(), draws)
    wrong(draws)
    missed = sum(unlocated(Code(), count, 20 if quick else 1) for count in (1, 2, 3))
    return 1 if missed else 0


def job(code: Code, seed: int) -> tuple[F64, F64, np.random.Generator]:
    """Answers of all workers [workers, e] and right results [data, e] for random data and masks."""
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((code.data, ROWS * COLUMNS))
    masks = rng.standard_normal((code.masks, ROWS * COLUMNS))
    answers: F64 = gram(code.encode(data, masks), ROWS)
    return answers, gram(data, ROWS), rng


def relative(found: F64, right: F64) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def late(code: Code, draws: int) -> None:
    """The error of Gram matrices decoded without the workers that are late."""
    print(f"{code.data} blocks, {code.masks} mask, {code.workers} workers: relative error, mean of {draws} draws")
    print("late workers        error")
    for count in (0, 2, 4, 8, 12, 16):
        found = []
        for seed in range(draws):
            answers, right, rng = job(code, seed)
            kept = np.sort(rng.permutation(code.workers)[count:])
            found.append(relative(code.decode(answers, kept), right))
        print(f"{count:12d} {np.mean(found):12.4f}")


def wrong(draws: int) -> None:
    """The error with wrong workers, without and with correction, and how often all of them were located."""
    print("\nwrong workers   blocks, masks   as they are    corrected   nobody wrong   located")
    for data, masks in ((3, 1), (5, 1)):
        code = Code(data, masks)
        for count in (0, 1, 2, 3):
            rows = []
            for seed in range(draws):
                answers, right, rng = job(code, seed)
                clean = relative(code.decode(answers, np.arange(code.workers)), right)
                at = rng.permutation(code.workers)[:count]
                answers[at] += SIZE * rng.standard_normal((count, ROWS * ROWS))
                plain = relative(code.decode(answers, np.arange(code.workers)), right)
                places, _ = locate(answers[None], code.keep)
                rows.append((plain, relative(code.corrected(answers), right), clean, set(at) <= set(places[0])))
            plain, corrected, clean, located = np.mean(rows, axis=0)
            print(f"{count:13d}{data:9d}, {masks}{plain:18.3f}{corrected:13.4f}{clean:15.4f}{located:10.0%}")


def unlocated(code: Code, count: int, step: int) -> int:
    """Prints how many patterns of `count` wrong workers, or of every `step`-th, were located; gives the rest."""
    answers, _, rng = job(code, 0)
    patterns = np.array(list(combinations(range(code.workers), count))[::step])
    sets = np.repeat(answers[None], len(patterns), axis=0)
    sets[np.arange(len(patterns))[:, None], patterns] += SIZE * rng.standard_normal((*patterns.shape, ROWS * ROWS))
    places, _ = locate(sets, code.keep)
    found = (patterns[:, :, None] == places[:, None, :]).any(axis=2).all(axis=1)
    tail = abs(syndrome(answers, code.keep)).max()
    print(f"\n{found.sum()} of {len(found)} patterns of {count} located (right answers' spectrum is below {tail:.3f})")
    return int((~found).sum())


if __name__ == "__main__":
    sys.exit(main())
