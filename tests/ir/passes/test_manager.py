"""Passes run in order, can be watched, skipped and verified, and say what they promise."""

from __future__ import annotations

import pytest

from tests.generators.ir_modules import generate
from vmc.ir.core import IRError, Module
from vmc.ir.passes import Pass, canonicalize, cse, dce, expansion, pipeline, run
from vmc.ir.passes.catalogue import PASSES
from vmc.ir.text import parse_module


def test_an_observer_sees_what_each_pass_left() -> None:
    seen: list[tuple[str, Module]] = []
    module = run(generate(1), (canonicalize, cse, dce), observe=lambda name, left: seen.append((name, left)))
    assert [name for name, _ in seen] == ["canonicalize", "cse", "dce"]
    assert seen[-1][1] is module


def test_a_skipped_pass_does_not_run() -> None:
    seen: list[str] = []
    run(generate(1), pipeline("cpu"), observe=lambda name, _: seen.append(name), skip=frozenset(["cse", "licm"]))
    assert set(seen) == {step.name for step in pipeline("cpu")} - {"cse", "licm"}


def test_the_reference_vm_needs_no_passes() -> None:
    assert pipeline("interp") == ()


def test_every_pass_of_the_pipeline_is_in_the_table() -> None:
    assert {step.name for step in pipeline("cuda:sm_90a")} <= set(PASSES)


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_states_its_contract(name: str) -> None:
    contract = PASSES[name].contract
    assert all(word in contract for word in ("Needs:", "Guarantees:", "Keeps:"))


def test_verification_catches_a_pass_that_breaks_a_module() -> None:
    broken = parse_module("kernel k() { yield }")
    with pytest.raises(IRError):
        run(generate(1), (Pass("break", lambda module: broken),), verify=True)


def test_a_pass_that_finds_nothing_returns_the_module_itself() -> None:
    module = run(generate(2), pipeline("cpu"))
    module = run(module, pipeline("cpu"))
    for name in ("canonicalize", "fold", "cse", "dce", "licm", "unroll", "bounds", "expand"):
        assert PASSES[name](module) is module, name


def test_expansion_leaves_the_operations_it_is_asked_to_keep() -> None:
    module = parse_module("kernel k(%x: f32) {\n %y = exp %x : f32\n %z = log %y : f32\n yield %z\n}")
    names = [op.name for op in expansion(frozenset(["exp"]))(module).kernels[0].body.ops]
    assert "exp" in names
    assert "log" not in names
