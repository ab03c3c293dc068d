"""Random kernels give the same bits before and after every pass, and after the pipeline with any pass left out.

A failure names a seed and a size: `generate(seed, size)` and `random_arguments(kernel, seed)` bring it back, and
`smallest` finds the smallest size at which that seed fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.generators.ir_arguments import differences, random_arguments
from tests.generators.ir_modules import generate
from vmc.backends.interp import run as execute
from vmc.ir.core import Kernel, Module
from vmc.ir.passes import pipeline, run
from vmc.ir.passes.catalogue import PASSES
from vmc.ir.text import print_module, structurally_equal

SEEDS = range(30)
SIZES = (6, 25, 45)


def results(kernel: Kernel, arguments: Sequence[Any], symbols: dict[str, int]) -> list[Any]:
    """The arguments after a launch on copies of them."""
    copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    execute(kernel, copies, symbols)
    return copies


def disagreement(seed: int, size: int, rewrite: Callable[[Module], Module]) -> str | None:
    """What differs after a rewrite of a random module; None where nothing does."""
    module = generate(seed, size)
    kernel = module.kernels[0]
    arguments, symbols = random_arguments(kernel, seed)
    rewritten = rewrite(module)
    expected = results(kernel, arguments, symbols)
    found = results(rewritten.kernels[0], arguments, symbols)
    wrong = differences(kernel, symbols, expected, found)
    return f"generate({seed}, {size}): {wrong} with {symbols}\n{print_module(rewritten)}" if wrong else None


def smallest(seed: int, rewrite: Callable[[Module], Module], most: int) -> str | None:
    """The disagreement at the smallest size that has one."""
    found = (disagreement(seed, size, rewrite) for size in range(1, most + 1))
    return next((text for text in found if text is not None), None)


def check(seed: int, rewrite: Callable[[Module], Module]) -> None:
    size = SIZES[seed % len(SIZES)]
    wrong = disagreement(seed, size, rewrite)
    if wrong is not None:
        pytest.fail(smallest(seed, rewrite, size) or wrong)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PASSES)
def test_a_pass_keeps_every_bit(name: str, seed: int) -> None:
    check(seed, lambda module: run(module, (PASSES[name],), verify=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pipeline_keeps_every_bit(seed: int) -> None:
    check(100 + seed, lambda module: run(module, pipeline("cpu"), verify=True))


@pytest.mark.parametrize("seed", SEEDS[:8])
@pytest.mark.parametrize("name", PASSES)
def test_the_pipeline_without_a_pass_keeps_every_bit(name: str, seed: int) -> None:
    check(200 + seed, lambda module: run(module, pipeline("cpu"), verify=True, skip=frozenset([name])))


@pytest.mark.parametrize("seed", SEEDS[:20])
@pytest.mark.parametrize("name", [name for name in PASSES if "Idempotent" in PASSES[name].contract])
def test_a_pass_that_promises_it_changes_nothing_the_second_time(name: str, seed: int) -> None:
    once = run(generate(300 + seed, 40), (PASSES[name],))
    assert structurally_equal(run(once, (PASSES[name],)), once)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 2500))
def test_the_pipeline_keeps_every_bit_of_many_kernels(seed: int) -> None:
    check(seed, lambda module: run(module, pipeline("cpu"), verify=True))
