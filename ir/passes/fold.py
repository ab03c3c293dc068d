"""Computes what depends on constants alone, by executing the operations' own definitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.builder import make_op
from vmc.ir.core import Module, Op, Table, TileType, Value
from vmc.ir.evaluate import Array
from vmc.ir.passes.effects import is_mergeable, is_pinned, size
from vmc.ir.passes.evaluator import NotConstantError, evaluate
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel

LARGEST_TABLE = 256
"""Elements of a result that is written out as a table; one of equal elements is a constant whatever its size."""
LARGEST_WORK = 4096
"""Elements of the largest operand or result that is computed here at all."""


def fold_constants(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: no pure operation on constants and small tables is left whose results
    are uniform or small. Idempotent. Keeps: everything else; the operands, for `dce` to remove.
    """
    return each_kernel(module, lambda kernel: Rewriter(fold_op).kernel(kernel))


def fold_op(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
    """Constants for the results of an operation on constants, or None."""
    if not op.operands or not is_mergeable(op) or op.definition.reads_memory or is_pinned(op):
        return None
    producers = [rewriter.producer(operand) for operand in op.operands]
    constants = [producer for producer in producers if producer is not None and producer.name in ("constant", "table")]
    if len(constants) < len(producers):
        return None
    if op.definition.elementwise and all(constant.name == "constant" for constant in constants):
        return fold_uniform(op, constants, rewriter)
    if max(map(size, (*op.operands, *op.results))) > LARGEST_WORK:
        return None
    return fold_tiles(op, list(map(array_of, constants)), rewriter)


def fold_uniform(op: Op, constants: Sequence[Op], rewriter: Rewriter) -> Sequence[Value] | None:
    """One element of the results stands for all."""
    types = [TileType(constant.result.tile.dtype) for constant in constants]
    codes = [constant.attrs["code"] for constant in constants]
    scalars = [make_op("constant", (), {"type": type, "code": code}) for type, code in zip(types, codes, strict=True)]
    single = make_op(op.name, [scalar.result for scalar in scalars], op.attrs)
    try:
        arrays = evaluate(single, [array_of(scalar) for scalar in scalars])
    except NotConstantError:
        return None
    whole = [np.broadcast_to(array, result.tile.shape) for array, result in zip(arrays, op.results, strict=True)]
    return emit_constants(op, whole, rewriter)


def fold_tiles(op: Op, arrays: Sequence[Array], rewriter: Rewriter) -> Sequence[Value] | None:
    try:
        results = evaluate(op, arrays)
    except NotConstantError:
        return None
    return emit_constants(op, results, rewriter)


def array_of(constant: Op) -> Array:
    (array,) = evaluate(constant, ())
    return array


def emit_constants(op: Op, arrays: Sequence[Array], rewriter: Rewriter) -> Sequence[Value] | None:
    """A constant or a table for each array; None where one is neither uniform nor small."""
    codes = [result.tile.dtype.to_codes(array) for result, array in zip(op.results, arrays, strict=True)]
    if any(array.size > LARGEST_TABLE and not is_uniform(array) for array in codes):
        return None
    return [emit_constant(result, array, rewriter) for result, array in zip(op.results, codes, strict=True)]


def is_uniform(codes: Array) -> bool:
    return bool((codes == codes.reshape(-1)[0]).all())


def emit_constant(result: Value, codes: Array, rewriter: Rewriter) -> Value:
    type = TileType(result.tile.dtype, result.tile.shape)
    if is_uniform(codes):
        return rewriter.emit("constant", type=type, code=int(codes.reshape(-1)[0]))
    return rewriter.emit("table", table=Table.of(type.dtype, codes))


fold = Pass("fold", fold_constants)
