"""Where the bits of narrow codes lie in 32-bit words, so that few operations move them to where arithmetic wants them.

A word has 32 / slot slots (two of 16 bits for packed halves, four bytes). A *field* is one code in every slot, at the
same places of each; a *placement* says at which place of its slot every bit of the code is wanted. Masking a word that
was rotated yields one *piece* of a field, so a field in p pieces takes p operations, and every rotation of a word by
another amount takes one more, shared by all fields. All bits of the words are used.

The search looks at one word first, for every small set of rotations (the most fields that are whole in it), and then
puts the remaining bits of all words together, the largest pieces first.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import gcd

Placement = tuple[int, ...]
"""The place in a slot of every bit of a code, the least significant first."""

MOST_ROTATIONS = 2
"""Rotations of one word by other amounts than 0: with more the search takes longer and finds nothing better."""
TRIALS = 32
KEPT = 12
"""Templates of a word that are tried together, the best ones."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The places `targets` (a mask) of a slot, from a word rotated to the right by `rotation` within the slot."""

    word: int
    rotation: int
    targets: int


@dataclass(frozen=True, slots=True)
class Field:
    """One code in every slot."""

    placement: Placement
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Arrangement:
    """Fields that use every bit of `words` words."""

    slot: int
    words: int
    fields: tuple[Field, ...]

    @property
    def versions(self) -> dict[tuple[int, int], int]:
        """The rotated words, by word and rotation, with all the places of a slot that are taken from them."""
        found: dict[tuple[int, int], int] = {}
        for piece in (piece for field in self.fields for piece in field.pieces):
            key = (piece.word, piece.rotation)
            found[key] = found.get(key, 0) | piece.targets
        return found

    @property
    def cost(self) -> int:
        """Operations: masks, and rotations."""
        pieces = [piece for field in self.fields for piece in field.pieces]
        turned = {(piece.word, piece.rotation) for piece in pieces if takes_rotation(piece.rotation, piece.targets)}
        return len(pieces) + len(turned)

    def source(self, field: Field, slot: int, bit: int) -> int:
        """The place in the words, counted in bits, of one bit of the field's code in a slot."""
        place = field.placement[bit]
        piece = next(piece for piece in field.pieces if piece.targets >> place & 1)
        start, rotation = slot * self.slot + place, piece.rotation
        match movement(rotation, self.versions[piece.word, rotation], self.slot):
            case "shl", amount:
                return 32 * piece.word + start - amount
            case _:
                return 32 * piece.word + (start + rotation) % 32


def takes_rotation(rotation: int, targets: int) -> bool:
    """Whether places from a rotated word take an operation besides the masks: whole bytes are moved as they are masked,
    by one permutation.
    """
    whole = all(targets >> start & 0xFF in (0, 0xFF) for start in range(0, targets.bit_length(), 8))
    return rotation != 0 and not (rotation % 8 == 0 and whole)


def movement(rotation: int, targets: int, slot: int) -> tuple[str, int]:
    """The operation that rotates so: a plain shift where no wanted bit crosses the end of a slot."""
    if rotation == 0:
        return "none", 0
    around = ((1 << rotation) - 1) << (slot - rotation)
    if not targets & around:
        return "shr", rotation
    if not targets & ~around:
        return "shl", slot - rotation
    return "rotr", rotation


def words_needed(width: int, slot: int) -> int:
    """The least number of words that codes of `width` bits fill completely."""
    return width // gcd(width, slot)


@lru_cache(maxsize=256)
def arrange(width: int, slot: int, placements: tuple[Placement, ...]) -> Arrangement:
    """An arrangement of codes of `width` bits at one of the placements each, of low cost. Deterministic."""
    words = words_needed(width, slot)
    count = words * slot // width
    found = sorted(templates(slot, placements), key=lambda template: template.estimate(width))[:KEPT]
    chance = random.Random(width * 64 + slot)
    best: Arrangement | None = None
    for trial in range(len(found) if words == 1 else len(found) + TRIALS):
        chosen = [found[trial]] * words if trial < len(found) else [chance.choice(found) for _ in range(words)]
        made = Arrangement(slot, words, assembled(chosen, slot, placements, count))
        if best is None or made.cost < best.cost:
            best = made
    assert best is not None
    return best


# ---- one word --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Template:
    """Fields that are whole in one word: (rotation, placement) each; `left`, the places of a slot that remain."""

    whole: tuple[tuple[int, Placement], ...]
    left: int

    def estimate(self, width: int) -> float:
        """What the word will cost: its remaining bits become fields of two or three pieces."""
        used = {rotation for rotation, placement in self.whole if takes_rotation(rotation, mask_of(placement))}
        return len(used) + len(self.whole) + 2.7 * self.left.bit_count() / width


def templates(slot: int, placements: Sequence[Placement]) -> Iterator[Template]:
    """For every small set of rotations, some of the ways to put the most whole fields in a word.

    Ends with the rotations that leave no bit over: more of them gain nothing.
    """
    masks = [(mask_of(placement), placement) for placement in placements]
    for count in range(min(MOST_ROTATIONS, slot - 1) + 1):
        complete = False
        for others in combinations(range(1, slot), count):
            options: dict[int, tuple[int, Placement]] = {}
            for rotation in (0, *others):
                for mask, placement in masks:
                    options.setdefault(turned(mask, -rotation, slot), (rotation, placement))
            for whole in packings(options, slot):
                chosen = tuple(options[mask] for mask in whole)
                left = (1 << slot) - 1 & ~sum(whole)
                if {rotation for rotation, _ in chosen} >= set(others):
                    yield Template(chosen, left)
                    complete = complete or not left
        if complete:
            return


def packings(options: Collection[int], slot: int, most: int = 3) -> list[tuple[int, ...]]:
    """A few of the largest sets of masks that do not overlap."""
    best: list[tuple[int, ...]] = [()]
    by_low: list[list[int]] = [[] for _ in range(slot)]
    for mask in options:
        by_low[(mask & -mask).bit_length() - 1].append(mask)
    smallest = min(mask.bit_count() for mask in options)
    above = [sum(len(masks) for masks in by_low[place:]) for place in range(slot + 1)]

    def extend(place: int, used: int, skipped: int, chosen: tuple[int, ...]) -> None:
        reachable = len(chosen) + min(above[place], (slot - used.bit_count() - skipped) // smallest)
        if reachable < len(best[0]) or (reachable == len(best[0]) and len(best) >= most):
            return
        if place == slot:
            best[:] = [chosen] if len(chosen) > len(best[0]) else [*best, chosen]
            return
        for mask in by_low[place]:
            if not mask & used:
                extend(place + 1, used | mask, skipped, (*chosen, mask))
        extend(place + 1, used, skipped + (not used >> place & 1), chosen)

    extend(0, 0, 0, ())
    return [packing for packing in best if packing]


def turned(mask: int, rotation: int, slot: int) -> int:
    """The mask rotated to the right within a slot; to the left for a negative amount."""
    rotation %= slot
    return (mask >> rotation | mask << (slot - rotation)) & ((1 << slot) - 1)


# ---- all words -------------------------------------------------------------------------------------------------------


def assembled(chosen: Sequence[Template], slot: int, placements: Sequence[Placement], count: int) -> tuple[Field, ...]:
    """The whole fields of every word, then fields made of the bits that remain."""
    fields: list[Field] = []
    left: list[int] = []
    versions = {(word, 0) for word in range(len(chosen))}
    for word, template in enumerate(chosen):
        for rotation, placement in template.whole:
            fields.append(Field(placement, (Piece(word, rotation, mask_of(placement)),)))
            versions.add((word, rotation))
        left.append(template.left)
    while len(fields) < count:
        tried = [pieced(placement, left, versions, slot) for placement in placements]
        pieces = min(tried, key=lambda each: (price(each, versions), [p.word for p in each]))
        placement = placements[tried.index(pieces)]
        fields.append(Field(placement, tuple(pieces)))
        for piece in pieces:
            left[piece.word] &= ~turned(piece.targets, -piece.rotation, slot)
            versions.add((piece.word, piece.rotation))
    return tuple(fields)


def mask_of(placement: Placement) -> int:
    return sum(1 << place for place in placement)


def price(pieces: Sequence[Piece], versions: set[tuple[int, int]]) -> int:
    """The operations that pieces take beyond the versions of words that are there."""
    return len(pieces) + len({(piece.word, piece.rotation) for piece in pieces} - versions)


def pieced(placement: Placement, left: Sequence[int], versions: set[tuple[int, int]], slot: int) -> list[Piece]:
    """The field put together from remaining bits, the piece that gains most first."""
    wanted, rest = mask_of(placement), list(left)
    pieces: list[Piece] = []
    while wanted:
        best, gain = Piece(0, 0, 0), -1.0
        for word, remaining in enumerate(rest):
            if not remaining:
                continue
            for rotation in range(slot):
                targets = turned(remaining, rotation, slot) & wanted
                value = targets.bit_count() - (0 if (word, rotation) in versions else 0.6) if targets else -1.0
                if value > gain:
                    best, gain = Piece(word, rotation, targets), value
        pieces.append(best)
        wanted &= ~best.targets
        rest[best.word] &= ~turned(best.targets, -best.rotation, slot)
    return pieces
