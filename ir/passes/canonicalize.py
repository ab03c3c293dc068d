"""Brings operations to their simplest form by the tables of rules in `vmc.ir.passes.rules`, and folds constants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from vmc.ir.core import Kernel, Module, Op, Value
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.fold import fold_op
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, Rule, each_kernel, until_stable
from vmc.ir.passes.rules import ALGEBRAIC, STRUCTURAL


def simplify(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: no rule applies any more (but for very long chains of rules).
    Idempotent. Keeps: effects and their order; the operations that lost their last use, for `dce`; operations whose
    result has a layout pinned, as they are. Changes the bits of no result, except that a dot may start from the sum it
    was added to.
    """
    return each_kernel(module, lambda kernel: until_stable(kernel, sweep))


def sweep(kernel: Kernel) -> Kernel:
    return Rewriter(apply_rules).kernel(kernel)


def rules_by_root() -> dict[str, list[Rule]]:
    """The rules that are about each operation, in the order of the tables."""
    table: dict[str, list[Rule]] = defaultdict(list)
    for pattern in ALGEBRAIC:
        table[pattern.root].append(pattern)
    for transformation in STRUCTURAL:
        table[transformation.root].append(transformation)
    return dict(table)


RULES = rules_by_root()


def apply_rules(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
    """What the first rule that applies makes of an operation."""
    if is_pinned(op):
        return None
    folded = fold_op(op, rewriter)
    if folded is not None:
        return folded
    for rule in RULES.get(op.name, ()):
        replacement = rule(op, rewriter)
        if replacement is not None:
            return replacement
    return None


canonicalize = Pass("canonicalize", simplify)
