"""Straight-line programs: what they are, how they are written, shortened and mutated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SIGNS = "+-*/"
COPY = 4
LENGTH, CONSTANTS = 12, 4
"""The most instructions and constants that the evaluator takes."""

Step = tuple[int, int, int]
Array = NDArray[np.float64]
Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Program:
    """Steps (operation, a, b) over the registers x, CONSTANTS constants, and the results of the steps before."""

    steps: tuple[Step, ...]
    constants: tuple[float, ...]

    def __str__(self) -> str:
        names = ["x", *(f"{c:.17g}" for c in self.constants), *(f"t{k}" for k in range(len(self.steps)))]
        lines = (f"t{k} = {names[a]} {SIGNS[op]} {names[b]}" for k, (op, a, b) in enumerate(self.steps))
        return "; ".join(lines)

    @property
    def used(self) -> tuple[int, ...]:
        """The constants that occur."""
        read = {operand for _, *operands in self.steps for operand in operands}
        return tuple(c for c in range(CONSTANTS) if 1 + c in read)

    def encoded(self) -> Codes:
        """The instructions for the evaluator, filled up with copies of the result."""
        last = CONSTANTS + len(self.steps)
        rows = [*self.steps]
        while len(rows) < LENGTH:
            rows.append((COPY, last, last))
            last += 1
        return np.array(rows, np.int32)

    def shortened(self) -> Program:
        """Without steps that the result does not depend on."""
        needed = {CONSTANTS + len(self.steps)}
        for k in range(len(self.steps) - 1, -1, -1):
            if 1 + CONSTANTS + k in needed:
                needed.update(self.steps[k][1:])
        kept = [k for k in range(len(self.steps)) if 1 + CONSTANTS + k in needed]
        place = {register: register for register in range(1 + CONSTANTS)}
        place |= {1 + CONSTANTS + k: 1 + CONSTANTS + new for new, k in enumerate(kept)}
        steps = tuple((op, place[a], place[b]) for op, a, b in (self.steps[k] for k in kept))
        return replace(self, steps=steps)


def program(*steps: tuple[str, int, int], constants: Sequence[float]) -> Program:
    """Steps with their signs."""
    filled = (*constants, *(1.0,) * (CONSTANTS - len(constants)))
    return Program(tuple((SIGNS.index(sign), a, b) for sign, a, b in steps), filled)


def drawn(rng: np.random.Generator, length: int) -> Program:
    """A random program."""
    steps = tuple(step(rng, k) for k in range(length))
    return Program(steps, tuple(rng.standard_normal(CONSTANTS))).shortened()


def step(rng: np.random.Generator, k: int) -> Step:
    """A random instruction in place k."""
    a, b = rng.integers(0, 1 + CONSTANTS + k, 2)
    return int(rng.integers(4)), int(a), int(b)


# Mutations


def mutated(parent: Program, rng: np.random.Generator, longest: int = LENGTH) -> Program:
    """Insert a step : remove one : switch an operand : change an operation, as 1 : 2 : 3 : 3."""
    kind = rng.choice(4, p=np.array([1, 2, 3, 3]) / 9)
    if (kind == 0 and len(parent.steps) < longest) or len(parent.steps) < 2:
        return inserted(parent, rng)
    if kind == 1:
        return removed(parent, int(rng.integers(len(parent.steps))), rng)
    k = int(rng.integers(len(parent.steps)))
    op, a, b = parent.steps[k]
    if kind == 2:
        other = int(rng.integers(0, 1 + CONSTANTS + k))
        changed = (op, other, b) if rng.random() < 0.5 else (op, a, other)
    else:
        changed = (int(rng.integers(4)), a, b)
    return replace(parent, steps=(*parent.steps[:k], changed, *parent.steps[k + 1 :])).shortened()


def inserted(parent: Program, rng: np.random.Generator) -> Program:
    """A new step in a random place, whose result a later step reads, or which is the last and reads the result."""
    count = len(parent.steps)
    k = int(rng.integers(count + 1))
    new = 1 + CONSTANTS + k
    op, a, b = step(rng, k)
    if k == count and count:
        a = new - 1
    later = [(o, *(operand + (operand >= new) for operand in operands)) for o, *operands in parent.steps[k:]]
    if later:
        reader = int(rng.integers(len(later)))
        o, left, right = later[reader]
        later[reader] = (o, new, right) if rng.random() < 0.5 else (o, left, new)
    return replace(parent, steps=(*parent.steps[:k], (op, a, b), *map(tuple, later))).shortened()  # type: ignore[arg-type]


def removed(parent: Program, k: int, rng: np.random.Generator) -> Program:
    """Without step k, in whose place stands one of its operands."""
    gone = 1 + CONSTANTS + k
    instead = parent.steps[k][1 + int(rng.integers(2))]
    later = (
        (op, *(instead if operand == gone else operand - (operand > gone) for operand in operands))
        for op, *operands in parent.steps[k + 1 :]
    )
    steps = (*parent.steps[:k], *later)
    return replace(parent, steps=steps).shortened() if steps else parent  # type: ignore[arg-type]
