"""Which bits of a result are unset, given which bits of its sources are: one rule for each kind of operation.

A rule gets the values of the sources and their unset bits (None where all are set) and returns the unset bits of the
result. As in Memcheck (Seward and Nethercote, USENIX 2005) a rule may only err towards more unset bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vmc.backends.ptxvm.arrays import UINT, Array, ones
from vmc.backends.ptxvm.state import Rule

Masks = Sequence["Array | None"]


def anything(width: int) -> Rule:
    """One unset bit anywhere makes the whole result unset."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        touched = union([u.astype(np.bool_) for u in unset if u is not None])
        return np.where(touched, ones(width), np.zeros(1, UINT.get(width, np.bool_)))

    return rule


def union(masks: Sequence[Array]) -> Array:
    """Bits set in any of the masks."""
    result = masks[0]
    for mask in masks[1:]:
        result = result | mask
    return result


def upwards(width: int) -> Rule:
    """Sums, differences and products: all bits from the lowest unset one up."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        bits = union([u.astype(UINT[width]) for u in unset if u is not None])
        lowest = bits & (~bits + UINT[width](1))
        return np.where(bits == 0, UINT[width](0), ~(lowest - UINT[width](1)))

    return rule


def moved(apply: Callable[..., Array]) -> Rule:
    """Operations that move bits of the first source by amounts in the others: the mask moves as the value does."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        first = unset[0] if unset[0] is not None else np.zeros_like(values[0])
        result = apply(first, *values[1:])
        rest = [u.astype(np.bool_) for u in unset[1:] if u is not None]
        if rest:
            result = np.where(union(rest), ones(result.dtype.itemsize * 8), result)
        return result

    return rule


def moved_all(apply: Callable[..., Array], controls: int) -> Rule:
    """As `moved`, where all sources but the last `controls` are data (bfi, shf, prmt)."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        data = len(values) - controls
        masks = [np.zeros_like(v) if u is None else u for v, u in zip(values[:data], unset[:data], strict=True)]
        result = apply(*masks, *values[data:])
        rest = [u.astype(np.bool_) for u in unset[data:] if u is not None]
        if rest:
            result = np.where(union(rest), ones(result.dtype.itemsize * 8), result)
        return result

    return rule


def bitwise(apply: Callable[..., Array]) -> Rule:
    """Operations on each bit by itself, exactly: a bit is unset if some choice of the unset inputs changes it."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        choices: list[Sequence[Array]] = [[]]
        for value, mask in zip(values, unset, strict=True):
            options = [value] if mask is None else [value & ~mask, value | mask]
            choices = [[*chosen, option] for chosen in choices for option in options]
        results = [apply(*chosen) for chosen in choices]
        every, some = results[0], results[0]
        for result in results[1:]:
            every, some = every & result, some | result
        return every ^ some

    return rule


def select(values: Sequence[Array], unset: Masks) -> Array:
    """selp a, b, p: the mask of the chosen one; everything if the choice itself is unset."""
    a, _, p = values
    zero = np.zeros(1, a.dtype)
    chosen: Array = np.where(p, zero if unset[0] is None else unset[0], zero if unset[1] is None else unset[1])
    if unset[2] is not None:
        chosen = np.where(unset[2], ones(1 if a.dtype == np.bool_ else a.dtype.itemsize * 8), chosen)
    return chosen


def lanes(part: int, width: int) -> Rule:
    """Packed operations: an unset bit makes its own part of `part` bits unset."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        bits = union([u for u in unset if u is not None])
        result = np.zeros_like(bits)
        for start in range(0, width, part):
            field = bits.dtype.type(((1 << part) - 1) << start)
            result |= np.where(bits & field, field, bits.dtype.type(0))
        return result

    return rule


def equality(values: Sequence[Array], unset: Masks) -> Array:
    """== and !=: decided where bits that are set differ; otherwise unset if any bit is."""
    bits = union([u for u in unset if u is not None])
    decided = ((values[0] ^ values[1]) & ~bits) != 0
    result: Array = (bits != 0) & ~decided
    return result


def predicate(values: Sequence[Array], unset: Masks) -> Array:
    """Comparisons: unset if any bit is."""
    return union([u != 0 if u.dtype != np.bool_ else u for u in unset if u is not None])


def sign_filled(apply: Callable[[Array], Array]) -> Rule:
    """Conversions between integer widths: the mask is extended and cut as the value is."""

    def rule(values: Sequence[Array], unset: Masks) -> Array:
        assert unset[0] is not None
        return apply(unset[0])

    return rule
