"""Decoding of weights: what a product takes of a narrow tensor becomes one look-up, which is lowered as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vmc.ir.builder import make_op
from vmc.ir.core import Kernel, Module, Op, Table, TileType, Value
from vmc.ir.decode import Decoder, NoDecoderError, decoder
from vmc.ir.evaluate import Array
from vmc.ir.ops.linear import DOTS, accumulator
from vmc.ir.passes.gpu.matrix import instruction_for, product_of
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.types import DType

PACKED = {"f16": "f16x2", "bf16": "bf16x2", "i8": "i8x4", "u8": "i8x4", "f8e4m3": "e4m3x4", "f8e5m2": "e5m2x4"}
"""What a register of a type's elements holds."""
MOST_SHIFT = 16
"""Sums of f16 divided by 2**16 are far from the ends of f32."""


def decodings(conversions: bool) -> Pass:
    """The pass for machines that have instructions for conversions of 8-bit floats, or not."""

    def decode_factors(module: Module) -> Module:
        """Needs: a well-formed module at the tile level. Guarantees: the second factor of a product of matrix
        instructions, where it is a function of the codes of a narrow tile and a decoder makes it, is a `decode` of that
        tile, or of it divided by a power of two, by which the product is multiplied, where that is less work.
        Idempotent. Keeps: everything else, and the bits of every result but for the signs of zeros among the factors.
        """
        return each_kernel(module, lambda kernel: decoded(kernel, conversions))

    return Pass("decoding", decode_factors)


def decoded(kernel: Kernel, conversions: bool) -> Kernel:
    facts: Facts | None = None

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        nonlocal facts
        facts = facts or Facts(rewriter.producer)
        facts.visit(op)
        values = table_of(facts, op.operands[1]) if op.name in DOTS else None
        if values is None:
            return None
        source, table = matched(op, *values)
        if instruction_for(op.operands[0].tile.dtype, table.dtype) is None or not product_of_types(op, table.dtype):
            return None
        scaled, shift = scaled_for(op, source, table, conversions)
        b = rewriter.emit("decode", source, values=scaled, conversions=conversions)
        a, _, start = op.operands
        if not shift:
            changed = replace(op, operands=(a, b, start))
            rewriter.append(changed)
            return changed.results
        constants = [constant(start.tile, number) for number in (0.0, 2.0**shift)]
        zero, factor = (rewriter.emit("constant", type=start.tile, code=code) for code in constants)
        return (rewriter.emit("fma", rewriter.emit(op.name, a, b, zero), factor, start),)

    return Rewriter(rule).kernel(kernel)


def matched(op: Op, source: Value, table: Table) -> tuple[Value, Table]:
    """The table in the type of the first factor, where that has all its values and a decoder makes them, so that
    instructions take both."""
    wanted = op.operands[0].tile.dtype
    if wanted == table.dtype or wanted.name not in ("f16", "bf16") or not table.dtype.is_float:
        return source, table
    values = table.dtype.decode(table.array())
    codes = wanted.encode(values)
    same = np.array_equal(wanted.decode(codes), values, equal_nan=True)
    if not same or decoder_for(source.tile.dtype, wanted, codes) is None:
        return source, table
    return source, Table.of(wanted, codes)


def constant(type: TileType, number: float) -> int:
    """The code of a number of a tile's type."""
    return int(type.dtype.encode(np.array(number))[()])


def scaled_for(op: Op, source: Value, table: Table, conversions: bool) -> tuple[Table, int]:
    """The factor divided by a power of two that its decoder need not multiply by, and the exponent of that, if this is
    less work: one operation more for every sum, fewer for every weight. Else the factor as it is, and 0.

    Products of f16 are multiples of 2**-48, and f32 has their sums times any power of two down to 2**-64: nothing is
    rounded that would not have been.
    """
    (m, k), n = op.operands[0].tile.shape, op.result.tile.shape[1]
    kind, type = PACKED.get(table.dtype.name), table.dtype
    if op.name != "dot" or type.name != "f16" or kind is None:
        return table, 0
    values = type.decode(table.array())
    whole = decoder_for(source.tile.dtype, type, table.array(), conversions)
    try:
        asked = {"signed_zeros": False, "any_scale": True, "conversions": conversions}
        made = decoder(source.tile.dtype, kind, values.tolist(), **asked)
    except NoDecoderError:
        return table, 0
    smaller = values * 2.0**-made.exponent
    codes = type.encode(smaller)
    exact = np.array_equal(type.decode(codes), smaller, equal_nan=True)
    if whole is None or not exact or not 0 < made.exponent <= MOST_SHIFT:
        return table, 0
    saved = (whole.operations_per_code - made.operations_per_code) * k * n
    return (Table.of(type, codes), made.exponent) if saved > m * n else (table, 0)


def product_of_types(op: Op, b: DType) -> bool:
    """Whether matrix instructions compute a product whose second factor is of another type."""
    left, right, sums = op.operands
    other = Value(TileType(b, right.tile.shape), right.name)
    same_sums = accumulator(left.tile.dtype, b) == sums.tile.dtype
    return same_sums and product_of(make_op(op.name, (left, other, sums))) is not None


def table_of(facts: Facts, value: Value) -> tuple[Value, Table] | None:
    """The narrow tile that a factor is a function of, with the function; None where no decoder makes it."""
    function, producer = facts.function(value), facts.producer(value)
    if function is None or function.moves or (producer is not None and producer.name == "decode"):
        return None
    type = value.tile.dtype
    codes = type.to_codes(function.table)
    if decoder_for(function.source.tile.dtype, type, codes) is None:
        return None
    return function.source, Table.of(type, codes)


def decoder_of(op: Op) -> Decoder | None:
    """The decoder that a `decode` is lowered to; None where there is none."""
    table = op.attrs["values"]
    return decoder_for(op.operands[0].tile.dtype, table.dtype, table.array(), op.attrs["conversions"])


def decoder_for(source: DType, target: DType, codes: Array, conversions: bool = False) -> Decoder | None:
    """The decoder of codes of `source` to elements of `target`, given those of all codes; None where there is none."""
    kind = PACKED.get(target.name)
    if kind is None or source.width > 8:
        return None
    try:
        values = target.decode(codes).tolist()
        return decoder(source, kind, values, signed_zeros=False, conversions=conversions)
    except NoDecoderError:
        return None


decoding = decodings(conversions=False)
