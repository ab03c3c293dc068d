"""Occupancy, against examples worked out by hand from the tables of the programming guide."""

import pytest

from vmc.backends.cuda.sass import occupancy


def test_registers_limit_blocks():
    found = occupancy(80, threads=128, registers=128, shared=0)
    assert (found.blocks, found.warps, found.share, found.limit) == (4, 16, 0.25, "registers")


def test_shared_memory_limits_blocks():
    found = occupancy(90, threads=128, registers=32, shared=100 << 10)
    assert (found.blocks, found.limit) == (2, "shared memory")


def test_warps_limit_blocks():
    found = occupancy(80, threads=1024, registers=32, shared=0)
    assert (found.blocks, found.share, found.limit) == (2, 1.0, "warps")


def test_small_blocks_are_limited_in_number():
    found = occupancy(86, threads=32, registers=24, shared=0)
    assert (found.blocks, found.warps, found.limit) == (16, 16, "blocks")


def test_registers_are_given_in_units_to_whole_warps():
    assert occupancy(80, threads=256, registers=33, shared=0).blocks == 6


def test_unknown_chips_are_an_error():
    with pytest.raises(KeyError):
        occupancy(75, 128, 32, 0)
