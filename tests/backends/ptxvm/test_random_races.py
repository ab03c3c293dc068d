"""Random programs of accesses and barriers: the machine finds a race exactly where a brute-force search finds one.

Two warps execute steps: some threads load or store a word of shared memory, or a barrier of a warp, of both, or of the
block. The oracle keeps every access, and for each thread how many steps of each other thread are ordered before it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm

THREADS = 64
WORDS = 24


@dataclass(frozen=True)
class Touch:
    """Threads `low` to `high` touch word (t * factor + shift) % WORDS."""

    write: bool
    low: int
    high: int
    factor: int
    shift: int

    def word(self, thread: int) -> int:
        return (thread * self.factor + self.shift) % WORDS


@dataclass(frozen=True)
class Meet:
    """A barrier: of the block, or of each of the warps named."""

    block: bool
    warps: tuple[int, ...] = ()


Step = Touch | Meet


def program(rng: random.Random) -> list[Step]:
    steps: list[Step] = []
    for _ in range(rng.randint(3, 9)):
        kind = rng.random()
        if kind < 0.55:
            low = rng.choice([0, 31, 32, 63, rng.randrange(THREADS)])
            high = min(THREADS, low + rng.choice([1, 1, 4, 16, 64]))
            factor, shift = rng.choice([(0, 0), (0, 0), (1, rng.randrange(WORDS)), (5, rng.randrange(WORDS))])
            steps.append(Touch(rng.random() < 0.4, low, high, factor, shift))
        elif kind < 0.75:
            steps.append(Meet(True))
        else:
            steps.append(Meet(False, rng.choice([(0,), (1,), (0, 1)])))
    return steps


def races(steps: list[Step]) -> bool:
    """Whether two threads touch a word, one writing, with nothing between them that orders them."""
    known = np.zeros((THREADS, THREADS), np.int64)
    touches: dict[int, list[tuple[int, int, bool]]] = {}
    for number, step in enumerate(steps, 1):
        if isinstance(step, Meet):
            groups = [range(THREADS)] if step.block else [range(32 * w, 32 * w + 32) for w in step.warps]
            for group in groups:
                members = list(group)
                joined = known[members].max(axis=0)
                joined[members] = number
                known[members] = joined
            continue
        for thread in range(step.low, step.high):
            word = step.word(thread)
            for other, when, wrote in touches.get(word, []):
                if other != thread and (wrote or step.write) and known[thread, other] < when:
                    return True
            touches.setdefault(word, []).append((thread, number, step.write))
    return False


def text(steps: list[Step]) -> str:
    lines = ["mov.u32 %t, %tid.x; mov.u32 %s, sm; shr.u32 %w, %t, 5;"]
    for number, step in enumerate(steps):
        if isinstance(step, Meet):
            if step.block:
                lines.append("bar.sync 0;")
            elif len(step.warps) == 2:
                lines.append("bar.warp.sync -1;")
            else:
                lines.append(f"setp.ne.u32 %p, %w, {step.warps[0]}; @%p bra L{number}; bar.warp.sync -1; L{number}:")
            continue
        value = f"add.u32 %v, %t, {1000 * (number + 1)}; st.shared.u32 [%a], %v;"
        lines.append(
            f"setp.lt.u32 %p, %t, {step.low}; @%p bra L{number}; setp.ge.u32 %p, %t, {step.high}; @%p bra L{number};"
            f"mad.lo.u32 %a, %t, {step.factor}, {step.shift}; rem.u32 %a, %a, {WORDS}; mad.lo.u32 %a, %a, 4, %s;"
            f"{value if step.write else 'ld.shared.u32 %v, [%a];'} L{number}:"
        )
    registers = f".reg .b32 %t, %s, %w, %a, %v; .reg .pred %p; .shared .align 4 .b8 sm[{4 * WORDS}];"
    return entry("\n".join(lines), registers=registers)


@pytest.mark.parametrize("seed", range(12))
def test_races_are_found_exactly_where_there_are_some(seed: int) -> None:
    rng = random.Random(seed)
    found = {True: 0, False: 0}
    for _ in range(25):
        steps = program(rng)
        module = ptxvm.parse(text(steps))
        expected = races(steps)
        found[expected] += 1
        if expected:
            with pytest.raises(ptxvm.RaceError):
                module.launch("k", (1,), (THREADS,), [])
                pytest.fail(f"no race found in {steps}")
        else:
            module.launch("k", (1,), (THREADS,), [])
    assert min(found.values()) >= 2
