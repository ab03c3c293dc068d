"""Work that blocks share becomes a launch of its own: it keeps every bit, where it pays, and the reference VM sees what
goes wrong between launches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.generators.ir_arguments import differences
from tests.generators.shared_work import arguments, kernels
from vmc.backends.interp import ExecutionError, run_module
from vmc.backends.interp import run as execute
from vmc.ir.core import Kernel, Module, Op, Region, Space, TensorType, walk
from vmc.ir.passes import canonicalize, cse, dce, licm, pipeline, run
from vmc.ir.passes.gpu.launches import launches
from vmc.ir.passes.gpu.payoff import fits_workspace
from vmc.ir.passes.hoist import hoisting
from vmc.ir.text import parse_module, print_module, structurally_equal
from vmc.ir.types import dtype
from vmc.lang import compile_kernel

EXAMPLES = Path(__file__).parents[4] / "examples"
WHEREVER = hoisting(lambda candidate: fits_workspace(candidate.once))
"""`hoist` without a look at costs."""
NORMALIZED = """
kernel normalized[BM = 2, BN = 4, G = 4](x: f32[M, K], w: f32[K, N], y: out f32[M, N]):
    for h, mi, ni in grid(3, cdiv(M, BM), cdiv(N, BN)):
        top = zeros(f32[BM, 1])
        for k in range(0, K, G):
            top = max(top, max(abs(x[mi*BM : +BM, k : +G]), axis=1, keepdims=true))
        acc = zeros(f32[BM, BN])
        for k in range(0, K, G):
            acc += exp(x[mi*BM : +BM, k : +G] / max(top, 1.0)) @ w[k : +G, ni*BN : +BN]
        if h == 1:
            y[mi*BM : +BM, ni*BN : +BN] = acc
"""


def kernel_of(source: str, **bindings: Any) -> Kernel:
    return compile_kernel(source, "test.vmc", None, bindings).kernel


def example(name: str, **bindings: Any) -> Kernel:
    return kernel_of((EXAMPLES / f"{name}.vmc").read_text(), **bindings)


def separated(kernel: Kernel) -> Module:
    return run(Module((kernel,)), (canonicalize, cse, dce, licm, cse, WHEREVER, launches, dce), verify=True)


def chosen(kernel: Kernel, arch: str = "sm_80") -> Module:
    """After the passes of a GPU up to `launches`, and without what lost its last use."""
    steps = list(pipeline(f"cuda:{arch}"))
    last = next(place for place, step in enumerate(steps) if step.name == "launches")
    return run(Module((kernel,)), steps[: last + 2], verify=True)


def backwards(count: int) -> Iterable[int]:
    return reversed(range(count))


def wrong(kernel: Kernel, after: Module, given: list[Any], symbols: dict[str, int], **options: Any) -> list[str]:
    """The tensors in which the launches differ from the kernel."""
    expected, found = ([array.copy() for array in given] for _ in range(2))
    execute(kernel, expected, symbols)
    run_module(after, found, symbols, **options)
    return differences(kernel, symbols, expected, found)


@given(kernels())
@settings(max_examples=60)
def test_random_kernels_keep_every_bit(case: tuple[Kernel, list[Any], dict[str, int]]) -> None:
    kernel, given, symbols = case
    after = run(Module((kernel,)), (WHEREVER, launches), verify=True)
    for order in (None, backwards):
        assert not wrong(kernel, after, given, symbols, order=order), print_module(after)
    assert structurally_equal(run(after, (launches,)), after)
    assert structurally_equal(parse_module(print_module(after)), after)


def test_what_a_block_finds_first_and_what_a_loop_makes_with_it_are_a_launch_each() -> None:
    kernel = kernel_of(NORMALIZED)
    after = separated(kernel)
    assert [one.name for one in after.kernels] == ["normalized_once", "normalized_once2", "normalized"]
    assert [len(one.body.ops[-2].operands) for one in after.kernels] == [1, 2, 3]
    for m, k, n in ((1, 4, 4), (5, 9, 7), (4, 0, 8), (3, 5, 0)):
        symbols = {"M": m, "K": k, "N": n}
        given = arguments(kernel, symbols, 3)
        assert not wrong(kernel, after, given, symbols)


def test_activations_are_quantized_by_a_launch_and_the_product_reads_bytes() -> None:
    first, second = chosen(example("matmul_wa8", T=dtype("u4"))).kernels
    assert (first.name, second.name) == ("matmul_wa8_once", "matmul_wa8")
    names = [{op.name for op in walk(one.body)} for one in (first, second)]
    assert {"div", "round", "reduce"} <= names[0] and not {"div", "round", "reduce"} & names[1]
    workspace = [p.tensor for p in second.params if isinstance(p.type, TensorType) and p.type.space is Space.WORKSPACE]
    shapes = [(type.dtype.name, *map(str, type.shape)) for type in workspace]
    rows, turns = "(cdiv(M, 16) * 16)", "cdiv(K, 128)"
    assert shapes == [("i8", rows, f"({turns} * 128)"), ("i32", turns, rows), ("f32", turns, rows)]
    assert [note.text for note in second.notes if note.step == "launches"] != []


@pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(example("matmul_wa16", T=dtype("u4")), id="a factor that is only loaded"),
        pytest.param(kernel_of(NORMALIZED), id="tiles too small for a launch"),
        pytest.param(
            kernel_of((EXAMPLES / "matmul_wa8.vmc").read_text().replace("w: T[K, N]", "w: T[K, 128]")
                      .replace("K, G), N]", "K, G), 128]").replace("[M, N]", "[M, 128]").replace("cdiv(N, BN)", "2")
                      .replace("[M, K]", "[M, 256]").replace("T[K, 128]", "T[256, 128]").replace("cdiv(K, G)", "2")
                      .replace("range(0, K, G)", "range(0, 256, G)"), T=dtype("u4")),
            id="few blocks and few turns",
        ),
        pytest.param(kernel_of((EXAMPLES / "matmul_wa8.vmc").read_text().replace("cdiv(N, BN)", "1"), T=dtype("u4")),
                     id="one column of blocks"),
    ],
)  # fmt: skip
def test_work_that_does_not_pay_stays(kernel: Kernel) -> None:
    assert len(chosen(kernel).kernels) == 1


def test_a_tensor_that_two_launches_read_stays_as_declared() -> None:
    source = """
kernel both(x: f16[M, K], w: u4[K, N], y: out f16[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, 64)):
        acc = zeros(f32[16, 64])
        for k in range(0, K, 128):
            q = i8(round(f32(x[mi*16 : +16, k : +128]) * sqrt(f32(w[k : +128, 0]))))
            acc += f32(q) @ f32(w[k : +128, ni*64 : +64])
        y[mi*16 : +16, ni*64 : +64] = f16(acc)
"""
    after = run(Module((kernel_of(source),)), pipeline("cuda:sm_80"), verify=True)
    assert len(after.kernels) == 2
    assert all(kernel.storages["w"] is None for kernel in after.kernels)


# ---- planted faults --------------------------------------------------------------------------------------------------


def example_launch(after: Module, kernel: Kernel) -> None:
    symbols = {"M": 5, "K": 9, "N": 7}
    run_module(after, arguments(kernel, symbols, 3), symbols)


def test_a_launch_that_is_left_out_is_seen() -> None:
    kernel = kernel_of(NORMALIZED)
    _, *others = separated(kernel).kernels
    with pytest.raises(ExecutionError, match=r"workspace0\[0\] is read and was never written"):
        example_launch(Module(tuple(others)), kernel)


def test_launches_in_the_wrong_order_are_seen() -> None:
    kernel = kernel_of(NORMALIZED)
    first, second, third = separated(kernel).kernels
    with pytest.raises(ExecutionError, match="is read and was never written"):
        example_launch(Module((first, third, second)), kernel)


def test_tiles_of_all_keys_in_one_place_are_seen_as_a_race() -> None:
    kernel = kernel_of(NORMALIZED)
    first, *others = separated(kernel).kernels
    with pytest.raises(ExecutionError, match=r"block \(1\) writes workspace0\[0\], which block \(0\) writes, too"):
        example_launch(Module((without_keys(first), *others)), kernel)


def without_keys(kernel: Kernel) -> Kernel:
    """The kernel with the stores of every block where the first one has its own."""

    def moved(op: Op) -> Op:
        starts = (zero.result,) * (len(op.operands) - 2)
        return replace(op, operands=(*op.operands[:2], *starts)) if op.name == "store" else op

    grid = kernel.body.ops[-2]
    (block,) = grid.regions
    zero = next(op for op in block.ops if op.name == "constant" and op.result.type == grid.operands[0].type)
    zero = replace(zero, attrs={**zero.attrs, "code": 0}, results=(replace(zero.result),))
    region = Region(block.args, (zero, *map(moved, block.ops)))
    return kernel.with_body(Region((), (*kernel.body.ops[:-2], replace(grid, regions=(region,)), kernel.body.ops[-1])))


def test_results_do_not_depend_on_the_order_of_blocks() -> None:
    kernel = example("matmul_wa8", T=dtype("u3"), BM=4, BN=8, G=16)
    after = separated(kernel)
    assert len(after.kernels) == 2
    for seed, (m, k, n) in enumerate([(1, 16, 8), (9, 39, 17), (4, 0, 8)]):
        symbols = {"M": m, "K": k, "N": n}
        given = arguments(kernel, symbols, seed)
        for order in (None, backwards, np.random.default_rng(seed).permutation):
            assert not wrong(kernel, after, given, symbols, order=order)
