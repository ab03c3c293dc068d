"""Equality of kernels and modules up to the names of values and, unless asked for, source spans."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from vmc.ir.core import Attr, Kernel, Module, Op, Region, Value


def structurally_equal(a: Module | Kernel, b: Module | Kernel, *, spans: bool = False) -> bool:
    """Whether two modules, or two kernels, are the same but for the names of values (and spans, unless `spans`)."""
    match a, b:
        case Module(), Module():
            pairs = zip(a.kernels, b.kernels, strict=False)
            return len(a.kernels) == len(b.kernels) and all(_Comparison(spans).kernels(x, y) for x, y in pairs)
        case Kernel(), Kernel():
            return _Comparison(spans).kernels(a, b)
    return False


def attrs_equal(a: Attr, b: Attr) -> bool:
    """Equality that tells 1 from True and from 1.0, -0.0 from 0.0, and finds a NaN equal to itself."""
    if type(a) is not type(b):
        return False
    match a, b:
        case float(), float():
            return struct.pack("<d", a) == struct.pack("<d", b)
        case tuple(), tuple():
            return len(a) == len(b) and all(map(attrs_equal, a, b))
    return a == b


class _Comparison:
    """Walks two kernels side by side and remembers which value stands for which."""

    def __init__(self, spans: bool) -> None:
        self.spans = spans
        self.partner: dict[Value, Value] = {}

    def kernels(self, a: Kernel, b: Kernel) -> bool:
        heads = [(k.name, k.symbols, k.fast, k.level, k.threads, k.bindings) for k in (a, b)]
        same_span = not self.spans or a.span == b.span
        return heads[0] == heads[1] and same_span and self.define(a.params, b.params) and self.regions(a.body, b.body)

    def regions(self, a: Region, b: Region) -> bool:
        same = self.define(a.args, b.args) and len(a.ops) == len(b.ops)
        return same and all(map(self.operations, a.ops, b.ops))

    def operations(self, a: Op, b: Op) -> bool:
        return (
            a.name == b.name
            and (not self.spans or a.span == b.span)
            and self.uses(a.operands, b.operands)
            and a.attrs.keys() == b.attrs.keys()
            and all(attrs_equal(attr, b.attrs[name]) for name, attr in a.attrs.items())
            and self.define(a.results, b.results)
            and len(a.regions) == len(b.regions)
            and all(map(self.regions, a.regions, b.regions))
        )

    def define(self, a: Sequence[Value], b: Sequence[Value]) -> bool:
        """Pairs two lists of definitions; False where their types differ."""
        self.partner.update(zip(a, b, strict=False))
        return [value.type for value in a] == [value.type for value in b]

    def uses(self, a: Sequence[Value], b: Sequence[Value]) -> bool:
        return len(a) == len(b) and all(self.partner.get(x, x) is y for x, y in zip(a, b, strict=True))
