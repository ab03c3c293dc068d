"""Packed memory as bytes: every bit in the colour of its element, numbered as the bit of the element that it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from vmc.drawing.palette import cyclic_colour
from vmc.drawing.svg import Drawing, letters
from vmc.ir.layout import BIT, Layout, Plane

NARROWEST, WIDEST = 14, 32
BYTE_GAP = 10
HEIGHT = 34
ROW = HEIGHT + 24
MOST_BYTES = 128


@dataclass(frozen=True, slots=True)
class Held:
    """What a bit of memory holds: an element by its row-major number, and which bit of it."""

    element: int
    bit: int


def draw_stream(drawing: Drawing, layout: Layout, x: float, y: float) -> None:
    """Draws the bytes that a memory layout spans, up to MOST_BYTES of them, 8 a row or 4 where they are few."""
    count = -(-layout.size_bits // 8)
    shown = min(count, MOST_BYTES)
    held = contents(layout, 8 * shown)
    width = bit_width(layout)
    across = 4 if count <= 12 or width > NARROWEST + 6 else 8
    for byte in range(shown):
        left = x + byte % across * (8 * width + BYTE_GAP)
        top = y + byte // across * ROW
        drawing.text(left + 4 * width, top + 9, f"byte {byte}", 9.5, "m")
        draw_byte(drawing, layout, held, byte, left, top + 14, width)
    if count > shown:
        rows = -(-shown // across)
        drawing.text(x, y + rows * ROW + 12, f"... and {count - shown} more bytes", 10.5, "m s")


def contents(layout: Layout, bits: int) -> dict[int, Held]:
    """What the first `bits` bits of memory hold; of several elements in one place, the first.

    A swizzle is its own inverse, so it says at which unswizzled places to look.
    """
    wanted = np.arange(bits)
    plain = wanted if layout.swizzle is None else layout.swizzle(wanted)
    held: dict[int, Held] = {}
    start = 0
    for plane in layout.planes:
        found = numbers_below(plane, int(plain.max()) + 1)
        for place, before in zip(wanted.tolist(), plain.tolist(), strict=True):
            if before in found:
                element, bit = divmod(found[before], plane.bits)
                held.setdefault(place, Held(element, start + bit))
        start += plane.bits
    return held


def numbers_below(plane: Plane, limit: int) -> dict[int, int]:
    """Which of a plane's row-major bits, the first one if several, lies at each unswizzled place below a limit.

    Strides are not negative: what has passed the limit stays there, and so never more than `limit` sums are kept.
    """
    places, numbers = np.array([dict(plane.offset).get(BIT, 0)]), np.zeros(1, np.int64)
    for digit in plane.digits:
        steps = np.arange(min(digit.extent, -(-limit // digit.stride)) if digit.stride else 1)
        numbers = np.add.outer(numbers * digit.extent, steps).reshape(-1)
        places = np.add.outer(places, steps * digit.stride).reshape(-1)
        places, first = np.unique(places, return_index=True)
        numbers = numbers[first][places < limit]
        places = places[places < limit]
    return dict(zip(places.tolist(), numbers.tolist(), strict=True))


def bit_width(layout: Layout) -> int:
    """The width of a bit: so wide that an element's index fits over its bits, but for very narrow or large ones."""
    index = ",".join(str(n - 1) for n in layout.shape)
    return min(max(NARROWEST, round(letters(index, 8.5) / min(plane.bits for plane in layout.planes)) + 2), WIDEST)


def draw_byte(
    drawing: Drawing, layout: Layout, held: dict[int, Held], byte: int, x: float, y: float, width: int
) -> None:
    """One byte: a box with its bits, bit 0 first."""
    drawing.rect(x - 2, y - 1.5, 8 * width + 4, HEIGHT + 3, None, 4)
    for start, bits in stretches([held.get(8 * byte + bit) for bit in range(8)]):
        draw_stretch(drawing, layout, bits, x + start * width, y, width)


def stretches(bits: Sequence[Held | None]) -> Iterator[tuple[int, list[Held]]]:
    """The neighbours of one element, and where they begin."""
    start = 0
    for element, members in groupby(bits, key=lambda bit: bit and bit.element):
        held = list(members)
        if element is not None:
            yield start, [bit for bit in held if bit is not None]
        start += len(held)


def draw_stretch(drawing: Drawing, layout: Layout, bits: Sequence[Held], x: float, y: float, width: int) -> None:
    """Bits of one element: its index, if that fits, and below which of its bits they are."""
    span, element = len(bits) * width, bits[0].element
    drawing.rect(x + 0.5, y + 1, span - 1, HEIGHT - 2, cyclic_colour(element), 1.5)
    index = ",".join(str(int(i)) for i in np.unravel_index(element, layout.shape))
    size = next((size for size in (10.0, 8.5) if letters(index, size) <= span), None)
    if size:
        drawing.text(x + span / 2, y + 14, index, size, "b")
    for n, bit in enumerate(bits):
        drawing.text(x + (n + 0.5) * width, y + HEIGHT - 6, str(bit.bit), 8.5)
    ticks = (f"M{x + n * width:g} {y + HEIGHT / 2 + 1:g}v{HEIGHT / 2 - 2:g}" for n in range(1, len(bits)))
    drawing.path("".join(ticks), "t")
