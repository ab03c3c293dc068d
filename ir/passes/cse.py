"""Merges operations that compute the same."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Sequence

from vmc.ir.core import Attr, Module, Op, Region, Value
from vmc.ir.passes.effects import is_mergeable, reads_constant_memory
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel

Key = tuple[Hashable, ...]


def merge(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: no pure operation has the definition, operands, attributes and result
    types of one that is executed before it on every path; of operations that read memory, only if nothing in between
    may write it. Idempotent. Keeps: everything else.
    """
    return each_kernel(module, lambda kernel: _Merger().kernel(kernel))


class _Merger(Rewriter):
    """Remembers what is computed, by scope: a region sees what its surroundings computed before it."""

    def __init__(self) -> None:
        super().__init__(lambda op, _: self.known(op))
        self.computed: dict[Key, tuple[Value, ...]] = {}
        self.epoch = 0
        self.trail: list[Key] = []

    def region(self, region: Region) -> Region:
        """Rewrites a region; what it computed is forgotten after it. A loop's body may follow its own writes."""
        depth = len(self.trail)
        self.epoch += 1
        rewritten = super().region(region)
        self.epoch += 1
        for key in self.trail[depth:]:
            del self.computed[key]
        del self.trail[depth:]
        return rewritten

    def known(self, op: Op) -> Sequence[Value] | None:
        if not is_mergeable(op):
            self.epoch += not op.definition.pure
            return None
        key = self.key(op)
        if key in self.computed:
            return self.computed[key]
        self.computed[key] = op.results
        self.trail.append(key)
        return None

    def key(self, op: Op) -> Key:
        attrs = tuple((name, attr_key(attr)) for name, attr in op.attrs.items())
        types = tuple(result.type for result in op.results)
        constant = not op.definition.reads_memory or reads_constant_memory(op)
        return op.name, op.operands, attrs, types, 0 if constant else self.epoch


def attr_key(attr: Attr) -> Hashable:
    """A key that tells 1 from True and 1.0, and -0.0 from 0.0."""
    match attr:
        case tuple():
            return tuple(map(attr_key, attr))
        case float():
            return float, struct.pack("<d", attr)
    return type(attr), attr


cse = Pass("cse", merge)
