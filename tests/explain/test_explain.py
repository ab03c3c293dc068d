"""`Kernel.explain`: what it tells of the examples, and how times follow from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import vmc
from vmc.backends.cpu import limits
from vmc.backends.cpu.limits import Limits
from vmc.explain import Explanation
from vmc.explain.bounds import bounds
from vmc.explain.explanation import LoopCost, Reading, TensorReport
from vmc.ir.cost import Work
from vmc.runtime.compiling import elaborate

EXAMPLES = Path(__file__).parents[2] / "examples"


def explained(
    name: str, target: str = "cpu", settings: dict[str, int | str] | None = None, **sizes: int
) -> Explanation:
    file = EXAMPLES / f"{name}.vmc"
    return elaborate(file.read_text("utf-8"), str(file), None, target, settings or {}).explain(**sizes)


def test_every_tensor_of_a_product_is_found_in_its_code() -> None:
    explanation = explained("matmul_wa8", settings={"T": "u4", "BM": 1}, M=1, K=4096, N=4096)
    assert [tensor.name for tensor in explanation.tensors] == ["x", "w", "scale", "y"]
    assert explanation.tensor("w").bytes == 4096 * 4096 // 2
    assert explanation.bytes == 4096 * 2 + 4096 * 4096 // 2 + 32 * 4096 * 2 + 4096 * 2
    assert all(tensor.load_bits for tensor in explanation.tensors if tensor.access == "in")
    assert explanation.tensor("y").store_bits
    assert explanation.work is not None and explanation.work.multiply_adds == 4096 * 4096
    assert explanation.holds is not None


def test_without_all_symbols_there_are_formulas_and_no_totals() -> None:
    explanation = explained("matmul_wa16", settings={"T": "u4"}, K=128)
    assert explanation.unbound == ("M", "N")
    assert (explanation.work, explanation.bounds, explanation.bytes) == (None, (), None)
    assert explanation.tensor("w").formula.startswith(("K * N * 4", "cdiv(K"))
    assert "not derived: M and N not set" in str(explanation)


def test_json_holds_what_the_data_holds() -> None:
    explanation = explained("scale", N=1000)
    data = json.loads(json.dumps(explanation.to_json()))
    assert {"kernel", "target", "tensors", "work", "decisions", "loops", "limits", "bounds", "bytes"} <= data.keys()
    assert data["bytes"] == 500 + 2 + 2000
    assert len(data["loops"]) == len(explanation.loops)
    assert data["tensors"][2]["store_bits"] == {
        str(bits): times for bits, times in explanation.tensor("y").store_bits.items()
    }


def test_an_older_processor_has_narrower_registers() -> None:
    explanation = explained("scale", target="cpu:x86-64", N=1000)
    assert max(loop.vector_bits for loop in explanation.loops) == 128


def test_only_the_cpu_is_explained() -> None:
    with pytest.raises(vmc.TargetError, match="reads machine code"):
        explained("scale", target="interp", N=1000)


def test_an_extent_that_divides_by_zero_is_an_error() -> None:
    source = "kernel part(n: f32[N], x: f32[N // M], y: out f32[M]):\n    for i in grid(M):\n        y[i] = x[0]\n"
    with pytest.raises(vmc.ArgumentError, match="division by zero"):
        elaborate(source, "part.vmc", None, "cpu", {}).explain(N=8, M=0)


def test_symbols_are_checked() -> None:
    with pytest.raises(vmc.ArgumentError, match="no parameter or symbol `K`"):
        explained("scale", K=3)
    with pytest.raises(vmc.ArgumentError, match="must not be negative"):
        explained("scale", N=-1)


def test_limits_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUFFER", 1 << 20)
    monkeypatch.setattr(limits, "SECONDS", 0.0)
    found = limits.measured(1)
    assert found.is_measured and 1e8 < found.bandwidth < 1e13 and 0.01 < found.multiplications < 16


# Bounds of a made-up kernel: 2**20 weights of 4 bits, 32 rows

LIMITS = Limits(cores=2, bandwidth=1e9, clock=1e9, instructions=4.0, multiplications=2.0)
WEIGHTS = TensorReport("w", "u4[K, N]", "in", None, 4, 1 << 19, 1 << 20, "", 1.0, (), False, {512: 1}, {})
WORK = Work(8, 1 << 25, 0, 0, {"w": 1 << 20}, {})
LOOP = LoopCost(
    *("f", ".L1", 1, True, True, 40, 40, {"multiply": 32}, 512, 0, 32 * 64, 64),
    (Reading("w", {512: 1}, {}, 128.0),),
)


def seconds(work: Work, *loops: LoopCost) -> dict[str, float | None]:
    return {bound.name: bound.seconds for bound in bounds([WEIGHTS], work, loops, LIMITS)}


def test_bounds_follow_from_bytes_products_and_instructions() -> None:
    turns = max((1 << 25) / 2048, (1 << 20) / 128)
    assert seconds(WORK, LOOP) == {
        "memory": pytest.approx((1 << 19) / 2e9),
        "products": pytest.approx((1 << 25) / (64 * 2 * 1e9 * 2)),
        "instructions": pytest.approx(turns * 40 / (4 * 1e9 * 2)),
    }


def test_fewer_blocks_than_cores_leave_cores_idle() -> None:
    assert seconds(replace(WORK, blocks=1), LOOP)["memory"] == pytest.approx((1 << 19) / 1e9)


def test_nothing_is_guessed_where_loops_tell_nothing() -> None:
    silent = replace(LOOP, multiply_adds=None, most_products=0, tensors=(Reading("w", {8: 1}, {}, None),))
    found = seconds(WORK, silent)
    assert (found["products"], found["instructions"]) == (None, None)
