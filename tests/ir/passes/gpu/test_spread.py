"""Laws of the layouts that inference chooses: everything is held, once but for copies, by threads that exist."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.anchors import fitting_vector, local_along
from vmc.ir.passes.gpu.relations import projected
from vmc.ir.passes.gpu.spread import (
    everywhere,
    holdings,
    in_all_threads,
    is_local,
    reduced,
    reducible,
    slot_map,
    spread,
    without_copies,
)

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 33, 64]), min_size=1, max_size=3).map(tuple)
THREADS = st.sampled_from([32, 64, 96, 128, 256])


def elements(layout: Layout, threads: int) -> list[int]:
    held = holdings(layout, threads)
    return sorted(held[held >= 0].tolist())


@settings(max_examples=60, deadline=None)
@given(SHAPES, THREADS, st.booleans())
def test_a_spread_tile_is_held_whole_and_once_but_for_copies(shape: tuple[int, ...], threads: int, wide: bool) -> None:
    vector = fitting_vector(shape, 4, threads, None) if wide else 1
    layout = spread(shape, threads, vector)
    size = int(np.prod(shape))
    assert elements(without_copies(layout), threads) == list(range(size))
    assert set(elements(layout, threads)) == set(range(size))


@settings(max_examples=60, deadline=None)
@given(SHAPES, THREADS, st.data())
def test_an_axis_is_combined_within_warps_and_leaves_whole_results(
    shape: tuple[int, ...], threads: int, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    layout = spread(shape, threads, 1, axis)
    assert reducible(layout, axis)
    left = reduced(layout, axis)
    assert left is not None
    size = int(np.prod(shape)) // shape[axis]
    assert set(elements(left, threads)) == set(range(size))
    if len(shape) == 1 and threads & (threads - 1) == 0:
        assert in_all_threads(layout, threads)


@settings(max_examples=40, deadline=None)
@given(SHAPES, THREADS, st.data())
def test_lines_along_an_axis_stay_in_a_thread_where_that_is_asked(
    shape: tuple[int, ...], threads: int, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    layout = local_along(shape, threads, axis)
    assert is_local(layout, axis)
    assert set(elements(layout, threads)) == set(range(int(np.prod(shape))))


@settings(max_examples=40, deadline=None)
@given(SHAPES, THREADS)
def test_what_is_broadcast_is_held_by_every_thread_that_needs_it(shape: tuple[int, ...], threads: int) -> None:
    layout = spread(shape, threads)
    small = (1, *shape[1:])
    source = projected(layout, small)
    assert source is not None
    numbers = np.broadcast_to(np.arange(int(np.prod(small))).reshape(small), shape).reshape(-1)
    wanted, held = holdings(layout, threads), holdings(source, threads)
    for thread in range(threads):
        needed = {int(numbers[n]) for n in wanted[thread] if n >= 0}
        assert needed <= set(held[thread].tolist())


@settings(max_examples=40, deadline=None)
@given(SHAPES, THREADS, st.integers(0, 3))
def test_slots_are_copied_only_within_their_threads(shape: tuple[int, ...], threads: int, number: int) -> None:
    source = spread(shape, threads)
    target = (source, spread(shape, threads, 1, 0), everywhere(shape, threads), local_along(shape, threads, 0))[number]
    table = slot_map(source, target, threads)
    held, wanted = holdings(source, threads), holdings(target, threads)
    own = all(set(w[w >= 0].tolist()) <= set(h.tolist()) for h, w in zip(held, wanted, strict=True))
    assert own or table is None, "nothing is copied from another thread"
    for slot, origin in enumerate(table or ()):
        used = wanted[:, slot] >= 0
        assert (held[used, origin] == wanted[used, slot]).all()
    assert number or table == tuple(range(held.shape[1]))
