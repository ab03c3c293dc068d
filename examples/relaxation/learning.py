"""Solvers and bandits as calls of kernels, and the systems of the paper's experiment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import cos, pi
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import vmc

KERNELS = Path(__file__).with_name("relaxation.vmc")
CAP = 10_000
ARMS = np.linspace(1.0, 1.95, 20)
"""The choices of omega."""

Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int32]
Solver = Literal["sor_solve", "ssor_pcg"]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


@dataclass(frozen=True)
class Systems:
    """Right sides b [s, grid * grid] of the systems (Laplacian + c I) x = b, and their c [s], all f32 or all f64."""

    b: Floats
    c: Floats

    @property
    def grid(self) -> int:
        return int(self.b.shape[1] ** 0.5)


def drawn(count: int, easy: bool, seed: int, grid: int = 10) -> Systems:
    """The paper's: c is 0.6 times a Beta variable, less 0.15: Beta(2, 6), or Beta(1/2, 3/2) of greater variance."""
    rng = np.random.default_rng(seed)
    c = 0.6 * rng.beta(*((2.0, 6.0) if easy else (0.5, 1.5)), count) - 0.15
    return Systems(rng.standard_normal((count, grid * grid)), c)


def solve(
    systems: Systems, omega: Floats, tolerance: float, solver: Solver = "sor_solve", target: str = "cpu"
) -> tuple[Floats, Counts]:
    """Solutions [s, grid * grid], and the sweeps or steps that each took, int32 [s]; `omega` [s] is in (0, 2)."""
    x, counts = np.empty_like(systems.b), np.empty(len(systems.c), np.int32)
    bound = kernel(solver, target, T=systems.b.dtype.name, G=systems.grid)
    bound(systems.b, systems.c, omega.astype(systems.c.dtype), tolerance, CAP, x, counts)
    return x, counts


def costs(systems: Systems, tolerance: float, solver: Solver = "sor_solve") -> Counts:
    """What each system would cost with each of `ARMS`, int32 [s, arms]."""
    columns = [solve(systems, np.full(len(systems.c), omega), tolerance, solver)[1] for omega in ARMS]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def tsallis_probabilities(k: Floats, eta: float, target: str = "cpu") -> Floats:
    """Tsallis-INF's probabilities [arms] of the estimated losses k."""
    p = np.empty(len(k))
    kernel("tsallis_probs", target, A=len(k))(k, eta, p)
    return p


def tsallis(table: Counts, seeds: npt.NDArray[np.uint64], target: str = "cpu") -> Counts:
    """The arms that Tsallis-INF chooses, int32 [seeds, rounds], where `table` [rounds, arms] has the costs."""
    chosen = np.empty((len(seeds), len(table)), np.int32)
    kernel("tsallis_run", target, A=table.shape[1])(seeds, table, chosen)
    return chosen


def chebyshev(
    systems: Systems,
    table: Counts,
    seeds: npt.NDArray[np.uint64],
    ridge: float = 1.0,
    gamma: float = 10.0,
    target: str = "cpu",
) -> Counts:
    """The arms that ChebCB chooses, int32 [seeds, rounds], seeing each system's c before its choice."""
    context = (systems.c + 0.15) / 0.3 - 1.0
    chosen = np.empty((len(seeds), len(table)), np.int32)
    kernel("chebyshev_run", target, A=table.shape[1])(ridge, gamma, seeds, context, table, chosen)
    return chosen


def best_omega(systems: Systems) -> Floats:
    """What is best for SOR in the limit of many sweeps, [s] (Young 1950), from the radius of Jacobi's method."""
    radius = 4.0 * cos(pi / (systems.grid + 1)) / (4.0 + systems.c)
    found: Floats = 1.0 + (radius / (1.0 + np.sqrt(1.0 - radius**2))) ** 2
    return found
