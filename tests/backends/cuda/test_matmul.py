"""examples/matmul_wa16.vmc for GPUs: executed by the PTX machine, and its machine code read back."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from vmc.backends.cuda.disassembly import tool
from vmc.backends.cuda.sass import Kind, parse, report, resources
from vmc.runtime.stages import stage_text

SOURCE = Path(__file__).parents[3] / "examples" / "matmul_wa16.vmc"
INTEGERS = [*(f"u{width}" for width in range(1, 9)), *(f"i{width}" for width in range(2, 9))]
FLOATS = [f"f{width}e{e}m{width - 1 - e}" for width in range(3, 9) for e in range(1, width)]
BYTES = SOURCE.with_name("matmul_wa8.vmc")
QUICK = ["u3", "i8", "f6e3m2"]
ROUNDING = {"f16": 2.0**-11, "bf16": 2.0**-8}
ARRAYS = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}


def problem(name: str, activations: str, m: int, k: int, n: int) -> tuple[Any, ...]:
    """x, codes, scale, the exact product, and the sums of magnitudes that its error is measured by."""
    type, rng = vmc.dtype(name), np.random.default_rng(7)
    codes = rng.integers(0, 1 << type.width, (k, n)).astype(np.uint8)
    values = type.decode(codes).astype(np.float64) - type.zero_point
    usable = np.abs(values) < 500
    codes, values = np.where(usable, codes, 0).astype(np.uint8), np.where(usable, values, -type.zero_point)
    x = rng.normal(size=(m, k)).astype(ARRAYS[activations])
    scale = (0.5 + rng.random((-(-k // 128), n))).astype(np.float16)
    with np.errstate(over="ignore"):
        weights = values.astype(np.float16).astype(np.float64) * np.repeat(scale.astype(np.float64), 128, axis=0)[:k]
    wide = x.astype(np.float64)
    return x, codes, scale, wide @ weights, np.abs(wide) @ np.abs(weights)


def difference(name: str, activations: str, m: int, k: int, n: int, **bindings: Any) -> float:
    """The largest error of the kernel in the PTX machine, over what rounding allows."""
    x, codes, scale, exact, magnitude = problem(name, activations, m, k, n)
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T=name, X=activations, **bindings)
    y = np.full((m, n), np.nan).astype(ARRAYS[activations])
    kernel(x, kernel.pack("w", codes), scale, y)
    allowed = (k + 4) * 2.0**-24 * magnitude + 1.01 * ROUNDING[activations] * np.abs(exact) + 2.0**-25
    return float((np.abs(y.astype(np.float64) - exact) / allowed).max())


@pytest.mark.parametrize("name", QUICK)
def test_a_product_is_within_rounding(name: str) -> None:
    assert difference(name, "f16", 16, 128, 64, BM=16) <= 1


@pytest.mark.parametrize("name", ["u8", "f8e4m3"])
def test_activations_of_bf16_are_multiplied_by_weights_decoded_to_bf16(name: str) -> None:
    assert difference(name, "bf16", 16, 128, 64, BM=16) <= 1
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T=name, X="bf16", BM=16)
    assert "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" in stage_text(kernel, "ptx")


@pytest.mark.parametrize("name", ["u3", "i4", "f4e2m1"])
def test_activations_of_eight_bits_are_multiplied_as_bytes_with_the_bits_of_the_reference(name: str) -> None:
    x, codes, scale, _, _ = problem(name, "f16", 16, 256, 64)
    found = []
    for target in ("ptx-vm:sm_80", "interp"):
        kernel = vmc.compile(BYTES, target=target, T=name)
        y = np.zeros((16, 64), np.float16)
        kernel(x, kernel.pack("w", codes), scale, y)
        found.append(y)
        if target != "interp":
            counted = kernel._launcher.report
            assert counted.instructions["mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32"] == 64
            assert (counted.bank_conflicts, counted.barriers) == (0, 2)
            assert {text.split(".")[0] for text in counted.instructions if text.startswith("ld.global")} == set()
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize(
    ("name", "half"), [("f8e4m3", "f16"), ("f8e5m2", "f16"), ("f6e3m2", "f16"), ("f8e6m1", "bf16")]
)
def test_bytes_and_floats_of_wide_range_are_multiplied_as_halves(name: str, half: str) -> None:
    """i8 and the codes' values are numbers of f16, or of bf16, so that the product of f32 is one of these. Those of
    f6e3m2 would be two bytes each."""
    m, k, n = 19, 256, 72
    x, codes, scale, _, magnitude = problem(name, "f16", m, k, n)
    found = []
    for target in ("ptx-vm:sm_80", "interp"):
        kernel = vmc.compile(BYTES, target=target, T=name)
        y = np.zeros((m, n), np.float16)
        kernel(x, kernel.pack("w", codes), scale, y)
        found.append(y.astype(np.float64))
        if target != "interp":
            assert f"mma.sync.aligned.m16n8k16.row.col.f32.{half}.{half}.f32" in stage_text(kernel, "ptx")
    allowed = (k + 8) * 2.0**-24 * 1.1 * magnitude + 2.0**-10 * np.abs(found[1])
    assert (np.abs(found[0] - found[1]) <= allowed).all()


def test_scaling_and_adding_is_one_operation_in_fast_kernels_and_two_in_strict_ones() -> None:
    fast = vmc.compile(SOURCE, target="ptx-vm:sm_80", T="u4", BM=16)
    strict = vmc.compile(
        SOURCE.read_text("utf-8").replace("fast kernel", "kernel"), target="ptx-vm:sm_80", T="u4", BM=16
    )
    assert "fma.rn.f32" in stage_text(fast, "ptx")
    assert "fma.rn.f32" not in stage_text(strict, "ptx")


def test_sizes_that_no_tile_divides_are_guarded() -> None:
    assert difference("u5", "f16", 19, 203, 71, BM=16) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_a_product_is_within_rounding_at_every_width(name: str) -> None:
    assert difference(name, "f16", 7, 150, 70, BM=16) <= 1
    assert difference(name, "f16", 35, 128, 128, BM=32, BN=128, BK=128) <= 1


@pytest.mark.parametrize("k", [128, 384, 392, 520])
def test_turns_and_rows_that_are_whole_and_such_that_are_not_give_the_same_product(k: int) -> None:
    assert difference("u4", "f16", 3, k, 72, BM=16, BK=128, BN=64) <= 1


@pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")
@pytest.mark.parametrize(("name", "most"), [("u4", 1.5), ("u8", 1.5), ("u3", 1.7), ("f6e3m2", 1.6), ("f8e4m3", 0.9)])
def test_the_main_loop_has_few_operations_beside_those_that_decode(name: str, most: float) -> None:
    found = vmc.compile(SOURCE, target="cuda:sm_90a", T=name, BM=16, BN=128, BK=128).explain().main
    assert (found.weights, found.code.spills) == (128, 0)
    assert found.instructions_per_weight <= most


@pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")
@pytest.mark.parametrize(
    ("tile", "weights", "most", "instructions"),
    [
        ({}, 32, 4.1, 225),
        ({"BN": 128}, 32, 3.8, 210),
        ({"BM": 16}, 32, 2.6, 130),
        ({"BM": 32, "BN": 128}, 64, 2.3, 225),
    ],
    ids=str,
)
def test_what_turns_have_in_common_is_computed_once(
    tile: dict[str, int], weights: int, most: float, instructions: int
) -> None:
    """Of the 4.0 instructions for a weight by wgmma 1.1 decode it, and 1 scales the sums."""
    found = vmc.compile(SOURCE, target="cuda:sm_90a", T="u4", **tile).explain().main
    assert (found.weights, found.code.spills, found.code.stack) == (weights, 0, 0)
    assert found.instructions_per_weight <= most and found.main_loop.instructions <= instructions


@pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")
@pytest.mark.parametrize("name", QUICK)
def test_the_machine_code_has_matrix_instructions_and_neither_conversions_nor_spills(name: str) -> None:
    from vmc.runtime.cuda import compiled

    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T=name, BM=16)
    made = compiled(kernel._tile, "cuda:sm_90a")
    from vmc.backends.cuda.disassembly import sass

    functions = {function.name: function for function in parse(sass(made.cubin))}
    found = report(functions[made.main.entry], resources(made.cubin)[made.main.entry])
    loop = found.main_loop
    assert loop is not None and loop.products == 4 * 2 * 2048
    assert (found.spills, found.stack, loop.kinds.get(Kind.CONVERT, 0)) == (0, 0, 0)


def test_weights_as_declared_are_decoded_as_well() -> None:
    x, codes, scale, exact, magnitude = problem("u5", "f16", 16, 64, 32)
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T="u5", BM=16, BN=32)
    y = np.full((16, 32), np.nan, np.float16)
    kernel(x, vmc.pack(codes, "u5"), scale, y)
    allowed = 68 * 2.0**-24 * magnitude + 1.01 * 2.0**-11 * np.abs(exact) + 2.0**-25
    assert (np.abs(y.astype(np.float64) - exact) <= allowed).all()


@pytest.mark.parametrize("name", QUICK)
def test_the_main_loop_has_no_bank_conflicts_and_waits_once_a_turn(name: str) -> None:
    x, codes, scale, _, _ = problem(name, "f16", 16, 256, 64)
    kernel = vmc.compile(SOURCE, target="ptx-vm:sm_80", T=name, BM=16)
    y = np.zeros((16, 64), np.float16)
    kernel(x, kernel.pack("w", codes), scale, y)
    found = kernel._launcher.report
    assert (found.bank_conflicts, found.barriers) == (0, 4)
    staged = [each for each in found.traffic if each.text.startswith("cp.async")]
    assert all(each.excess == 0 for each in staged)
