"""Planes: where a range of the bits of every element lies.

Most layouts have one. A width that no access has, such as three bits, is often stored as a plane of two and a plane of
one. Bits are regrouped so that a function has one list of planes: in one plane, if the places of an element's bits are
digits of the same for all elements; else in runs of evenly spaced bits, each as long as can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vmc.ir.layout.digits import BIT, Digit, Digits, LayoutError, Offset, combined, merged, split


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a range of `bits` of every element lies (0: elements whole): digits over shape and bits, and an offset."""

    bits: int
    digits: Digits
    offset: Offset = ()

    def places(self) -> tuple[Digits, list[Offset]]:
        """The digits of the elements, and the offset of each of the plane's bits."""
        elements, bits = split(self.digits, self.bits)
        offsets = [combined(self.offset)]
        for digit in bits:
            offsets = [combined(o, ((digit.axis, i * digit.stride),)) for o in offsets for i in range(digit.extent)]
        return merged(elements), offsets


def canonical_planes(planes: Sequence[Plane]) -> tuple[Plane, ...]:
    """The planes as one, if their bits are places of one progression; else as runs of evenly spaced bits."""
    if len(planes) == 1:
        plane = planes[0]
        return (Plane(plane.bits, merged(plane.digits), combined(plane.offset)),)
    if not planes or any(not plane.bits for plane in planes):
        raise LayoutError("planes need bits")
    bits = [(elements, place) for plane in planes for elements, places in [plane.places()] for place in places]
    offsets = progression([place for _, place in bits])
    if offsets is not None and len({elements for elements, _ in bits}) == 1:
        return (Plane(len(bits), merged((*bits[0][0], *offsets)), bits[0][1]),)
    result = []
    while bits:
        run = 1 + sum(1 for n in range(1, len(bits)) if evenly(bits[: n + 1]))
        digits = progression([place for _, place in bits[:run]]) or ()
        result.append(Plane(run, merged((*bits[0][0], *digits)), bits[0][1]))
        bits = bits[run:]
    return tuple(result)


def evenly(bits: Sequence[tuple[Digits, Offset]]) -> bool:
    """Whether the bits belong to alike elements and are evenly spaced on one axis."""
    steps = {difference(after[1], before[1]) for before, after in pairwise(bits)}
    return len({elements for elements, _ in bits}) == 1 and len(steps) == 1 and None not in steps


def progression(places: Sequence[Offset]) -> Digits | None:
    """The digits that number these places, less the first, if there are such."""
    if len(places) == 1:
        return ()
    step = difference(places[1], places[0])
    if step is None:
        return None
    line = [combined(((step[0], j * step[1]),)) for j in range(len(places))]
    run = next((j for j, place in enumerate(places) if place != combined(places[0], line[j])), len(places))
    blocks = [list(places[i : i + run]) for i in range(0, len(places), run)]
    if any(block != [combined(block[0], moved) for moved in line[:run]] for block in blocks):
        return None
    outer = progression(places[::run])
    return None if outer is None else merged((*outer, Digit(run, step[1], step[0])))


def difference(place: Offset, before: Offset) -> tuple[str, int] | None:
    """The one axis on which two places differ, and by how much; None if they differ on more, or downwards."""
    moved = combined(place, tuple((axis, -value) for axis, value in before)) or ((BIT, 0),)
    return moved[0] if len(moved) == 1 and moved[0][1] >= 0 else None
