"""Random kernels leave the same bits in memory on the reference machine and as PTX, executed and checked for races.

A failure names a seed and a size: `generate(seed, size)` and `random_arguments(kernel, seed)` bring it back.
"""

from __future__ import annotations

import pytest

from tests.backends.cuda.execution import wrong
from tests.generators.ir_arguments import random_arguments
from tests.generators.ir_modules import generate

SIZES = (6, 12, 20)


def check(seed: int, size: int) -> None:
    module = generate(seed, size)
    arguments, symbols = random_arguments(module.kernels[0], seed)
    assert wrong(module, arguments, symbols) == [], f"generate({seed}, {size}) with {symbols}"


@pytest.mark.parametrize("seed", range(500, 508))
def test_compiled_kernels_leave_what_the_reference_leaves(seed: int) -> None:
    check(seed, SIZES[seed % len(SIZES)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_compiled_kernels_leave_what_the_reference_leaves(seed: int) -> None:
    check(seed, (6, 25, 45)[seed % 3])
