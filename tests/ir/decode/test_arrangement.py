"""Arrangements use every bit of their words once, and bring every bit to where it is wanted."""

import numpy as np
import pytest

from vmc.ir.decode.arrangement import arrange, movement


def runs(width, mantissa):
    """Codes anywhere within the mantissa."""
    return tuple(tuple(range(low, low + width)) for low in range(mantissa - width + 1))


CASES = [
    *((width, 16, runs(width, 10)) for width in range(1, 9)),
    *((width, 8, (tuple(range(width)),)) for width in range(1, 9)),
    (4, 16, ((9, 10, 11, 15),)),
    (6, 16, ((8, 9, 10, 11, 12, 15),)),
    (7, 16, ((7, 8, 9, 10, 11, 12, 15),)),
    (8, 16, ((7, 8, 9, 10, 11, 12, 13, 15),)),
]


@pytest.mark.parametrize(("width", "slot", "placements"), CASES)
def test_every_bit_of_the_words_is_one_bit_of_one_code(width, slot, placements):
    made = arrange(width, slot, placements)
    places = [
        made.source(field, number, bit) for field in made.fields for number in range(32 // slot) for bit in range(width)
    ]
    assert sorted(places) == list(range(32 * made.words))


@pytest.mark.parametrize(("width", "slot", "placements"), CASES)
def test_rotating_and_masking_brings_the_bits_in_place(width, slot, placements):
    made = arrange(width, slot, placements)
    rng = np.random.default_rng(width)
    words = [int(word) for word in rng.integers(0, 1 << 32, made.words)]
    for field in made.fields:
        gathered = 0
        for piece in field.pieces:
            name, amount = movement(piece.rotation, made.versions[piece.word, piece.rotation], slot)
            word = words[piece.word]
            turned = {
                "none": word,
                "shr": word >> amount,
                "shl": word << amount & 0xFFFFFFFF,
                "rotr": (word >> amount | word << (32 - amount)) & 0xFFFFFFFF,
            }[name]
            gathered |= turned & sum(piece.targets << start for start in range(0, 32, slot))
        for number in range(32 // slot):
            for bit in range(width):
                place = made.source(field, number, bit)
                wanted = words[place // 32] >> place % 32 & 1
                assert gathered >> (number * slot + field.placement[bit]) & 1 == wanted


def test_whole_fields_cost_one_operation_and_shifts_are_shared():
    assert arrange(4, 16, runs(4, 10)).cost == 5
    assert arrange(8, 16, runs(8, 10)).cost == 2


def test_whole_bytes_are_moved_as_they_are_masked():
    rotations = {piece.rotation for field in arrange(8, 16, runs(8, 10)).fields for piece in field.pieces}
    assert rotations == {0, 8}
    assert arrange(8, 16, (tuple(range(2, 10)),)).cost > 2


def test_the_search_is_deterministic():
    arrange.cache_clear()
    first = arrange(3, 16, runs(3, 10))
    arrange.cache_clear()
    assert arrange(3, 16, runs(3, 10)) == first
