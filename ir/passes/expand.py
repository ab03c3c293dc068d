"""Replaces composite operations by their expansions, which are their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vmc.ir.builder import Builder
from vmc.ir.core import Module, Op, TileType, Value
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel


def expansion(keep: frozenset[str] = frozenset()) -> Pass:
    """The pass `expand` that leaves the composite operations named in `keep` as they are."""

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        return None if op.name in keep else expand_op(op, rewriter)

    def expand_all(module: Module) -> Module:
        """Needs: a well-formed module. Guarantees: no composite operation is left but those asked for. Idempotent.
        Keeps: everything else, and the bits of every result; the new operations have the span of the one they replace.
        """
        return each_kernel(module, lambda kernel: Rewriter(rule).kernel(kernel))

    return Pass("expand", expand_all)


def expand_op(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
    """The values that replace a composite operation's results; None for other operations."""
    if not op.definition.composite:
        return None
    build = Builder(op.span)
    values = op.definition.expand(build, op)
    replaced = zip(values, op.results, strict=True)
    pinned = {value: Value(result.type, value.name) for value, result in replaced if has_layout(result)}
    rewriter.splice([renamed(inner, pinned) for inner in build.ops] if pinned else build.ops)
    return [rewriter.value(pinned.get(value, value)) for value in values]


def renamed(op: Op, names: Mapping[Value, Value]) -> Op:
    """The operation with other values in the place of some."""
    operands = tuple(names.get(value, value) for value in op.operands)
    return replace(op, operands=operands, results=tuple(names.get(value, value) for value in op.results))


def has_layout(value: Value) -> bool:
    return isinstance(value.type, TileType) and value.type.layout is not None


expand = expansion()
