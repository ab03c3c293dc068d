"""Moves bits between rows of bytes: the packing of codes, of any width into any order, as few operations on arrays.

What goes where in one row is a table of bit offsets, and all rows are alike. Bits that are neighbours in a byte before
and after go together, and so do all bytes whose bits go up or down by as much: a `Move`. Codes of 3 bits in planes of
2 and 1 take 12 moves, codes of 4 bits two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
SLAB = 1 << 19
"""Bytes of the rows that are moved at a time, so that they stay in a core's own cache."""

LINE = 64
"""Bytes of a cache line, and of the widest vector registers."""

FEW = 4
"""Neighbouring bytes, on average, from which on moving them as slices is faster than one by one."""


@dataclass(frozen=True, slots=True)
class Move:
    """The bits `mask` of the bytes `sources` of a row go `shift` bits up (down where it is negative) into others.

    `targets` are pairs: which of the sources, and which bytes they go to.
    """

    sources: slice | Places
    targets: tuple[tuple[slice, slice | Places], ...]
    mask: int
    shift: int


def moves_of(sources: Places, targets: Places) -> tuple[Move, ...]:
    """The moves of bits from offsets `sources` to offsets `targets` of a row: both int64[elements, bits]."""
    heads = np.ones(sources.shape, np.bool_)
    heads[:, 1:] = parted(sources) | parted(targets)
    first = np.flatnonzero(heads)
    counts = np.diff(first, append=heads.size)
    before, after = sources.reshape(-1)[first], targets.reshape(-1)[first]
    kinds = (before % 8 * 8 + after % 8) * 9 + counts
    order = np.lexsort((after, kinds))
    alike = np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1)
    return tuple(move_of(before[group], after[group], int(counts[group[0]])) for group in alike)


def parted(places: Places) -> npt.NDArray[np.bool_]:
    """Of every bit but the first of an element, whether it lies elsewhere than behind the one before in a byte."""
    return np.asarray((np.diff(places, axis=1) != 1) | (places[:, 1:] % 8 == 0))


def move_of(before: Places, after: Places, count: int) -> Move:
    """The move of runs of `count` bits, alike in their places inside bytes, sorted by where they go."""
    bit = int(before[0]) % 8
    shift = int(after[0]) % 8 - bit
    return Move(as_slice(before // 8), pieces(after // 8), (1 << count) - 1 << bit, shift)


def as_slice(places: Places) -> slice | Places:
    """Evenly spaced, growing places as a slice; others as they are."""
    steps = np.unique(np.diff(places)) if len(places) > 1 else np.ones(1, np.int64)
    step = int(steps[0]) if len(steps) == 1 else 0
    return slice(int(places[0]), int(places[-1]) + 1, step) if step > 0 else places


def pieces(places: Places) -> tuple[tuple[slice, slice | Places], ...]:
    """The targets of a move: as one slice, or a few, or one by one."""
    whole = as_slice(places)
    cuts = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
    runs = [slice(first, end) for first, end in pairwise(cuts)]
    if isinstance(whole, slice) or len(places) < FEW * len(runs):
        return ((slice(None), whole),)
    return tuple((run, as_slice(places[run])) for run in runs)


def moved(rows: Bytes, moves: Sequence[Move], width: int) -> Bytes:
    """Rows of `width` bytes, uint8[rows, width], from others, uint8[rows, any]; bits that none moves to are 0.

    The first row begins at a cache line.
    """
    result = aligned_zeros(len(rows) * width).reshape(len(rows), width)
    step = max(1, SLAB // max(1, rows.shape[1]))
    for first in range(0, len(rows), step):
        slab, goal = rows[first : first + step], result[first : first + step]
        for move in moves:
            part = carried(slab, move)
            for chosen, targets in move.targets:
                goal[:, targets] |= part[:, chosen]
    return result


def carried(rows: Bytes, move: Move) -> Bytes:
    """What a move brings to its targets, in order."""
    sources = move.sources
    part = rows[:, sources] if isinstance(sources, slice) else rows.take(sources, axis=1)
    part = np.bitwise_and(part, np.uint8(move.mask), order="C")
    words = part.reshape(-1).view(np.uint64) if part.size % 8 == 0 else part  # no bit leaves its byte
    if move.shift > 0:
        np.left_shift(words, words.dtype.type(move.shift), out=words)
    elif move.shift < 0:
        np.right_shift(words, words.dtype.type(-move.shift), out=words)
    return part


def aligned_zeros(size: int) -> Bytes:
    """uint8[size] zeros that begin at a cache line, so that no vector in them lies in two."""
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size]
