"""Decoding of weights: what a product takes of a narrow tensor becomes one look-up, which is lowered as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmc.ir.core import Kernel, Module, Op, Table, Value
from vmc.ir.decode import Decoder, NoDecoderError, decoder
from vmc.ir.evaluate import Array
from vmc.ir.passes.gpu.matrix import product_of
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.types import DType

PACKED = {"f16": "f16x2", "bf16": "bf16x2", "i8": "i8x4", "u8": "i8x4"}


def decode_factors(module: Module) -> Module:
    """Needs: a well-formed module at the tile level. Guarantees: the second factor of a product of matrix instructions,
    where it is a function of the codes of a narrow tile and a decoder makes it, is a `decode` of that tile. Idempotent.
    Keeps: everything else, and the bits of every result but for the signs of zeros among the factors.
    """
    return each_kernel(module, decoded)


def decoded(kernel: Kernel) -> Kernel:
    facts: Facts | None = None

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        nonlocal facts
        facts = facts or Facts(rewriter.producer)
        facts.visit(op)
        product = product_of(op)
        if product is None:
            return None
        values = table_of(facts, op.operands[1])
        if values is None:
            return None
        source, table = values
        b = rewriter.emit("decode", source, values=table)
        changed = replace(op, operands=(op.operands[0], b, op.operands[2]))
        rewriter.append(changed)
        return changed.results

    return Rewriter(rule).kernel(kernel)


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


def decoder_for(source: DType, target: DType, codes: Array) -> Decoder | None:
    """The decoder of codes of `source` to elements of `target`, given those of all codes; None where there is none."""
    kind = PACKED.get(target.name)
    if kind is None or source.width > 8:
        return None
    try:
        return decoder(source, kind, target.decode(codes).tolist(), signed_zeros=False)
    except NoDecoderError:
        return None


decoding = Pass("decoding", decode_factors)
