"""Relayouts within warps: what swaps leave in every thread and slot, against what the layouts say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmc.ir.layout import BIT, LANE, WARP, Digit, Layout, local, mma_fragment, spatial
from vmc.ir.passes.gpu.spread import holdings
from vmc.ir.passes.gpu.swaps import Exchange, exchange, layout_of, pieces, places_of, widened

THREADS = 64
C = spatial(1, 2).local(1, 4) * mma_fragment("m16n8k16", "c")


def executed(found: Exchange, held: np.ndarray) -> np.ndarray:
    """What threads hold after an exchange, lane by lane."""
    threads = np.arange(len(held))
    for lane, bit in found.swaps:
        other, upper = threads ^ 1 << lane, threads >> lane & 1
        sent = np.where(upper[:, None], held, np.nan)
        for slot in range(held.shape[1]):
            if not slot >> bit & 1:
                pair = held[:, [slot, slot | 1 << bit]].copy()
                sent = np.where(upper, pair[:, 0], pair[:, 1])[other]
                held[:, slot] = np.where(upper, sent, pair[:, 0])
                held[:, slot | 1 << bit] = np.where(upper, pair[:, 1], sent)
    return held[:, list(found.slots)]


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, Layout]:
    """Two orders of the same places, warps where they were."""
    places = [(LANE, bit) for bit in range(5)] + [(WARP, 0)] + [(BIT, bit) for bit in range(draw(st.integers(1, 4)))]
    first = draw(st.permutations(places))
    moving = [number for number, place in enumerate(first) if place[0] != WARP]
    second = list(first)
    for number, place in zip(moving, draw(st.permutations([first[n] for n in moving])), strict=True):
        second[number] = place
    rows = draw(st.integers(0, len(places)))
    shape = (1 << len(places) - rows, 1 << rows)
    return layout_of(shape, first), layout_of(shape, second)


@given(layouts())
def test_an_exchange_leaves_what_the_layout_says(pair: tuple[Layout, Layout]) -> None:
    source, target = pair
    found = exchange(source, target)
    if found is not None:
        np.testing.assert_array_equal(executed(found, holdings(source, THREADS).copy()), holdings(target, THREADS))


@given(layouts())
def test_places_say_what_a_layout_is(pair: tuple[Layout, Layout]) -> None:
    places = places_of(pair[0])
    assert places is not None and layout_of(pair[0].shape, places) == pair[0]


@pytest.mark.parametrize(("width", "run", "swaps"), [(16, 8, 2), (32, 4, 1), (8, 16, 2)])
def test_stores_of_fragments_of_sums_become_as_wide_as_can_be(width: int, run: int, swaps: int) -> None:
    wide = widened(C, width, 128)
    assert wide is not None
    held = holdings(wide, THREADS)
    whole = held.reshape(THREADS, -1, min(run, held.shape[1]))
    assert (np.diff(whole, axis=-1) == 1).all()
    found = exchange(C, wide)
    assert found is not None and len(found.swaps) == swaps
    np.testing.assert_array_equal(executed(found, holdings(C, THREADS).copy()), held)


def test_what_is_wide_already_or_crosses_warps_is_left() -> None:
    assert widened(spatial(8, 4).local(1, 8), 16, 128) is None
    assert widened(Layout.of((4, 64), [Digit(4, 1, BIT), Digit(32, 1, LANE), Digit(2, 1, WARP)]), 16, 128) is None
    assert widened(Layout.of((6, 64), [Digit(6, 2, BIT), Digit(32, 1, LANE), Digit(2, 1, BIT)]), 16, 128) is None
    assert exchange(local(2, 1) * spatial(1, 64), spatial(1, 64) * local(2, 1)) is not None
    assert exchange(local(1, 2) * spatial(1, 64), spatial(1, 64) * local(1, 2)) is None


def test_pieces_of_rows_are_those_of_a_thread_and_of_the_lanes_behind_it() -> None:
    assert (pieces(C), pieces(spatial(8, 4).local(1, 8)), pieces(spatial(1, 32))) == (8, 32, 32)
    assert pieces(Layout.of((3, 5), [Digit(15, 1, LANE)])) == 1
