"""What passes have in common that choose the types in which matrix products are computed."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.ir.core import Kernel, Note, Op, Value, walk
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.integers.emission import Emission
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.rewrite import Rewriter


class ProductSelector(Rewriter):
    """Gathers facts in program order, and rewrites the products that they allow to."""

    def __init__(self) -> None:
        super().__init__(lambda op, _: self.visit_op(op))
        self.facts = Facts(self.producer)
        self.emission = Emission(self, self.facts)
        self.notes: list[Note] = []

    def in_kernel(self, kernel: Kernel) -> Kernel:
        """The kernel with its products rewritten, and a note on each that was."""
        if not any(op.name == "dot" for op in walk(kernel.body)):
            return kernel
        selected = self.kernel(kernel)
        return selected.noted(*self.notes) if self.notes else selected

    def visit_op(self, op: Op) -> Sequence[Value] | None:
        if self.concerns(op):
            return self.select(op)
        self.facts.visit(op)
        return None

    def concerns(self, op: Op) -> bool:
        """Whether an operation is a product that the pass may rewrite; nothing is known of what it results in."""
        return op.name == "dot" and not is_pinned(op)

    def select(self, op: Op) -> Sequence[Value] | None:
        """The result that a product is rewritten to; None where it stays."""
        raise NotImplementedError
