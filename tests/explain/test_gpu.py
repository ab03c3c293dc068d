"""Explanations of kernels for NVIDIA GPUs, on a machine without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from vmc.backends.cuda.disassembly import tool
from vmc.explain.gpu import CHIPS, GpuExplanation

pytestmark = pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")

SOURCE = Path(__file__).parents[2] / "examples" / "matmul_wa16.vmc"


@pytest.fixture(scope="module")
def explained() -> GpuExplanation:
    found = vmc.compile(SOURCE, target="cuda:sm_90a", T="u3", BM=16).explain(M=16, K=4096, N=4096)
    assert isinstance(found, GpuExplanation)
    return found


def test_the_code_is_told_with_registers_spills_and_occupancy(explained: GpuExplanation) -> None:
    assert explained.main.code.registers > 30 and explained.main.code.spills == 0
    assert (explained.main.threads, explained.main.occupancy.blocks > 0) == (128, True)
    assert explained.main.shared == 3 * (16 * 64 * 2 + 64 * 64 * 3 // 8 + 64 * 2)


def test_a_decoded_weight_costs_what_the_main_loop_has_for_it(explained: GpuExplanation) -> None:
    loop = explained.main.main_loop
    assert loop is not None and explained.main.weights == 32
    assert explained.main.instructions_per_weight == loop.arithmetic / 32
    assert loop.conversions == 0


def test_bounds_follow_from_bytes_products_and_instructions(explained: GpuExplanation) -> None:
    memory, products, instructions = explained.bounds
    bytes = 16 * 4096 * 2 * 2 + 4096 * 4096 * 3 // 8 + 32 * 4096 * 2
    assert memory.seconds == pytest.approx(bytes / CHIPS["sm_90a"].bandwidth)
    assert products.seconds == pytest.approx(16 * 4096 * 4096 / CHIPS["sm_90a"].products)
    assert instructions.seconds is not None and instructions.seconds > 0


def test_the_explanation_prints_and_is_json(explained: GpuExplanation) -> None:
    text = str(explained)
    assert "arithmetic instructions each" in text and "pipelining: `x`, `w`, `scale`: 3 stages" in text
    assert json.loads(json.dumps(explained.to_json()))["grids"][0]["code"]["spills"] == 0


def test_without_sizes_there_are_no_times() -> None:
    found = vmc.compile(SOURCE, target="ptx-vm:sm_80", T="u4", BM=16).explain()
    assert isinstance(found, GpuExplanation)
    assert found.bounds == () and "symbols are not set" in str(found)
