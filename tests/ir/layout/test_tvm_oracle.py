"""TVM's TileLayout says the same where both can say it: application, equality of canonical forms, tiling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.ir.layout.strategies import factors, registers
from vmc.ir.layout import Layout, product

tvm_layout = pytest.importorskip("tvm.tirx.layout", reason="apache-tvm is not installed: pip install 'vmc[cuda]'")

AXES = {"bit": "m", "lane": "laneid", "warp": "warpid"}


def to_tvm(layout: Layout) -> Any:
    """The same layout as a TileLayout."""
    iters = [(d.extent, d.stride, AXES[d.axis]) for d in layout.digits] or [(1, 1, "m")]
    extents = tuple(extent for extent, _, _ in iters)
    strides = tuple(stride @ tvm_layout.Axis.get(axis) for _, stride, axis in iters)
    return tvm_layout.TileLayout(tvm_layout.S[extents:strides])


def places(theirs: Any, flat: int) -> dict[str, int]:
    return {str(axis): int(place) for axis, place in theirs.apply(flat).items() if int(place)}


@settings(max_examples=40, deadline=None)
@given(registers())
def test_application_agrees(layout: Layout) -> None:
    theirs = to_tvm(layout)
    for flat in range(layout.size):
        ours = {AXES[axis]: int(place) for axis, place in layout.apply_flat(np.int64(flat)).items() if place}
        assert places(theirs, flat) == ours


@settings(max_examples=40, deadline=None)
@given(registers(), registers())
def test_layouts_are_equal_where_tvms_canonical_forms_are(f: Layout, g: Layout) -> None:
    if f.size != g.size:
        return
    flat_f, flat_g = f.reshape(f.size), g.reshape(g.size)
    theirs = str(to_tvm(f).canonicalize()) == str(to_tvm(g).canonicalize())
    assert (flat_f == flat_g) == theirs


@settings(max_examples=40, deadline=None)
@given(factors(), factors())
def test_the_product_is_tvms_tiling(outer: Layout, inner: Layout) -> None:
    tiled = to_tvm(inner).tile(to_tvm(outer), list(outer.shape), list(inner.shape))
    ours = product(outer, inner)
    for flat in range(ours.size):
        mine = {AXES[axis]: int(place) for axis, place in ours.apply_flat(np.int64(flat)).items() if place}
        assert places(tiled, flat) == mine
