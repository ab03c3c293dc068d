"""What a search tries."""

from __future__ import annotations

import pytest

from vmc.lang.queries import declaration, static_values, steps
from vmc.tuning.space import Space, around, needed, pruned, space, tunable

SOURCE = """
kernel k[T: type, BM = 16, BN = 64, BK = 32, G = 128, FAST: bool = true, S = 2.5, Z = 0](
    x: f16[M, K], s: f16[cdiv(K, G), N], y: out T[M, N],
):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, BK):
            acc += S
        y[mi*BM : +BM, ni*BN : +BN] = T(acc)
"""
NODE = declaration(SOURCE, "k.vmc", "k")
STATICS = static_values(SOURCE, "k.vmc", "k", {"T": "f32"})
DEFAULTS = {"BM": 16, "BN": 64, "BK": 32}


def test_positive_integers_that_are_not_bound_or_in_an_argument_s_extent_are_tuned() -> None:
    assert STATICS["FAST"] == "true" and STATICS["S"] == "2.5"
    assert tunable(NODE, STATICS, {"T"}) == DEFAULTS
    assert tunable(NODE, STATICS, {"T", "BN"}) == {"BM": 16, "BK": 32}


def test_the_extents_that_a_parameter_divides_are_found_in_cdiv_and_range() -> None:
    found = steps(NODE)
    assert {name: found[name] for name in DEFAULTS} == {"BM": {"M"}, "BN": {"N"}, "BK": {"K"}}


@pytest.mark.parametrize(
    ("default", "enough", "values"),
    [
        (16, None, (4, 8, 16, 32, 64)),
        (1, None, (1, 2, 4)),
        (24, None, (8, 16, 32, 64, 128)),
        (16, 1, (1,)),
        (16, 4, (1, 2, 4)),
        (16, 32, (4, 8, 16, 32)),
        (16, 4096, (4, 8, 16, 32, 64)),
    ],
)
def test_powers_of_two_around_the_default_are_tried_up_to_what_is_enough(
    default: int, enough: int | None, values: tuple[int, ...]
) -> None:
    assert around(default, enough) == values


def test_given_values_beyond_the_extent_are_pruned_but_never_all() -> None:
    assert needed({"M"}, {"M": 5}) == 8 and needed({"M"}, {}) is None and needed(set(), {}) is None
    assert needed({"M"}, {"M": 0}) == 1
    assert pruned([64, 1, 8, 8], 8) == (1, 8)
    assert pruned([64, 128], 8) == (64,)
    assert pruned([64, 128], None) == (64, 128)


def test_a_space_takes_given_values_and_derives_the_others() -> None:
    found = space(NODE, DEFAULTS, {"BN": [48, 96]}, {"M": 1, "K": 4096, "N": 4096})
    assert found.choices == {"BM": (1,), "BN": (48, 96), "BK": (8, 16, 32, 64, 128)}
    assert len(found.candidates()) == 1 + 2 * 5


def test_the_defaults_come_first_and_then_what_is_near_them() -> None:
    found = Space({"BM": (1, 2, 4), "BN": (32, 64, 128)}, {"BM": 16, "BN": 64}).candidates()
    assert found[:2] == [{"BM": 16, "BN": 64}, {"BM": 4, "BN": 64}]
    assert len(found) == 10 and found[-1] == {"BM": 1, "BN": 128}
    assert Space({"BM": (8, 16)}, {"BM": 16}).candidates() == [{"BM": 16}, {"BM": 8}]
