"""SOR and SSOR-PCG of many systems against SciPy, which solves one after another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from relaxation.learning import Counts, Solver, Systems, drawn, solve

from benchmarks.paper.contest import Contest

TOLERANCE = 1e-6


def contests(quick: bool) -> Iterator[Contest]:
    """64 systems of 100 unknowns, 2 where `quick`; the error is the greatest difference of steps."""
    systems = drawn(2 if quick else 64, easy=True, seed=0)
    omega = np.full(len(systems.c), 1.6)
    solvers: dict[Solver, str] = {"sor_solve": "SOR", "ssor_pcg": "SSOR-PCG"}
    for solver, title in solvers.items():
        yield Contest(
            f"{title} of {len(omega)} systems",
            "scipy.sparse",
            lambda solver=solver: solve(systems, omega, TOLERANCE, solver),
            lambda solver=solver: peer(systems, 1.6, solver),
            lambda solver=solver: float(
                abs(solve(systems, omega, TOLERANCE, solver)[1] - peer(systems, 1.6, solver)).max()
            ),
            1.0,
        )


def peer(systems: Systems, omega: float, solver: Solver) -> Counts:
    """The steps of each system."""
    from scipy.sparse import diags, identity, kronsum  # type: ignore[import-untyped]
    from scipy.sparse.linalg import LinearOperator, cg, splu  # type: ignore[import-untyped]

    line = diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(systems.grid, systems.grid))
    plane = kronsum(line, line)
    found = []
    for b, c in zip(systems.b, systems.c, strict=True):
        a = (plane + c * identity(len(b))).tocsr()
        lower = (a - diags(a.diagonal()) * (1 - 1 / omega)).tolil()
        lower[np.triu_indices(len(b), 1)] = 0
        # A triangular matrix is its own factor: the solves of SuperLU are SciPy's fastest ones.
        forward = splu(lower.tocsc(), permc_spec="NATURAL", options={"SymmetricMode": True, "DiagPivotThresh": 0.0})
        steps = 0
        if solver == "sor_solve":
            x, goal = np.zeros_like(b), TOLERANCE * np.linalg.norm(b)
            rest = b
            while np.linalg.norm(rest) >= goal:
                x += forward.solve(rest)
                rest = b - a @ x
                steps += 1
        else:
            diagonal = a.diagonal()
            inverse = LinearOperator(a.shape, lambda r: forward.solve(diagonal * forward.solve(r), "T"))  # noqa: B023

            def count(_: object) -> None:
                nonlocal steps
                steps += 1

            cg(a, b, rtol=TOLERANCE, M=inverse, callback=count)
        found.append(steps)
    return np.array(found, np.int32)
