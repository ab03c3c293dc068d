"""`hoist` moves what blocks share, no more, and keeps every bit; notes say what moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.generators.ir_arguments import differences
from tests.generators.shared_work import arguments, kernels
from vmc.backends.interp import run as execute
from vmc.ir.core import Kernel, Module, Op, walk
from vmc.ir.passes import hoist, pipeline, run
from vmc.ir.text import parse_module, print_module, structurally_equal
from vmc.lang import compile_kernel

EXAMPLE = Path(__file__).parents[3] / "examples" / "matmul_wa8.vmc"
NORMALIZED = """
kernel normalized[BM = 2, BN = 4, G = 4](x: f32[M, K], w: f32[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        top = zeros(f32[BM, 1])
        for k in range(0, K, G):
            top = max(top, max(abs(x[mi*BM : +BM, k : +G]), axis=1, keepdims=true))
        acc = zeros(f32[BM, BN])
        for k in range(0, K, G):
            acc += exp(x[mi*BM : +BM, k : +G] / max(top, 1.0)) @ w[k : +G, ni*BN : +BN]
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""


def matmul(**bindings: Any) -> Kernel:
    return compile_kernel(EXAMPLE.read_text(), str(EXAMPLE), None, bindings).kernel


def lowered(kernel: Kernel, skip: Sequence[str] = (), dense: frozenset[str] = frozenset()) -> Kernel:
    (result,) = run(Module((kernel,)), pipeline("cpu", dense), verify=True, skip=frozenset(skip)).kernels
    return result


def named(kernel: Kernel, name: str) -> list[Op]:
    return [op for op in walk(kernel.body) if op.name == name]


def after(kernel: Kernel, given: Sequence[Any], symbols: dict[str, int]) -> list[Any]:
    """The arguments as the reference VM leaves them."""
    copies = [value.copy() for value in given]
    execute(kernel, copies, symbols)
    return copies


def assert_same(a: Kernel, b: Kernel, given: Sequence[Any], symbols: dict[str, int]) -> None:
    wrong = differences(a, symbols, after(a, given, symbols), after(b, given, symbols))
    assert not wrong, f"{wrong} with {symbols}\n{print_module(Module((b,)))}"


def test_the_activations_of_a_product_are_quantized_once_for_a_row_of_blocks() -> None:
    kernel = lowered(matmul(T="u4"), ["prefetch"])
    (once,) = named(kernel, "once")
    assert [operand.name for operand in once.operands] == ["mi"]
    moved, loop = named_in(once), named_in(next(op for op in named(kernel, "for") if op.results))
    assert {"div", "abs", "max", "reduce"} <= moved
    assert loop == {"load", "cast", "fma", "mul", "floordiv", "broadcast", "dot_short", "yield"}
    shapes = {str(result.tensor.dtype.name): tuple(map(str, result.tensor.shape)) for result in once.results}
    column = ("cdiv(K, 128)", "16", "1")
    assert shapes == {"i8": ("16", "(cdiv(K, 128) * 128)"), "i32": column, "f32": column}


def named_in(op: Op) -> set[str]:
    return {inner.name for region in op.regions for inner in walk(region)}


def test_a_note_says_what_is_kept_and_how_many_bytes() -> None:
    (note,) = [note for note in lowered(matmul(T="u4")).notes if note.step == "hoist"]
    assert "once for each mi" in note.text
    assert "i8[16, 128]" in note.text
    assert f"(cdiv(K, 128) * {16 * 128 + 2 * 16 * 4}) bytes" in note.text
    assert note.span.line == 7


@pytest.mark.parametrize("type", ["u1", "u3", "u4", "i4", "i8", "f4e2m1", "f8e4m3"])
def test_a_product_has_the_same_bits_with_the_pass_and_without(type: str) -> None:
    kernel = matmul(T=type, BM=4, BN=8, G=16)
    on, off = lowered(kernel), lowered(kernel, ["hoist"])
    assert named(on, "once") and not named(off, "once")
    for seed, (m, k, n) in enumerate([(1, 16, 8), (5, 33, 9), (9, 7, 17), (8, 64, 24), (4, 0, 8)]):
        symbols = {"M": m, "K": k, "N": n}
        assert_same(off, on, arguments(kernel, symbols, seed), symbols)


def test_what_a_block_finds_first_and_what_a_loop_makes_with_it_are_both_kept() -> None:
    kernel = compile_kernel(NORMALIZED, "test.vmc", None, {}).kernel
    on, off = lowered(kernel), lowered(kernel, ["hoist"])
    assert len(named(on, "once")) == 2
    for seed, (m, k, n) in enumerate([(1, 4, 4), (5, 9, 7), (4, 16, 8)]):
        symbols = {"M": m, "K": k, "N": n}
        assert_same(off, on, arguments(kernel, symbols, seed), symbols)


def test_what_depends_on_no_index_is_computed_once_in_a_launch() -> None:
    source = NORMALIZED.replace("mi*BM : +BM, k", "0 : +BM, k")
    kernel = lowered(compile_kernel(source, "test.vmc", None, {}).kernel)
    assert [op.operands for op in named(kernel, "once")] == [(), ()]
    assert any("once in a launch" in note.text for note in kernel.notes)


def test_a_grid_of_three_indices_is_keyed_by_those_that_matter() -> None:
    source = NORMALIZED.replace("for mi, ni in grid(", "for h, mi, ni in grid(3, ")
    source = source.replace("y: out f32[M, N]", "y: out f32[3, M, N]").replace("y[mi", "y[h, mi")
    kernel = compile_kernel(source, "test.vmc", None, {}).kernel
    on = lowered(kernel)
    assert [[key.name for key in op.operands] for op in named(on, "once")] == [["mi"], ["mi"]]
    symbols = {"M": 5, "K": 6, "N": 7}
    assert_same(kernel, on, arguments(kernel, symbols, 0), symbols)


@given(kernels())
@settings(max_examples=100)
def test_random_kernels_keep_every_bit(case: tuple[Kernel, list[Any], dict[str, int]]) -> None:
    kernel, given, symbols = case
    moved = run(Module((kernel,)), (hoist,), verify=True)
    assert_same(kernel, moved.kernels[0], given, symbols)
    assert structurally_equal(run(moved, (hoist,)), moved)
    assert structurally_equal(parse_module(print_module(moved)), moved)


@given(kernels())
@settings(max_examples=40)
def test_the_pipeline_keeps_every_bit_of_random_kernels(case: tuple[Kernel, list[Any], dict[str, int]]) -> None:
    kernel, given, symbols = case
    assert_same(kernel, lowered(kernel), given, symbols)
