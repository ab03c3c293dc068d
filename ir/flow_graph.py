"""Compiled code as basic blocks of a machine's instructions, and its loops: found from its control flow alone, by
dominators and the branches back to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Instruction = TypeVar("Instruction")


@dataclass(frozen=True, eq=False, slots=True)
class Block(Generic[Instruction]):
    """A basic block; `successors` are numbers of blocks of its function."""

    label: str
    instructions: tuple[Instruction, ...]
    successors: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Function(Generic[Instruction]):
    """A function. The first block is the entry."""

    name: str
    blocks: tuple[Block[Instruction], ...]

    @property
    def instructions(self) -> Iterator[Instruction]:
        for block in self.blocks:
            yield from block.instructions


@dataclass(frozen=True, slots=True)
class Loop:
    """A natural loop: its header, all its blocks, those that are in no loop inside of it, and those that branch back.
    `depth` is 1 for an outermost one.
    """

    header: int
    blocks: frozenset[int]
    own: frozenset[int]
    latches: tuple[int, ...]
    depth: int

    @property
    def innermost(self) -> bool:
        return self.own == self.blocks


def loops(function: Function[Any]) -> tuple[Loop, ...]:
    """The loops, by their headers. Loops with one header are one. Code that no entry reaches has none."""
    above = dominators(function)
    found: dict[int, tuple[set[int], list[int]]] = {}
    before = predecessors(function)
    for number in above:
        for header in function.blocks[number].successors:
            if header in above[number]:
                blocks, latches = found.setdefault(header, ({header}, []))
                latches.append(number)
                blocks |= reaching(number, header, before, above)
    bodies = {header: blocks for header, (blocks, _) in found.items()}
    return tuple(
        Loop(
            header,
            frozenset(blocks),
            frozenset(blocks.difference(*(bodies[other] for other in found if other != header and other in blocks))),
            tuple(sorted(latches)),
            sum(header in body for body in bodies.values()),
        )
        for header, (blocks, latches) in sorted(found.items())
    )


def order(function: Function[Any]) -> list[int]:
    """The blocks that the entry reaches, in reverse postorder: a block before its successors, branches back aside."""
    finished: list[int] = []
    seen = {0}
    stack = [(0, iter(function.blocks[0].successors))]
    while stack:
        number, successors = stack[-1]
        following = next((block for block in successors if block not in seen), None)
        if following is None:
            finished.append(number)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(function.blocks[following].successors)))
    return finished[::-1]


def predecessors(function: Function[Any]) -> dict[int, list[int]]:
    """For each block those that may come right before it."""
    before: dict[int, list[int]] = {number: [] for number in range(len(function.blocks))}
    for number, block in enumerate(function.blocks):
        for following in block.successors:
            before[following].append(number)
    return before


def dominators(function: Function[Any]) -> dict[int, frozenset[int]]:
    """For each block that is reached, the blocks that every way to it goes through, itself included."""
    blocks = order(function)
    before = predecessors(function)
    everything = frozenset(blocks)
    found: dict[int, frozenset[int]] = dict.fromkeys(blocks, everything)
    found[0] = frozenset({0})
    changed = True
    while changed:
        changed = False
        for number in blocks[1:]:
            common = everything.intersection(*(found[other] for other in before[number] if other in found))
            new = common | {number}
            if new != found[number]:
                found[number], changed = new, True
    return found


def reaching(
    latch: int, header: int, before: Mapping[int, Sequence[int]], known: Mapping[int, frozenset[int]]
) -> set[int]:
    """The blocks from which the latch is reached without going through the header."""
    found = {latch, header}
    waiting = [latch] if latch != header else []
    while waiting:
        for number in before[waiting.pop()]:
            if number not in found and number in known:
                found.add(number)
                waiting.append(number)
    return found
