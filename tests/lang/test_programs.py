"""Random programs give the same bits on the reference VM and on the CPU."""

from __future__ import annotations

import pytest

from tests.generators.programs import program
from tests.lang.running import compare_targets
from vmc.lang import compile_kernel


def run_seed(seed: int) -> None:
    """Raises AssertionError with the program where the executors disagree."""
    generated = program(seed)
    elaborated = compile_kernel(generated.source, f"program-{seed}.vmc", None, {})
    try:
        compare_targets(elaborated.kernel, seed, generated.symbols)
    except Exception as error:
        raise AssertionError(f"seed {seed}, symbols {generated.symbols}:\n{generated.source}") from error


def test_a_program_that_llvm_failed_an_assertion_on_compiles() -> None:
    run_seed(609)


@pytest.mark.parametrize("batch", [*range(10), *(pytest.param(n, marks=pytest.mark.slow) for n in range(10, 25))])
def test_random_programs_run_alike_on_the_reference_vm_and_the_cpu(batch: int) -> None:
    for seed in range(20 * batch, 20 * batch + 20):
        run_seed(seed)
