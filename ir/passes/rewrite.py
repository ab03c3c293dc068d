"""Rebuilds kernels: one walk in program order, in which a rule may replace any operation by values it emits.

    def rule(op, rewriter):                       # `op` has its final operands; its regions are still to be visited
        if op.name == "neg" and (inner := rewriter.producer(op.operands[0])) and inner.name == "neg":
            return inner.operands                 # the values that take the place of the results
        return None                               # keep it

    kernel = Rewriter(rule).kernel(kernel)

An operation that stays the same stays the same object, and so does a region all of whose operations stay: a rewrite
that finds nothing returns the kernel it was given. Values keep their identity, so nothing outside a changed operation
is copied; the walk takes time linear in the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

from vmc.ir.builder import make_op
from vmc.ir.core import Attr, Kernel, Module, Op, Region, Value, walk
from vmc.ir.span import UNKNOWN

Rule = Callable[[Op, "Rewriter"], Sequence[Value] | None]

MAX_SWEEPS = 20


class Rewriter:
    """The state of one walk: which value stands for which, who made a value, and the block under construction."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.values: dict[Value, Value] = {}
        self.producers: dict[Value, Op] = {}
        self.block: list[Op] = []
        self.places: dict[Op, list[Op]] = {}
        self.span = UNKNOWN
        self.copying = False
        self.source: Kernel | None = None

    def kernel(self, kernel: Kernel) -> Kernel:
        self.source = kernel
        body = self.region(kernel.body)
        return kernel if body is kernel.body else kernel.with_body(body)

    def region(self, region: Region) -> Region:
        """The region with every operation rewritten."""
        outer, self.block = self.block, []
        args = region.args
        if self.copying:
            args = tuple(map(self.fresh, region.args))
            self.values.update(zip(region.args, args, strict=True))
        for op in region.ops:
            self.visit(op)
        ops, self.block = tuple(self.block), outer
        same = args is region.args and len(ops) == len(region.ops) and all(map(same_object, ops, region.ops))
        return region if same else Region(args, ops)

    def visit(self, op: Op) -> None:
        """Rewrites one operation into the block."""
        op = self.substituted(op)
        outer, self.span = self.span, op.span
        replacement = self.rule(op, self)
        if replacement is None:
            self.keep(op)
        else:
            self.values.update(zip(op.results, replacement, strict=True))
        self.span = outer

    def keep(self, op: Op) -> None:
        """Puts an operation into the block after its regions are rewritten."""
        regions = tuple(map(self.region, op.regions))
        if not all(map(same_object, regions, op.regions)):
            op = replace(op, regions=regions)
        if self.copying:
            results = tuple(map(self.fresh, op.results))
            self.values.update(zip(op.results, results, strict=True))
            op = replace(op, results=results)
        self.append(op)

    def append(self, op: Op) -> None:
        """Puts a finished operation into the block."""
        self.block.append(op)
        self.places[op] = self.block
        for result in op.results:
            self.producers[result] = op

    def substituted(self, op: Op) -> Op:
        operands = tuple(map(self.value, op.operands))
        return op if all(map(same_object, operands, op.operands)) else replace(op, operands=operands)

    def value(self, value: Value) -> Value:
        """What stands for a value of the kernel before."""
        return self.values.get(value, value)

    def fresh(self, value: Value) -> Value:
        return Value(value.type, value.name)

    def producer(self, value: Value) -> Op | None:
        """The operation that made a value; None for arguments."""
        return self.producers.get(value)

    def in_this_block(self, op: Op) -> bool:
        """Whether a finished operation stands in the block under construction itself, not around it."""
        return self.places.get(op) is self.block

    @cached_property
    def uses(self) -> Counter[Value]:
        """How often the kernel used each value before this walk."""
        assert self.source is not None
        return Counter(operand for op in walk(self.source.body) for operand in op.operands)

    def emit(self, name: str, /, *operands: Value, **attrs: Attr) -> Value:
        """Puts a new operation with one result into the block, at the span of the one that is being replaced."""
        op = make_op(name, operands, attrs, (), self.span)
        self.append(op)
        return op.result

    def inline(self, region: Region, args: Sequence[Value]) -> tuple[Value, ...]:
        """Puts a copy of a region's operations into the block, rewritten; the values that it yields.

        Every copy has values of its own, so that a region may be inlined more than once.
        """
        outer, self.copying = self.copying, True
        self.values.update(zip(region.args, args, strict=True))
        for op in region.ops[:-1]:
            self.visit(op)
        self.copying = outer
        return tuple(map(self.value, region.yielded))

    def splice(self, ops: Sequence[Op]) -> None:
        """Puts new operations into the block, each after the rule has seen it."""
        for op in ops:
            self.visit(op)


def same_object(a: object, b: object) -> bool:
    return a is b


def each_kernel(module: Module, rewrite: Callable[[Kernel], Kernel]) -> Module:
    """The module with every kernel rewritten; the same object where none changes."""
    kernels = tuple(map(rewrite, module.kernels))
    return module if all(map(same_object, kernels, module.kernels)) else Module(kernels)


def until_stable(kernel: Kernel, rewrite: Callable[[Kernel], Kernel]) -> Kernel:
    """Repeats a rewrite until it changes nothing, at most MAX_SWEEPS times."""
    for _ in range(MAX_SWEEPS):
        rewritten = rewrite(kernel)
        if rewritten is kernel:
            break
        kernel = rewritten
    return kernel
