"""Generated programs: the CPU leaves the same bits in memory as the reference VM.

python -m pytest tests/backends/cpu/test_generated.py -k "quick and 17"      # one lot of seeds alone
"""

from __future__ import annotations

import pytest

from tests.backends.cpu.execution import copies, launch
from tests.generators.ir_arguments import differences, random_arguments
from tests.generators.ir_modules import generate
from vmc.backends import cpu, interp
from vmc.ir.core import Module
from vmc.ir.passes import pipeline, run

LOT = 20


def disagreement(seed: int, size: int, level: int) -> list[str]:
    """The tensors in which the two executors differ on the program of a seed; level 3 runs the passes before it."""
    (kernel,) = generate(seed, size).kernels
    arguments, symbols = random_arguments(kernel, seed)
    expected, found = copies(arguments), copies(arguments)
    interp.run(kernel, expected, symbols)
    (kernel,) = run(Module((kernel,)), pipeline("cpu") if level == 3 else ()).kernels
    executable = cpu.compile(kernel, cpu.Options(opt_level=level))
    launch(executable, kernel, found, symbols)
    return differences(kernel, symbols, expected, found)


def check(seeds: range, size: int, level: int) -> None:
    """Fails with the smallest program that some seed gives a wrong answer for."""
    failed = [seed for seed in seeds if disagreement(seed, size, level)]
    if failed:
        shown = next((s for s in range(1, size) if disagreement(failed[0], s, level)), size)
        found = disagreement(failed[0], shown, level)
        pytest.fail(f"seeds {failed}; smallest: disagreement({failed[0]}, {shown}, {level}) is {found}")


@pytest.mark.parametrize("lot", range(10))
def test_quick_code_agrees_on_generated_programs(lot: int) -> None:
    check(range(lot * LOT, (lot + 1) * LOT), 14, 1)


@pytest.mark.parametrize("lot", range(6))
def test_optimized_code_agrees_on_generated_programs(lot: int) -> None:
    check(range(1000 + lot * LOT, 1000 + (lot + 1) * LOT), 16, 3)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_all_levels_agree_on_many_generated_programs(level: int) -> None:
    check(range(10_000 * (level + 1), 10_000 * (level + 1) + 500), 40, level)
