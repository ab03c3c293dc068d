"""The text form of layouts reads back, and what is no layout gives an error with a position."""

from __future__ import annotations

import contextlib
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ir.layout.strategies import memories, registers
from vmc.ir.layout import (
    Layout,
    LayoutError,
    local,
    parse,
    reduce,
    replicated,
    row_major,
    slice_layout,
    spatial,
    swizzle,
)


@given(registers() | memories())
def test_the_text_of_a_layout_reads_back(layout: Layout) -> None:
    assert parse(layout.text()) == layout


@pytest.mark.parametrize(
    "layout",
    [
        swizzle(row_major(8, 64, bits=16), 7, 3, 3),
        replicated(2, 3, lanes=4),
        reduce(local(2, 1).spatial(8, 4).local(1, 2), (1,)),
        slice_layout(row_major(8, 8, bits=4), (2, 4), (2, 4)),
    ],
    ids=["swizzle", "replicated", "reduced", "sliced"],
)
def test_the_text_keeps_swizzles_replicas_and_offsets(layout: Layout) -> None:
    again = parse(layout.text())
    assert (again, again.replicas, again.offset, again.swizzle) == (
        layout,
        layout.replicas,
        layout.offset,
        layout.swizzle,
    )


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("local(2,1).spatial(8,4).local(1,2)", local(2, 1).spatial(8, 4).local(1, 2)),
        ("local(2, 1) * spatial(8, 4)", local(2, 1) * spatial(8, 4)),
        ("packed(u3, 4, 8)", row_major(4, 8, bits=3)),
        ('mma_fragment("m16n8k8", "a")', local(2, 1).spatial(8, 4).local(1, 2)),
        ("row_major(4, 4).with_bits(u4)", row_major(4, 4, bits=4)),
    ],
)
def test_people_write_constructors(text: str, layout: Layout) -> None:
    assert parse(text) == layout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at 1: expected the name of a layout, found `the end`"),
        ("spacial(4)", "at 1: unknown layout `spacial`"),
        ("local(2", "at 8: expected `)`, found `the end`"),
        ("local(2) spatial(4)", "at 10: expected the end, found `spatial`"),
        ("local(2) ? 3", "at 9: unexpected '?'"),
        ("local(0)", "at 1: "),
        ("local(u4)", None),
        ('local("x")', "at 1: `local` does not take these arguments"),
        ("local(2, 2).spatial(4)", "at 13: the shapes [2, 2] and [4] differ in rank"),
        ("local(99999999999)", "at 7: this number is too large"),
    ],
)
def test_what_is_no_layout_is_said_with_its_place(text: str, message: str | None) -> None:
    if message is None:
        assert parse(text) == local(4)
        return
    with pytest.raises(LayoutError, match=re.escape(message)):
        parse(text)


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
    ]
    for _ in range(3000):
        text = list(rng.choice(known))
        for _ in range(rng.randint(1, 3)):
            text[rng.randrange(len(text))] = rng.choice('()[],.=*0123456789abclosptu_" ')
        with contextlib.suppress(LayoutError):
            parse("".join(text))
