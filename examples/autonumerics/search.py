"""Evolution of programs towards the front of error and length (NSGA-II: Deb et al. 2002)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from autonumerics.programs import LENGTH, Program, drawn, mutated
from autonumerics.training import Task, trained


@dataclass(frozen=True)
class Member:
    """A program whose constants were trained."""

    program: Program
    error: float

    @property
    def length(self) -> int:
        return len(self.program.steps)

    def dominates(self, other: Member) -> bool:
        no_worse = self.error <= other.error and self.length <= other.length
        return no_worse and (self.error < other.error or self.length < other.length)


def evolve(
    task: Task,
    rng: np.random.Generator,
    rounds: int,
    parents: int = 5,
    children: int = 10,
    longest: int = LENGTH,
    generations: int = 60,
    seeds: Iterable[Program] = (),
) -> list[Member]:
    """The front after so many rounds, shortest first. Every child's constants are trained for a few generations."""
    archive: dict[int, Member] = {}

    def made(program: Program) -> Member:
        member = Member(*trained(task, program, rng, population=32, generations=generations, spread=0.5))
        known = archive.get(member.length)
        if known is None or member.error < known.error:
            archive[member.length] = member
        return member

    population = [made(each) for each in seeds]
    population += [made(drawn(rng, int(rng.integers(2, 6)))) for _ in range(parents - len(population))]
    for _ in range(rounds):
        born = [made(mutated(several(rng, population), rng, longest)) for _ in range(children)]
        population = selected(population + born, parents)
    best: list[Member] = []
    for length in sorted(archive):
        if not best or archive[length].error < best[-1].error:
            best.append(archive[length])
    return best


def several(rng: np.random.Generator, population: list[Member]) -> Program:
    """A random parent, mutated up to twice beforehand."""
    program = population[int(rng.integers(len(population)))].program
    for _ in range(int(rng.integers(3))):
        program = mutated(program, rng)
    return program


def selected(members: list[Member], count: int) -> list[Member]:
    """Front by front; of the front that does not fit, those with the most room around them."""
    unique = list({(each.length, each.error): each for each in members if np.isfinite(each.error)}.values())
    chosen: list[Member] = []
    while unique and len(chosen) < count:
        front = [each for each in unique if not any(other.dominates(each) for other in unique)]
        unique = [each for each in unique if each not in front]
        room = count - len(chosen)
        chosen += front if len(front) <= room else sorted(front, key=crowding(front), reverse=True)[:room]
    return chosen or members[:count]


def crowding(front: list[Member]) -> Callable[[Member], float]:
    """The distance between a member's neighbours along the front, as a key."""
    ordered = sorted(front, key=lambda each: each.length)
    sizes = [np.log10(max(each.error, 1e-300)) for each in ordered]
    distance = {}
    for place, each in enumerate(ordered):
        ends = place in (0, len(ordered) - 1)
        distance[each] = np.inf if ends else abs(sizes[place + 1] - sizes[place - 1])
    return distance.__getitem__
