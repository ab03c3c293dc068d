"""Products of floats as products of bf16, where nothing is lost: what matrix units multiply.

    f32(q) @ f32(w)    becomes    dot_flushing(bf16(q), table[w])                        q: i8, w: f8e4m3
    x @ f16(w)         becomes    dot_flushing(high, table[w]) + dot_flushing(low, table[w])        x: f16 = high + low

A factor that is small integers, or a function of codes whose values bf16 has, is a bf16 as it is. The 11 bits of an f16
are the sum of two bf16: the nearest one, and what is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Module, Note, Op, Table, Value
from vmc.ir.evaluate import Array
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.integers.functions import Function
from vmc.ir.passes.integers.selection import ProductSelector
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel
from vmc.ir.types import dtype

BF16, F16, F32 = map(dtype, ("bf16", "f16", "f32"))
LARGEST_INTEGER = 256
LARGEST_SCALE = 60
"""Factors between 2**-60 and 2**60 have products and sums far from the ends of f32."""
MATRIX_ROWS = 16
"""Rows of a matrix unit's tile."""
LONGEST = 256
"""Inner extents up to which the sums of two products stay within the bound of one (see `split`)."""


def halving(whole_tiles: bool) -> Pass:
    """The pass `halves`; if `whole_tiles`, for products alone whose left factor is of bf16 and fills a matrix unit."""

    def select_halves(module: Module) -> Module:
        """Needs: a well-formed module. Guarantees: a `dot` into f32 is one of bf16, if its left factor is of bf16 or
        provably is small integers times a power of two, and the right one a function of codes of at most 8 bits whose
        values bf16 has; or two such, if the left factor is of f16. Each has a note. Idempotent. Keeps: everything else;
        exact factors, and the bound of `dot`, but that in `fast` kernels factors of bf16 below the normal range may be
        taken as 0 (others are left alone).
        """
        return each_kernel(module, lambda kernel: _Selector(kernel.fast, whole_tiles).in_kernel(kernel))

    return Pass("halves", select_halves)


class _Selector(ProductSelector):
    def __init__(self, fast: bool, whole_tiles: bool) -> None:
        super().__init__()
        self.fast, self.whole_tiles = fast, whole_tiles

    def concerns(self, op: Op) -> bool:
        return op.name in DOTS and not is_pinned(op)

    def select(self, op: Op) -> Sequence[Value] | None:
        a, b, start = op.operands
        function = self.facts.function(b)
        if op.name != "dot" or op.result.tile.dtype != F32 or function is None or not has_values(b, function):
            return None
        terms = self.terms(a)
        if not terms:
            return None
        right = self.table(b, function)
        total = self.emit("dot_flushing", terms[0], right, start)
        for term in terms[1:]:
            zero = self.emission.constant(F32, 0.0, total.tile.shape)
            total = self.emit("add", total, self.emit("dot_flushing", term, right, zero))
        self.notes.append(Note("halves", text(op, function, len(terms)), op.span))
        return (total,)

    def terms(self, a: Value) -> list[Value]:
        """The left factor as a sum of bf16; none where it is not known to be one."""
        if self.fast and a.tile.dtype == BF16:
            return [a] if a.tile.shape[0] >= MATRIX_ROWS or not self.whole_tiles else []
        if self.whole_tiles:
            return []
        exact = self.facts.exact(a)
        if exact is not None and exact.most <= LARGEST_INTEGER and abs(exact.shift) <= LARGEST_SCALE:
            return [self.narrowed(a)]
        half = self.as_half(a)
        return self.split(half) if half is not None and a.tile.shape[1] <= LONGEST else []

    def narrowed(self, a: Value) -> Value:
        """A factor that bf16 has, from before it was widened."""
        producer = self.producer(a)
        if producer is not None and producer.name == "cast" and not is_pinned(producer):
            inner = producer.operands[0]
            if len(producer.operands) == 1 and self.facts.exact(inner) == self.facts.exact(a):
                return self.narrowed(inner) if inner.tile.dtype.is_float else self.emission.cast(inner, BF16)
        return self.emission.cast(a, BF16)

    def as_half(self, a: Value) -> Value | None:
        """The f16 that a factor is, or was widened from."""
        if a.tile.dtype == F16:
            return a
        producer = self.producer(a)
        widened = producer is not None and producer.name == "cast" and producer.operands[0].tile.dtype == F16
        return producer.operands[0] if producer is not None and widened and a.tile.dtype == F32 else None

    def split(self, half: Value) -> list[Value]:
        """An f16 as a sum of two bf16: 8 bits and the 3 that are left. An infinity is its own first term, and 0.

        Each product's error is at most (K + 1) u |term| @ |b|, and |low| <= 2**-8 |high|: for K <= 256, together
        they are within the (K + 2) u |a| @ |b| of one `dot`.
        """
        wide = self.emission.cast(half, F32)
        high = self.emission.cast(wide, BF16)
        back = self.emission.cast(high, F32)
        rest = self.emit("sub", wide, back)
        zero = self.emission.constant(F32, 0.0, wide.tile.shape)
        low = self.emit("select", self.emit("eq", wide, back), zero, rest)
        return [high, self.emission.cast(low, BF16)]

    def table(self, b: Value, function: Function) -> Value:
        """The right factor, looked up."""
        codes = self.emission.codes(function.source)
        values = BF16.encode(b.tile.dtype.to_values(function.table))
        table = self.emit("table", table=Table.of(BF16, values))
        return self.emission.moved(self.emit("take", table, codes, axis=0), function)


def has_values(b: Value, function: Function) -> bool:
    """Whether bf16 has all values of a function, and the finite ones are 0 or of a middling size."""
    values: Array = np.asarray(b.tile.dtype.to_values(function.table), np.float64)
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite[finite != 0])
    middling = sizes.size == 0 or (sizes.min() >= 2.0**-LARGEST_SCALE and sizes.max() <= 2.0**LARGEST_SCALE)
    return bool(middling and np.array_equal(BF16.decode(BF16.encode(finite)), finite))


def text(op: Op, function: Function, terms: int) -> str:
    """The note on a product."""
    a, b = (operand.tile for operand in op.operands[:2])
    count = "" if terms == 1 else ", twice: an f16 is the sum of two bf16"
    source = function.source.tile.dtype.name
    return f"{a} @ {b} as bf16 @ bf16 -> f32{count}; bf16 has all {len(function.table)} values of {source}"


halves = halving(whole_tiles=False)
