"""Places in shared memory as sums, and chunks dealt to threads."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from vmc.backends.cuda.copies import dealt
from vmc.backends.cuda.places import led, of_bits

THREADS = 128


def evaluated(values: np.ndarray) -> list[int] | None:
    found = of_bits(values)
    return None if found is None else [found.at(thread) for thread in range(len(values))]


def test_columns_that_differ_by_a_constant_have_one_leader() -> None:
    threads = np.arange(THREADS)
    table = np.stack([threads * 16, threads ^ 3, threads * 16 + 4096, (threads ^ 3) + 8], axis=1)
    assert led(table) == [(0, 0), (1, 0), (0, 4096), (1, 8)]


def test_swizzled_places_are_sums_without_carries() -> None:
    rows, chunks = np.arange(THREADS) // 8, np.arange(THREADS) % 8
    swizzled = rows * 128 + (chunks ^ rows % 8) * 16
    assert evaluated(swizzled + 4096) == (swizzled + 4096).tolist()
    found = of_bits(swizzled)
    assert found is not None and found.joined == "BitwiseXor"
    plain = of_bits(rows * 128 + chunks * 16)
    assert plain is not None and plain.terms == ((0, 128, 16),)


def test_places_that_are_no_sums_of_bits_are_refused() -> None:
    assert evaluated(np.arange(THREADS) ** 2) is None
    assert evaluated(np.arange(96) // 3) is None


@pytest.mark.parametrize(
    ("rows", "columns"), [(16, 16), (64, 16), (4, 96), (4, 128), (1, 16), (16, 4), (3, 5), (1, 512)]
)
def test_every_chunk_is_dealt_once(rows: int, columns: int) -> None:
    deal = dealt(rows, columns, THREADS)
    found = []
    for thread in range(THREADS):
        for piece in range(deal.count):
            if deal.below is None or thread + piece * THREADS < deal.below:
                row, column = deal.at(piece, thread)
                found.append(row * columns + column)
    assert sorted(found) == list(range(rows * columns))


def test_threads_stand_along_lines_as_far_as_memory_gives_at_once() -> None:
    assert (dealt(16, 16, THREADS).wide, dealt(4, 96, THREADS).wide, dealt(16, 4, 64).wide) == (8, 32, 4)
    assert dealt(3, 5, THREADS).wide == 0
