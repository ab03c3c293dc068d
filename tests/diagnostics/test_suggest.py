"""Did you mean."""

from __future__ import annotations

import pytest

from vmc.diagnostics import suggest
from vmc.diagnostics.suggest import distance


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [("", "", 0), ("a", "", 1), ("kernal", "kernel", 1), ("fro", "for", 1), ("kitten", "sitting", 3), ("ab", "ba", 1)],
)
def test_the_distance_counts_edits(a: str, b: str, steps: int) -> None:
    assert distance(a, b) == distance(b, a) == steps


def test_the_nearest_name_is_suggested() -> None:
    assert suggest("zeroes", ["ones", "zeros", "full"]) == "zeros"
    assert suggest("exp3", ["exp2", "exp", "expm1"]) == "exp"
    assert suggest("Sum", ["sum", "sub"]) == "sum"
    assert suggest("fi", ["if", "in", "or"]) == "if"


def test_a_name_that_is_far_from_all_has_no_suggestion() -> None:
    assert suggest("q", ["x", "y"]) is None
    assert suggest("ab", ["ax", "cd"]) is None
    assert suggest("matrix", ["vector", "scalar"]) is None
    assert suggest("", ["x"]) is None
    assert suggest("x" * 5000, ["x" * 4999]) is None
    assert suggest("same", ["same"]) is None
