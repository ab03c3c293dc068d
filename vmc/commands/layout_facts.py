"""What `vmc layout` says about a layout besides its cells."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from vmc.ir.layout import (
    BIT,
    LANE,
    WARP,
    Digit,
    Layout,
    LayoutError,
    collision,
    contiguous_bits,
    is_bijective,
    is_injective,
)

COUNTABLE = 1 << 22
"""The largest number of places that are counted one by one; beyond, what only counting can tell is not known."""
LISTED = 4096


def facts(layout: Layout) -> dict[str, Any]:
    """The layout and its properties, ready for `json.dumps`; None for what is not known, or too long to be listed."""
    injective = known(is_injective, layout)
    return {
        "text": layout.text(),
        "shape": list(layout.shape),
        "element_bits": layout.element_bits or None,
        "extents": {axis: layout.cosize(axis) for axis in layout.axes},
        "planes": [
            {"bits": plane.bits or None, "digits": digits(plane.digits), "offset": dict(plane.offset)}
            for plane in layout.planes
        ],
        "replicas": digits(layout.replicas),
        "swizzle": None if layout.swizzle is None else str(layout.swizzle),
        "contiguous": access(layout),
        "injective": injective,
        "bijective": known(is_bijective, layout),
        "collision": shared(layout) if injective is False else None,
        "places": places(layout),
    }


def digits(all: Iterable[Digit]) -> list[dict[str, Any]]:
    return [{"extent": digit.extent, "stride": digit.stride, "axis": digit.axis} for digit in all]


def places(layout: Layout) -> dict[str, Any] | None:
    """For each axis the coordinates of all indices, the bits of elements included, as nested lists."""
    if prod(layout.domain) > LISTED:
        return None
    return {axis: table.tolist() for axis, table in layout.apply_all().items()}


def known(question: Any, layout: Layout) -> bool | None:
    """The answer, or None where finding it would take too long."""
    if prod(layout.domain) * prod(d.extent for d in layout.replicas) > COUNTABLE and not simple(layout):
        return None
    return bool(question(layout))


def simple(layout: Layout) -> bool:
    """Whether digits alone answer, without counting."""
    from vmc.ir.layout.questions import counts_up

    return counts_up(layout)


def shared(layout: Layout) -> dict[str, Any] | None:
    """Two elements in one place, and the place."""
    found = collision(layout)
    if found is None:
        return None
    one, two, place = found
    return {"one": list(one), "other": list(two), "place": place}


def access(layout: Layout) -> int | None:
    """The widest aligned access along the last dimension, in bits or elements; None where the digits do not tell."""
    try:
        return contiguous_bits(layout)
    except LayoutError:
        return None


def summary(layout: Layout) -> list[tuple[str, str]]:
    """Names and values, for people."""
    unit = "bit" if layout.element_bits else "element"
    rows = [("layout", layout.text()), ("shape", " x ".join(map(str, layout.shape)) or "one element")]
    rows.append(("element", counted(layout.element_bits, "bit") if layout.element_bits else "any width"))
    held = [axis for axis in layout.axes if axis != BIT]
    rows += [({LANE: "lanes", WARP: "warps"}.get(axis, axis), str(layout.cosize(axis))) for axis in held]
    rows.append(("each holds" if held else "span", counted(layout.cosize(BIT), unit)))
    copies = prod(d.extent for d in layout.replicas)
    rows += [("copies", str(copies))] * (copies > 1)
    width = access(layout)
    rows += [("contiguous", counted(width, unit))] * (width is not None)
    return [*rows, ("one to one", one_to_one(layout))]


def one_to_one(layout: Layout) -> str:
    """Whether places hold one element each, and all of them do, in words."""
    injective = known(is_injective, layout)
    if injective is None:
        return "not known: too large to be counted"
    if injective:
        return "yes, and no place is empty" if known(is_bijective, layout) else "yes, and some places are empty"
    found = collision(layout)
    assert found is not None
    one, two, place = found
    where = ", ".join(f"{axis} {at}" for axis, at in place.items())
    return f"no: {list(one)} and {list(two)} share {where}"


def counted(n: int | None, unit: str) -> str:
    return f"{n} {unit}{'s' * (n != 1)}"
