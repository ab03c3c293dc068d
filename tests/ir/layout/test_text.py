"""The text form of layouts reads back, and what is no layout gives an error with a position."""

from __future__ import annotations

import contextlib
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmc.ir.layout import (
    Layout,
    LayoutError,
    UnknownLayoutError,
    col_major,
    inverse,
    local,
    parse,
    planes,
    reduce,
    replicated,
    row_major,
    slice_layout,
    spatial,
    split,
    swizzle,
)


@pytest.mark.parametrize(
    "layout",
    [
        swizzle(row_major(8, 64, bits=16), 7, 3, 3),
        replicated(2, 3, lanes=4),
        reduce(local(2, 1).spatial(8, 4).local(1, 2), (1,)),
        slice_layout(row_major(8, 8, bits=4), (2, 4), (2, 4)),
        planes((2, 3), (4, 2, 1)),
        inverse(split(32, 4).shifted(bit=16)),
        local(),
    ],
    ids=["swizzle", "replicated", "reduced", "sliced", "planes", "inverse", "scalar"],
)
def test_the_text_keeps_swizzles_replicas_and_offsets(layout: Layout) -> None:
    again = parse(layout.text())
    assert (again.planes, again.replicas, again.swizzle) == (layout.planes, layout.replicas, layout.swizzle)


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("local(2,1).spatial(8,4).local(1,2)", local(2, 1).spatial(8, 4).local(1, 2)),
        ("local(2, 1) * spatial(8, 4)", local(2, 1) * spatial(8, 4)),
        ("packed(u3, 4, 8)", row_major(4, 8, bits=3)),
        ('mma_fragment("m16n8k8", "a")', local(2, 1).spatial(8, 4).local(1, 2)),
        ("row_major(4, 4).with_bits(u4)", row_major(4, 4, bits=4)),
        ("strided([4, 8], (8, 1,), bits=4)", row_major(4, 8, bits=4)),
        ("swizzle(row_major(8, 64, bits=16), 7, 3, 3)", swizzle(row_major(8, 64, bits=16), 7, 3, 3)),
        ("row_major(8, 64, bits=16).swizzle(7, 3, 3)", swizzle(row_major(8, 64, bits=16), 7, 3, 3)),
        ("planes(32, widths=(2, 1))", planes(32)),
        ("split(32, 4).shifted(bit=16)", split(32, 4).shifted(bit=16)),
        ("row_major(4, 8).permute(1, 0)", col_major(8, 4)),
        ("row_major(8, 8).slice((2, 4), (2, 4))", slice_layout(row_major(8, 8), (2, 4), (2, 4))),
        ("spatial(8, 4).reduce(1)", reduce(spatial(8, 4), (1,))),
        ("divide(local(2).spatial(8), spatial(8))", local(2)),
        ("compose(row_major(4), col_major(2, 2))", col_major(2, 2)),
        ("layout((16, 8): (2, 2, bit) (32, 1, lane) (2, 1, bit))", local(2, 1).spatial(8, 4).local(1, 2)),
    ],
)
def test_people_write_constructors(text: str, layout: Layout) -> None:
    assert parse(text) == layout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the name of a layout, found the end of the layout (at column 1)"),
        ("spacial(4)", "unknown layout `spacial` (at column 1)"),
        ("local(2).spacial(4)", "unknown layout `spacial` (at column 10)"),
        ("local(2", "expected `)`, found the end of the layout (at column 8)"),
        ("local(2) spatial(4)", "expected the end of the layout, found `spatial` (at column 10)"),
        ("local(2) ? 3", "unexpected '?' (at column 10)"),
        ("local(0)", "the shape [0] has an extent below 1 (at column 1)"),
        ('local("x")', "expected `local(n, ...)` (at column 1)"),
        ("local(2).with_bits(2).with_bits(2)", "elements of 2 bits cannot be given 2 (at column 23)"),
        ("local(2, 2).spatial(4)", "a product needs equal ranks, not [2, 2] and [4] (at column 13)"),
        ("packed(u9, 4)", "unknown type 'u9'"),
        ("local(9999999999999999)", "this number is too large (at column 7)"),
        ("local(999999999999999)", "the layout is too large (at column 1)"),
        ("local(" * 60, "nested too deeply (at column 307)"),
        ("layout((4): (3, 1, bit))", "digits for 3 places do not fit 4 (at column 1)"),
        ("layout((4): (-4, 1, bit))", "no negative stride"),
    ],
)
def test_what_is_no_layout_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(LayoutError, match=re.escape(message)) as caught:
        parse(text)
    assert caught.value.position is not None


def test_an_unknown_name_comes_with_those_that_are_known() -> None:
    with pytest.raises(UnknownLayoutError) as caught:
        parse("spacial(4)")
    assert caught.value.name == "spacial"
    assert "spatial" in caught.value.known


@given(st.text(max_size=40))
def test_any_text_is_a_layout_or_a_layout_error(text: str) -> None:
    with contextlib.suppress(LayoutError):
        parse(text)


def test_damaged_texts_are_layouts_or_layout_errors() -> None:
    rng = random.Random(5)
    known = [
        "local(2,1).spatial(8,4).local(1,2)",
        swizzle(row_major(8, 8, bits=4), 2, 2, 3).text(),
        "packed(u3, 4) * local(2)",
        planes(4).text(),
    ]
    for _ in range(3000):
        text = list(rng.choice(known))
        for _ in range(rng.randint(1, 3)):
            text[rng.randrange(len(text))] = rng.choice('()[],.=*:+-0123456789abclosptu_" ')
        with contextlib.suppress(LayoutError):
            parse("".join(text))


@pytest.mark.parametrize("text", ["concat(2)", "concat((1, 2))", "concat()"])
def test_a_function_of_layouts_takes_no_numbers(text: str) -> None:
    with pytest.raises(LayoutError, match=r"expected `concat\(layout, layout, \.\.\.\)`"):
        parse(text)
