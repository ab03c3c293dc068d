"""The rewriting kit keeps what does not change, and replaces, copies and expands what does."""

from __future__ import annotations

import pytest

from tests.generators.ir_modules import generate
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Kernel, Module, Op, Region, TileType, Value, walk
from vmc.ir.opdef import OpDef
from vmc.ir.passes import expand
from vmc.ir.passes.rewrite import Rewriter, until_stable
from vmc.ir.text import parse_module, print_module
from vmc.ir.types import dtype
from vmc.ir.verifier import verify

F32 = TileType(dtype("f32"))


def test_a_rule_that_finds_nothing_returns_the_same_kernel() -> None:
    kernel = generate(5, 40).kernels[0]
    assert Rewriter(lambda op, rewriter: None).kernel(kernel) is kernel


def test_what_does_not_change_is_not_rebuilt() -> None:
    kernel = parse_module(
        "kernel k(%c: u1, %x: i32) {\n"
        '  if %c {results = []} {\n    print %x {text = ""}\n    yield\n  } {\n    yield\n  }\n'
        "  %y = neg %x : i32\n  yield %y\n}"
    ).kernels[0]

    def rule(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        return (rewriter.emit("abs", *op.operands),) if op.name == "neg" else None

    rewritten = Rewriter(rule).kernel(kernel)
    assert rewritten.body.ops[0] is kernel.body.ops[0]
    assert [op.name for op in rewritten.body.ops] == ["if", "abs", "yield"]


def test_an_emitted_operation_has_the_span_of_the_one_it_replaces() -> None:
    kernel = parse_module("kernel k(%x: i32) {\n  %y = neg %x : i32\n  yield %y\n}").kernels[0]

    def rule(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        return (rewriter.emit("abs", *op.operands),) if op.name == "neg" else None

    assert Rewriter(rule).kernel(kernel).body.ops[0].span == kernel.body.ops[0].span


@pytest.mark.parametrize("seed", range(20))
def test_inlined_copies_share_no_values(seed: int) -> None:
    def rule(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        if op.name != "for":
            return None
        once = rewriter.inline(op.regions[0], (op.operands[0], *op.operands[3:]))
        return rewriter.inline(op.regions[0], (op.operands[1], *once))

    verify(Rewriter(rule).kernel(generate(seed, 40).kernels[0]))


class Outer(OpDef):
    """A composite operation that expands into another one."""

    name = "outer"
    composite = True

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        return (build("isnan", *op.operands),)


def test_an_expansion_is_expanded_further() -> None:
    x, y = argument(F32, "x"), argument(TileType(dtype("u1")), "y")
    build = Builder()
    build.append(Op(Outer(), (x,), (y,)))
    kernel = Kernel("k", (x,), (), build.region((), (y,)))
    (expanded,) = expand(Module((kernel,))).kernels
    assert not any(op.definition.composite for op in walk(expanded.body))


def test_a_rewrite_that_never_settles_is_given_up() -> None:
    turns: list[Kernel] = []

    def restless(kernel: Kernel) -> Kernel:
        turns.append(kernel)
        return kernel.with_body(Region((), kernel.body.ops))

    until_stable(generate(1, 3).kernels[0], restless)
    assert len(turns) < 100


def test_a_module_prints_after_a_rewrite() -> None:
    kernel = Rewriter(lambda op, rewriter: None).kernel(generate(2, 20).kernels[0])
    assert print_module(Module((kernel,))).startswith("kernel random_2(")
