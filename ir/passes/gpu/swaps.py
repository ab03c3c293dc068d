"""Relayouts within warps, as swaps: a bit of the lane's number takes the place of a bit of the slot's.

A layout whose digits are powers of two says of each bit of an element's index what it is: a bit of the slot, of the
lane or of the warp. Where two layouts differ in lanes and slots only, the elements are exchanged between lanes, half of
the slots for each bit, and no memory is needed:

    slot 0, slot 1        lane 0: a b         lane 0: a c
    of two lanes          lane 1: c d   -->   lane 1: b d
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmc.ir.layout import BIT, LANE, WARP, Digit, Layout
from vmc.ir.passes.gpu.spread import WARP_SIZE, is_power

Place = tuple[str, int]
"""An axis, and the number of a bit of its coordinate."""
MOST = 3
"""Swaps that cost less than a store, a barrier and a load."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Swaps of (bit of the lane's number, bit of the slot's), one after the other; then every slot of the result is
    taken from `slots`.
    """

    swaps: tuple[tuple[int, int], ...]
    slots: tuple[int, ...]


def places_of(layout: Layout) -> list[Place] | None:
    """What each bit of the row-major index is, the least significant first; None where bits are not single places, or
    elements have copies.
    """
    if layout.replicas or layout.swizzle is not None or len(layout.planes) > 1 or layout.element_bits:
        return None
    if any(count for _, count in layout.offset) or not all(is_power(extent) for extent in layout.shape):
        return None
    found: list[Place] = []
    for digit in reversed(layout.digits):
        if not is_power(digit.extent) or not is_power(digit.stride) or not digit.stride:
            return None
        first = digit.stride.bit_length() - 1
        found += [place_of(layout, digit.axis, first + bit) for bit in range(digit.extent.bit_length() - 1)]
    whole = sum(extent.bit_length() - 1 for extent in layout.shape)
    return found if len(found) == len(set(found)) == whole else None


def place_of(layout: Layout, axis: str, bit: int) -> Place:
    """A place, with lanes past the first warp as warps."""
    lanes = WARP_SIZE.bit_length() - 1
    return (WARP, bit - lanes) if axis == LANE and WARP not in layout.axes and bit >= lanes else (axis, bit)


def layout_of(shape: tuple[int, ...], places: Sequence[Place]) -> Layout:
    """The inverse of `places_of`."""
    return Layout.of(shape, [Digit(2, 1 << bit, axis) for axis, bit in reversed(places)])


def exchange(source: Layout, target: Layout) -> Exchange | None:
    """How elements get from one layout to the other by at most `MOST` swaps; None where they do not."""
    before, after = places_of(source), places_of(target)
    if before is None or after is None or len(before) != len(after):
        return None
    if {p for p in before if p[0] != BIT} != {p for p in after if p[0] != BIT}:
        return None
    held = list(before)
    swaps = []
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if new[0] != BIT and old != new:
            if new[0] != LANE or old[0] != BIT:
                return None
            swaps.append((new[1], old[1]))
            held[held.index(new)], held[number] = old, new
    if len(swaps) > MOST or any(a[0] != b[0] for a, b in zip(held, after, strict=True)):
        return None
    moved = {new[1]: old[1] for old, new in zip(held, after, strict=True) if new[0] == BIT}
    count = 1 << len(moved)
    slots = tuple(sum((slot >> bit & 1) << moved[bit] for bit in moved) for slot in range(count))
    return Exchange(tuple(swaps), slots)


def pieces(layout: Layout) -> int:
    """How many neighbours of a row a thread, and the lanes that follow it, hold; 1 where the digits do not tell."""
    places = places_of(layout)
    if places is None:
        return 1
    inner = places[: layout.shape[-1].bit_length() - 1]
    slots = next((n for n, (axis, bit) in enumerate(inner) if (axis, bit) != (BIT, n)), len(inner))
    lanes = next((n for n, place in enumerate(inner[slots:]) if place != (LANE, n)), len(inner) - slots)
    return 1 << slots + lanes


def widened(layout: Layout, width: int, most: int) -> Layout | None:
    """The layout, by swaps, in which threads hold runs of the last dimension of up to `most` bits, and lanes follow
    each other along it; None where they do so already, or no swaps bring it about.
    """
    places = places_of(layout)
    if places is None:
        return None
    inner = layout.shape[-1].bit_length() - 1
    wanted = min((most // width).bit_length() - 1, inner, sum(axis == BIT for axis, _ in places))
    lanes = [number for number in range(wanted) if places[number][0] == LANE]
    if not lanes or any(axis == WARP for axis, _ in places[:wanted]):
        return None
    others = [number for number in range(wanted, len(places)) if places[number][0] == BIT]
    if len(lanes) > min(MOST, len(others)):
        return None
    changed = list(places)
    for number, other in zip(lanes, others, strict=False):
        changed[number], changed[other] = places[other], places[number]
    slots = [number for number, (axis, _) in enumerate(changed) if axis == BIT]
    for bit, number in enumerate(slots):
        changed[number] = BIT, bit
    return layout_of(layout.shape, changed)
