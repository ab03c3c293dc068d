"""Removes what nothing needs: pure operations, loop-carried values, results of branches, whole loops and branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmc.ir.core import Kernel, Module, Op, Region, Value, attributes
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel

CARRIED_FROM = {"for": 3, "while": 0}
"""Where among its operands a loop's carried values start."""
STRUCTURED = ("for", "while", "if")
"""Operations that have no effect of their own: they are needed where their results or something inside is."""


def eliminate(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: every operation left has an effect, or a result that one with an effect
    depends on; so has every value that a loop carries or a branch yields. Idempotent. Keeps: the order of operations,
    and all effects. A loop without effects whose results are unused goes, even if it would not end or had a bad step.
    """
    return each_kernel(module, eliminate_in)


def eliminate_in(kernel: Kernel) -> Kernel:
    needs = _Needs(kernel.body)
    body = needs.region(kernel.body, tuple(range(len(kernel.body.yielded))))
    return kernel if body is kernel.body else kernel.with_body(body)


class _Needs:
    """Marks what is needed, from the effects backwards, then rebuilds the regions without the rest."""

    def __init__(self, body: Region) -> None:
        self.owner: dict[Value, tuple[Op, int]] = {}
        self.slot: dict[Value, tuple[Op, int]] = {}
        self.parent: dict[Op, Op | None] = {}
        self.live: set[Op] = set()
        self.slots: set[tuple[Op, int]] = set()
        self.pending: list[Value] = []
        effects: list[Op] = []
        self.index(body, None, effects)
        self.pending.extend(body.yielded)
        for op in effects:
            self.need_op(op)
        while self.pending:
            self.need_value(self.pending.pop())

    def index(self, region: Region, parent: Op | None, effects: list[Op]) -> None:
        """Who makes each value, which slot of a loop an argument is, what encloses an operation, what has effects."""
        for op in region.ops:
            self.parent[op] = parent
            self.owner.update((result, (op, i)) for i, result in enumerate(op.results))
            if op.name in CARRIED_FROM:
                carried = (region.args[len(region.args) - len(op.results) :] for region in op.regions)
                self.slot.update((arg, (op, i)) for args in carried for i, arg in enumerate(args))
            if not op.definition.pure and op.name not in STRUCTURED and op.name != "yield":
                effects.append(op)
            for inner in op.regions:
                self.index(inner, op, effects)

    def need_op(self, op: Op | None) -> None:
        """Marks an operation, what it needs whatever its results, and what encloses it."""
        while op is not None and op not in self.live:
            self.live.add(op)
            if op.name in STRUCTURED:
                self.pending.extend(op.operands[: CARRIED_FROM.get(op.name, 1)])
                if op.name == "while":
                    self.pending.extend(op.regions[0].yielded)
            else:
                self.pending.extend(op.operands)
                for region in op.regions:
                    self.pending.extend(region.yielded)
            op = self.parent[op]

    def need_value(self, value: Value) -> None:
        place = self.owner.get(value) or self.slot.get(value)
        if place is None:
            return
        op, i = place
        self.need_op(op)
        if op.name not in STRUCTURED or place in self.slots:
            return
        self.slots.add(place)
        if op.name in CARRIED_FROM:
            self.pending.append(op.operands[CARRIED_FROM[op.name] + i])
        self.pending.extend(region.yielded[i] for region in op.regions[-1 if op.name in CARRIED_FROM else 0 :])

    def region(self, region: Region, yielded: Sequence[int], args: Sequence[Value] | None = None) -> Region:
        """The region with what is needed, and those of its arguments and yielded values that are kept."""
        ops = [self.operation(op) for op in region.ops[:-1] if op in self.live]
        last = region.ops[-1]
        if len(yielded) < len(last.operands):
            last = replace(last, operands=tuple(last.operands[i] for i in yielded))
        args = region.args if args is None else tuple(args)
        same = args == region.args and len(ops) + 1 == len(region.ops) and all(map(is_, [*ops, last], region.ops))
        return region if same else Region(args, (*ops, last))

    def operation(self, op: Op) -> Op:
        if not op.regions:
            return op
        if op.name not in STRUCTURED:
            regions = tuple(self.region(region, range(len(region.yielded))) for region in op.regions)
            return op if all(map(is_, regions, op.regions)) else replace(op, regions=regions)
        kept = [i for i in range(len(op.results)) if (op, i) in self.slots]
        regions = tuple(self.structured_region(op, region, kept) for region in op.regions)
        if len(kept) == len(op.results) and all(map(is_, regions, op.regions)):
            return op
        first = CARRIED_FROM.get(op.name, 1)
        operands = (*op.operands[:first], *(op.operands[first + i] for i in kept if op.name in CARRIED_FROM))
        results = tuple(op.results[i] for i in kept)
        attrs = op.attrs
        if op.name == "if":
            attrs = attributes(**{**attrs, "results": tuple(result.type for result in results)})
        return replace(op, operands=operands, results=results, regions=regions, attrs=attrs)

    def structured_region(self, op: Op, region: Region, kept: Sequence[int]) -> Region:
        fixed = len(region.args) - len(op.results) if op.name in CARRIED_FROM else 0
        args = (*region.args[:fixed], *(region.args[fixed + i] for i in kept if op.name in CARRIED_FROM))
        is_condition = op.name == "while" and region is op.regions[0]
        return self.region(region, (0,) if is_condition else kept, args)


def is_(a: object, b: object) -> bool:
    return a is b


dce = Pass("dce", eliminate)
