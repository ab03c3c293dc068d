"""Loops and dominators, against their definitions on random graphs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.backends.cpu.assembly.snippets import NESTED
from vmc.backends.cpu.assembly.text import Function, parse
from vmc.ir.flow_graph import Block, dominators, loops


def test_loops_in_loops_are_found() -> None:
    outer, inner = loops(parse(NESTED)[0])
    assert (outer.header, sorted(outer.blocks), sorted(outer.own), outer.depth) == (1, [1, 2, 3], [1, 3], 1)
    assert (inner.header, sorted(inner.blocks), inner.depth) == (2, [2], 2)
    assert (outer.innermost, inner.innermost) == (False, True)


@st.composite
def graphs(draw: st.DrawFn) -> Function:
    size = draw(st.integers(1, 9))
    targets = st.lists(st.integers(0, size - 1), max_size=3)
    return Function("f", tuple(Block("", (), tuple(dict.fromkeys(draw(targets)))) for _ in range(size)))


def reached(function: Function, start: int, without: int | None = None) -> set[int]:
    """The blocks that are reached from one without going through another."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        number = waiting.pop()
        if number not in found and number != without:
            found.add(number)
            waiting += function.blocks[number].successors
    return found


@given(graphs())
def test_a_block_dominates_what_cannot_be_reached_without_it(function: Function) -> None:
    blocks = reached(function, 0)
    expected = {n: {d for d in blocks if d == n or n not in reached(function, 0, without=d)} for n in blocks}
    assert {number: set(above) for number, above in dominators(function).items()} == expected


@given(graphs())
def test_a_loop_is_what_goes_back_to_a_header_that_dominates_it(function: Function) -> None:
    above = dominators(function)
    edges = [(a, b) for a in above for b in function.blocks[a].successors if b in above[a]]
    found = loops(function)
    assert {loop.header for loop in found} == {header for _, header in edges}
    for loop in found:
        latches = [latch for latch, header in edges if header == loop.header]
        expected = {
            n
            for n in above
            if loop.header in above[n]
            and (n == loop.header or any(latch in reached(function, n, without=loop.header) for latch in latches))
        }
        assert set(loop.blocks) == expected
        assert loop.depth == sum(loop.header in other.blocks for other in found)
