"""Bandits choose the relaxation of SOR and of SSOR-PCG for 5000 systems, one after another; 40 plays of each.

    python examples/relaxation/reproduce.py [--quick] [--picture FILE]

All costs are computed first, each by solving the system; a bandit sees only the one of its choice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from relaxation.learning import ARMS, Counts, Systems, best_omega, chebyshev, costs, drawn, solve, tsallis

DISTRIBUTIONS = {"Beta(2, 6), low variance": True, "Beta(1/2, 3/2), high variance": False}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the sweeps of all ways; the exit code is 1 where Tsallis-INF takes 1.3 times the best fixed omega's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 systems of 16 unknowns, 2 plays")
    parser.add_argument("--picture", type=Path, help="draw what was paid so far over the rounds into this file")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    rounds, plays, grid, tolerance = (100, 2, 4, 1e-4) if quick else (5000, 40, 10, 1e-8)
    ratios, paid = [], {}
    for title, easy in DISTRIBUTIONS.items():
        systems = drawn(rounds, easy, seed=1, grid=grid)
        print(f"\n{title}: sums over {rounds} systems of {grid * grid} unknowns, tolerance {tolerance}")
        table = costs(systems, tolerance)
        ratios.append(sor(systems, table, tolerance, plays))
        if chosen.picture:
            paid[title] = round_by_round(systems, table, plays)
        pcg(costs(systems, tolerance, "ssor_pcg"), plays)
    if chosen.picture:
        from relaxation.picture import draw

        draw(paid, chosen.picture)
    return 0 if quick or max(ratios) < 1.3 else 1


def sor(systems: Systems, table: Counts, tolerance: float, plays: int) -> float:
    """Prints the table of SOR and gives the sweeps of Tsallis-INF over those of the best fixed omega."""
    seeds = np.arange(plays, dtype=np.uint64)
    fixed = table.sum(axis=0)
    learned = played(table, tsallis(table, seeds))
    contextual = played(table, chebyshev(systems, table, seeds))
    young = solve(systems, best_omega(systems), tolerance)[1].sum()
    best = int(fixed.min())
    print("SOR                                     sweeps   of the best fixed omega")
    line("omega = 1", fixed[0], best)
    line(f"best fixed omega, {ARMS[fixed.argmin()]:.2f}", best, best)
    line("Tsallis-INF", learned.mean(), best, learned.std())
    line("Tsallis-INF, last tenth", *last_tenth(table, tsallis(table, seeds)))
    line("ChebCB, sees c", contextual.mean(), best, contextual.std())
    line("Young's omega of each system", young, best)
    line("best choice for each system", table.min(axis=1).sum(), best)
    return float(learned.mean() / best)


def pcg(table: Counts, plays: int) -> None:
    fixed = table.sum(axis=0)
    learned = played(table, tsallis(table, np.arange(plays, dtype=np.uint64)))
    best = int(fixed.min())
    print("SSOR-preconditioned conjugate gradients  steps")
    line("omega = 1", fixed[0], best)
    line(f"best fixed omega, {ARMS[fixed.argmin()]:.2f}", best, best)
    line("Tsallis-INF", learned.mean(), best, learned.std())


def played(table: Counts, chosen: Counts) -> npt.NDArray[np.int64]:
    """The cost of each play [plays]."""
    found: npt.NDArray[np.int64] = np.take_along_axis(table[None], chosen[:, :, None], axis=2).sum(axis=(1, 2))
    return found


def round_by_round(systems: Systems, table: Counts, plays: int) -> dict[str, npt.NDArray[np.float64]]:
    """The sweeps of each round [rounds], of the bandits means over all plays."""
    seeds = np.arange(plays, dtype=np.uint64)

    def mean(chosen: Counts) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = np.take_along_axis(table[None], chosen[:, :, None], axis=2)[:, :, 0].mean(0)
        return found

    return {
        "best fixed ω": table[:, table.sum(axis=0).argmin()].astype(np.float64),
        "Tsallis-INF": mean(tsallis(table, seeds)),
        "ChebCB": mean(chebyshev(systems, table, seeds)),
        "best ω of each system": table.min(axis=1).astype(np.float64),
    }


def last_tenth(table: Counts, chosen: Counts) -> tuple[float, float]:
    """What the last tenth of the rounds cost, and what the best fixed omega pays there."""
    first = len(table) - len(table) // 10
    best = table[:, table.sum(axis=0).argmin()]
    return float(played(table[first:], chosen[:, first:]).mean()), float(best[first:].sum())


def line(name: str, cost: float, best: float, spread: float | None = None) -> None:
    more = "" if spread is None else f"   (deviation {spread:.0f})"
    print(f"  {name:33s}{cost:11.0f}{cost / best:8.3f}{more}")


if __name__ == "__main__":
    sys.exit(main())
