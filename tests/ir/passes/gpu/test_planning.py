"""Places of tensors in the arena: no two that are in use at once overlap, and little is wasted."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from vmc.ir.builder import argument
from vmc.ir.passes.gpu.planning import ALIGNMENT, Life, arranged, rounded, tensor_of_bytes

SPANS = st.tuples(st.integers(1, 200), st.integers(0, 20), st.integers(0, 10))


@settings(max_examples=100, deadline=None)
@given(st.lists(SPANS, min_size=1, max_size=12))
def test_tensors_in_use_at_once_have_places_of_their_own(spans: list[tuple[int, int, int]]) -> None:
    lives = [Life(argument(tensor_of_bytes(size)), size, first, first + more) for size, first, more in spans]
    places, total = arranged(lives)
    for one, other in combinations(lives, 2):
        starts = places[one.tensor], places[other.tensor]
        apart = starts[0] + one.size <= starts[1] or starts[1] + other.size <= starts[0]
        assert apart or not one.meets(other)
    for life in lives:
        assert places[life.tensor] % ALIGNMENT == 0 and places[life.tensor] + life.size <= total
    assert total <= sum(rounded(life.size) for life in lives)


def test_tensors_that_take_turns_share_one_place() -> None:
    lives = [Life(argument(tensor_of_bytes(64)), 64, 10 * n, 10 * n + 9) for n in range(5)]
    assert arranged(lives)[1] == 64
