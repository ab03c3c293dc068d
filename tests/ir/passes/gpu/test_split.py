"""Split-K keeps the sums of integers to the bit, for every number of parts, and floats where `fast` lets it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.generators.shared_work import arguments
from vmc.backends.interp import ExecutionError, run_module
from vmc.backends.interp import run as execute
from vmc.ir.core import Kernel, Module
from vmc.ir.dims import evaluate
from vmc.ir.passes import canonicalize, cse, dce, run
from vmc.ir.passes.gpu.split import MULTIPROCESSORS, split
from vmc.ir.text import parse_module, print_module, structurally_equal
from vmc.lang import compile_kernel

SOURCE = """
kernel product(x: i8[M, K], w: i8[K, N], b: i32[N], y: out i32[M, N]):
    for mi, ni in grid(cdiv(M, 4), cdiv(N, 8)):
        acc = zeros(i32[4, 8])
        for k in range(0, K, 4):
            acc += x[mi*4 : +4, k : +4] @ w[k : +4, ni*8 : +8]
        y[mi*4 : +4, ni*8 : +8] = acc + b[ni*8 : +8]
"""
FLOATS = SOURCE.replace("i32", "f32").replace("i8[", "f32[")


def kernel_of(source: str) -> Kernel:
    kernel = compile_kernel(source, "test.vmc", None, {}).kernel
    return run(Module((kernel,)), (canonicalize, cse, dce)).kernels[0]


def shared(source: str) -> Module:
    return run(Module((kernel_of(source),)), (split, cse, dce), verify=True)


def parts(after: Module, symbols: dict[str, int]) -> int:
    """How many blocks share a loop: 0 where the workspace is empty, as one does it all."""
    return evaluate(after.kernels[0].params[-1].tensor.shape[0], symbols)


@pytest.mark.parametrize(("multiprocessors", "count"), [(1, 0), (5, 5), (1000, 6)])
def test_integers_are_the_same_for_every_number_of_parts(multiprocessors: int, count: int) -> None:
    kernel, after = kernel_of(SOURCE), shared(SOURCE)
    assert [one.name for one in after.kernels] == ["product", "product_sum"]
    symbols = {"M": 3, "K": 147, "N": 13, MULTIPROCESSORS: multiprocessors}
    assert parts(after, symbols) == count
    given = arguments(kernel, symbols, 5)
    expected, found = ([array.copy() for array in given] for _ in range(2))
    execute(kernel, expected, symbols)
    run_module(after, found, symbols, order=lambda number: reversed(range(number)))
    assert (expected[-1] == found[-1]).all()


@pytest.mark.parametrize("k", [0, 3, 33, 48])
def test_few_turns_are_not_shared(k: int) -> None:
    kernel, after = kernel_of(SOURCE), shared(SOURCE)
    symbols = {"M": 9, "K": k, "N": 8, MULTIPROCESSORS: 100}
    given = arguments(kernel, symbols, 5)
    expected, found = ([array.copy() for array in given] for _ in range(2))
    execute(kernel, expected, symbols)
    run_module(after, found, symbols)
    assert (expected[-1] == found[-1]).all()
    assert parts(after, symbols) == (2 if k == 48 else 0)


def test_the_passes_text_is_a_module_and_a_second_run_changes_nothing() -> None:
    after = shared(SOURCE)
    assert structurally_equal(run(after, (split,)), after)
    assert structurally_equal(parse_module(print_module(after)), after)
    assert [note.step for note in after.kernels[0].notes] == ["split"]


def test_floats_are_shared_in_fast_kernels_only() -> None:
    assert len(shared(FLOATS).kernels) == 1
    assert len(shared("fast " + FLOATS.strip()).kernels) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("acc +=", "acc = -acc +"), id="no sum"),
        pytest.param(("acc = zeros(i32[4, 8])", "acc = ones(i32[4, 8])"), id="starts from one"),
        pytest.param(("range(0, K, 4)", "range(0, 64, 4)"), id="constant bounds are shared as well"),
        pytest.param((" @ ", " * "), id="no product"),
        pytest.param(("        for k", '        assert K > 0, "none"\n        for k'), id="an effect before"),
    ],
)
def test_what_is_no_sum_of_products_from_zero_stays(change: tuple[str, str]) -> None:
    source = SOURCE.replace(*change)
    if "*" in change[1]:
        source = source.replace("w[k : +4, ni*8 : +8]", "w[k : +4, 0 : +4]").replace("[4, 8]", "[4, 4]")
        source = source.replace("ni*8 : +8", "ni*4 : +4")
    after = shared(source)
    assert len(after.kernels) == (2 if "64" in change[1] else 1)


def test_a_part_that_is_missing_is_seen() -> None:
    first, second = shared(SOURCE).kernels
    symbols: dict[str, Any] = {"M": 3, "K": 147, "N": 13, MULTIPROCESSORS: 7}
    given = arguments(kernel_of(SOURCE), symbols, 5)
    with pytest.raises(ExecutionError, match=r"workspace0\[0, 0, 0, 0\] is read and was never written"):
        run_module(Module((second,)), given, symbols)
    with pytest.raises(ExecutionError, match=r"workspace0\[0, 1, 0, 0\] is read and was never written"):
        run_module(
            Module((first, second)),
            given,
            symbols,
            order=lambda number: {*range(number)} - {1} if number > 2 else range(number),
        )
