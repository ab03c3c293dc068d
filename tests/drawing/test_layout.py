"""Pictures of layouts: well-formed, complete, and coloured so that colour means what the picture says it means."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from vmc.drawing.layout import draw
from vmc.drawing.palette import cyclic_colour, lane_colour, ramp_colour
from vmc.drawing.stream import Held, contents
from vmc.drawing.svg import letters
from vmc.ir.layout import parse

SVG = "{http://www.w3.org/2000/svg}"
SIZES = [
    "local(2,1).spatial(8,4).local(1,2)",
    "packed(u3, 2, 8)",
    "planes(16, (2,1))",
    "packed(u1, 4, 16)",
    "row_major(8,32,bits=32).swizzle(7,3,3)",
    "warps(2,2).local(2,2).spatial(8,4).local(1,2)",
    "local()",
    "spatial(37)",
    "local(2,2,2).spatial(1,4,4)",
    "strided((2,4),(2,1),bits=3)",
    "row_major(20,300,bits=3)",
]


class Box(NamedTuple):
    """A filled rectangle and the texts inside it, from the top."""

    colour: str
    texts: list[str]


def boxes(svg: str) -> list[Box]:
    """The cells of a picture, in the order of drawing."""
    root = ET.fromstring(svg)
    texts = [(float(t.attrib["x"]), float(t.attrib["y"]), t.text or "") for t in root.iter(f"{SVG}text")]
    found = []
    for rect in root.iter(f"{SVG}rect"):
        if "fill" in rect.attrib:
            x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
            inside = sorted((v, u, text) for u, v, text in texts if x <= u <= x + w and y <= v <= y + h)
            found.append(Box(rect.attrib["fill"], [text for _, _, text in inside]))
    return found


def spans(root: ET.Element) -> Iterator[tuple[ET.Element, float, float]]:
    """Every text with the x at which it begins and ends."""
    for label in root.iter(f"{SVG}text"):
        long = letters(label.text or "", float(label.attrib["font-size"]))
        start = float(label.attrib["x"]) - {"s": 0, "e": long}.get(label.attrib.get("class", "")[-1:], long / 2)
        yield label, start, start + long


def rectangles(root: ET.Element, filled: bool = False) -> list[list[float]]:
    """x, y, width and height of every rectangle, or of the filled ones."""
    found = [rect.attrib for rect in root.iter(f"{SVG}rect") if "fill" in rect.attrib or not filled]
    return [[float(rect[name]) for name in ("x", "y", "width", "height")] for rect in found]


@pytest.mark.parametrize("text", SIZES)
def test_everything_lies_inside_the_picture(text: str) -> None:
    root = ET.fromstring(draw(parse(text)))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in rectangles(root))
    assert all(start >= 0 and end <= width + 0.5 for _, start, end in spans(root))


@pytest.mark.parametrize("text", SIZES)
def test_labels_fit_their_cells(text: str) -> None:
    root = ET.fromstring(draw(parse(text)))
    cells = np.array(rectangles(root, filled=True))
    for label, start, end in spans(root):
        if "m" not in label.attrib.get("class", ""):
            y = float(label.attrib["y"])
            fits = (cells[:, 0] <= start + 1) & (end <= cells[:, 0] + cells[:, 2] + 1)
            assert (fits & (cells[:, 1] <= y) & (y <= cells[:, 1] + cells[:, 3])).any(), label.text


def test_an_accumulator_has_a_cell_for_each_element_with_the_lane_over_the_slot() -> None:
    cells = boxes(draw(parse("local(2,1).spatial(8,4).local(1,2)"), ""))
    assert len(cells) == 128
    wanted = {(r, c): [str(r % 8 * 4 + c // 2), str(r // 8 * 2 + c % 2)] for r in range(16) for c in range(8)}
    assert [cell.texts for cell in cells] == list(wanted.values())


def test_elements_have_one_colour_exactly_where_they_have_one_lane() -> None:
    cells = boxes(draw(parse("local(2,1).spatial(8,4).local(1,2)"), ""))
    colours = {(cell.texts[0], cell.colour) for cell in cells}
    assert len(colours) == len({lane for lane, _ in colours}) == len({colour for _, colour in colours}) == 32


def test_every_bit_of_packed_memory_is_drawn_in_the_colour_of_its_element() -> None:
    drawn = boxes(draw(parse("packed(u3, 2, 8)"), ""))
    tile, stream = drawn[:16], drawn[16:]
    bits = [(cell.colour, text) for cell in stream for text in cell.texts if "," not in text]
    assert bits == [(tile[n // 3].colour, str(n % 3)) for n in range(48)]


def test_the_swizzle_of_a_tile_shows_every_chunk_once_in_every_column_of_chunks() -> None:
    plain = boxes(draw(parse("row_major(8,32,bits=32)"), ""))
    mixed = boxes(draw(parse("row_major(8,32,bits=32).swizzle(7,3,3)"), ""))
    for column in range(32):
        assert len({plain[row * 32 + column].colour for row in range(8)}) == 1
        assert len({mixed[row * 32 + column].colour for row in range(8)}) == 8


def test_a_large_tile_is_cut_and_its_last_row_and_column_are_shown() -> None:
    svg = draw(parse("row_major(1000,1000)"))
    assert len(svg) < 2_000_000 and ">999999<" in svg and ">...<" in svg


def test_bytes_beyond_the_first_are_counted() -> None:
    assert "... and 1872 more bytes" in draw(parse("packed(u4, 50, 80)"))


@pytest.mark.parametrize(
    "text",
    [
        "packed(u3, 5, 7)",
        "planes((3, 7), (2, 1, 3))",
        "row_major(8, 16, bits=2).swizzle(3, 2, 2)",
        "strided((4, 8), (3, 13), bits=3).shifted(bit=5)",
        "split(32, 4)",
    ],
)
def test_the_start_of_memory_is_what_enumeration_finds(text: str) -> None:
    layout = parse(text)
    places = layout.apply_all()["bit"].reshape(-1).tolist()
    bits = layout.element_bits
    for limit in (1, 8, 24, 1000):
        wanted = {place: Held(n // bits, n % bits) for n, place in enumerate(places) if place < limit}
        assert contents(layout, limit) == wanted


def test_the_start_of_a_memory_too_large_to_be_enumerated_is_drawn() -> None:
    assert "more bytes" in draw(parse("planes((100000, 100000), (2, 1))"))


def test_heavy_lines_part_warps_and_only_warps() -> None:
    assert 'class="w"' in draw(parse("warps(2,1).spatial(4,8)"))
    assert 'class="w"' not in draw(parse("local(2,1).spatial(4,8)"))


def test_a_title_is_text_and_never_markup() -> None:
    root = ET.fromstring(draw(parse("local(2)"), '<script>&"'))
    assert root.find(f"{SVG}title").text == '<script>&"'  # type: ignore[union-attr]
    assert root.find(f".//{SVG}script") is None


# ---- colours ---------------------------------------------------------------------------------------------------------

COLOURS = {
    *(lane_colour(n) for n in range(32)),
    *(cyclic_colour(n) for n in range(24)),
    *(ramp_colour(n / 10) for n in range(11)),
}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_letters_are_legible_on_every_colour(colour: str) -> None:
    assert contrast("#1c2733", colour) >= 4.5


@pytest.mark.parametrize(("ink", "page"), [("#6e7781", "#ffffff"), ("#9198a1", "#0d1117"), ("#57606a", "#ffffff")])
def test_names_beside_cells_are_legible_on_light_and_dark_pages(ink: str, page: str) -> None:
    assert contrast(ink, page) >= 4.5 and ink in draw(parse("local(2)"))


def test_neighbouring_elements_differ_in_colour() -> None:
    assert all(cyclic_colour(n) != cyclic_colour(m) for n, m in pairwise(range(100)))
    assert len({cyclic_colour(n) for n in range(24)}) == 24
