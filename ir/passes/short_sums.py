"""Bit-width selection of sums: products of bytes that processors without better add up in 16 bits for a while.

    dot(q, u8(w))    becomes    dot_short(q, u8(w)) {run = 17}        q: i8, w: u4: |q w| <= 128 * 15, 17 of them < 2^15

The proof is the same as that of `integers`, an interval for each factor. Multiplying two pairs of bytes into 16 bits is
one instruction where vector units have no sum of four products in 32.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmc.ir.core import Module, Note, Op, Value
from vmc.ir.passes.integers.emission import I8, U8
from vmc.ir.passes.integers.selection import ProductSelector
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel

LARGEST = (1 << 15) - 1


def shorten_sums(module: Module) -> Module:
    """Needs: a well-formed module; `integers` makes the products in question. Guarantees: a `dot` of i8 and u8 is a
    `dot_short` with the most products whose sum provably fits 16 bits, where these are two or more; each has a note.
    Idempotent. Keeps: everything else, and the bits of every result.
    """
    return each_kernel(module, lambda kernel: _Selector().in_kernel(kernel))


class _Selector(ProductSelector):
    def select(self, op: Op) -> Sequence[Value] | None:
        a, b, start = op.operands
        left, right = self.facts.exact(a), self.facts.exact(b)
        if (a.tile.dtype, b.tile.dtype) != (I8, U8) or left is None or right is None:
            return None
        most = left.most * right.most
        run = min(LARGEST // most, a.tile.shape[1]) if most else a.tile.shape[1]
        if run < 2:
            return None
        text = f"{a.tile} @ {b.tile}: left {left}, right {right}, so that {run} products sum to at most"
        self.notes.append(Note("short_sums", f"{text} {run * most} < 2^15", op.span))
        return (self.emit("dot_short", a, b, start, run=run),)


short_sums = Pass("short_sums", shorten_sums)
