"""TVM's TileLayout says the same where both can say it: application, equality of canonical forms, tiling, swizzles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators import layouts as gen
from vmc.ir.layout import Digit, Layout, row_major, swizzle

tvm_layout = pytest.importorskip("tvm.tirx.layout", reason="apache-tvm is not installed: pip install 'vmc[cuda]'")

AXES = {"bit": "m", "lane": "laneid", "warp": "warpid"}
oracle = settings(max_examples=60)


def iters(digits: Any) -> list[Any]:
    """Digits as TVM's, one at least: its operations want as much."""
    digits = digits or [Digit(1, 1, "bit")]
    return [tvm_layout.Iter(d.extent, d.stride, tvm_layout.Axis.get(AXES[d.axis])) for d in digits]


def to_tvm(layout: Layout) -> Any:
    """The same layout as a TileLayout."""
    offset = {tvm_layout.Axis.get(AXES[axis]): value for axis, value in layout.offset}
    return tvm_layout.TileLayout.from_iters(iters(layout.digits), [], offset)


def raw_tvm(fields: dict[str, Any]) -> Any:
    """The digits as they were drawn, before ours are merged."""
    offset = {tvm_layout.Axis.get(AXES[axis]): value for axis, value in fields["offset"].items()}
    return tvm_layout.TileLayout.from_iters(
        iters(fields["digits"]), iters(fields["replicas"]) if fields["replicas"] else [], offset
    )


def places(theirs: Any, flat: int) -> dict[str, int]:
    return {str(axis): int(place) for axis, place in theirs.apply(flat).items() if int(place)}


def ours_at(layout: Layout, flat: int) -> dict[str, int]:
    coordinates = layout.reshape(layout.size).apply(flat)
    return {AXES[axis]: place for axis, place in coordinates.items() if place}


@oracle
@given(gen.raw(bits=gen.NO_BITS, swizzled=False))
def test_application_agrees(fields: dict[str, Any]) -> None:
    layout, theirs = gen.build(fields), raw_tvm(fields)
    for flat in range(layout.size):
        assert places(theirs, flat) == ours_at(layout, flat)


@oracle
@given(gen.raw(bits=gen.NO_BITS, swizzled=False, replicated=False).filter(lambda f: all(d.stride for d in f["digits"])))
def test_the_canonical_form_is_tvms(fields: dict[str, Any]) -> None:
    theirs = raw_tvm(fields).canonicalize()
    mine = [(d.extent, d.stride, AXES[d.axis]) for d in gen.build(fields).digits]
    found = [(int(i.extent), int(i.stride), str(i.axis.name)) for i in theirs.shard]
    assert [each for each in found if each[0] > 1] == mine


@oracle
@given(gen.kronecker(), gen.kronecker())
def test_layouts_are_equal_where_tvms_canonical_forms_are(f: Layout, g: Layout) -> None:
    g = g if f.size == g.size else f
    theirs = str(to_tvm(f).canonicalize()) == str(to_tvm(g).canonicalize())
    assert (f.reshape(f.size) == g.reshape(g.size)) == theirs


@oracle
@given(gen.kronecker(most=2), gen.kronecker(most=2))
def test_the_product_is_tvms_tiling(outer: Layout, inner: Layout) -> None:
    tiled = to_tvm(inner).tile(to_tvm(outer), list(outer.shape), list(inner.shape))
    whole = outer * inner
    for flat in range(whole.size):
        assert places(tiled, flat) == ours_at(whole, flat)


@oracle
@given(st.integers(0, 3), st.integers(1, 3), st.integers(0, 2))
def test_swizzles_agree(base: int, bits: int, extra: int) -> None:
    theirs = tvm_layout.ComposeLayout(base, bits, bits + extra, to_tvm(row_major(512)))
    mine = swizzle(row_major(512), base, bits, bits + extra)
    for flat in range(0, 512, 7):
        assert places(theirs, flat) == ours_at(mine, flat)
