"""Casts that change nothing, and casts of casts. What a small type's values become is found by converting them all."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vmc.ir.core import Op, Value
from vmc.ir.passes.rewrite import Rewriter
from vmc.ir.passes.rules.pattern import Transformation
from vmc.ir.types import DType

WIDE_EMBEDDINGS = {
    "u32": ("u64", "i64", "f64"),
    "i32": ("i64", "f64"),
    "tf32": ("f32", "f64"),
    "f32": ("f64",),
}
"""Which types hold every value of a type that has too many codes to try."""


@lru_cache(maxsize=1024)
def embeds(source: DType, target: DType, saturate: bool | None = None) -> bool:
    """Whether a cast keeps every value of `source`: zeros keep their sign, infinities and NaN stay what they are."""
    if source == target and not source.is_float:
        return True
    if source.width > 16:
        keeps_infinity = saturate is not True or not source.is_float
        return keeps_infinity and (source == target or target.name in WIDE_EMBEDDINGS.get(source.name, ()))
    values = source.decode(source.codes())
    back = target.decode(target.encode(values, saturate=saturate))
    if source.is_float and not target.is_float and np.any(np.isnan(values) | ((values == 0) & np.signbit(values))):
        return False
    nan = np.isnan(values) if source.is_float else np.zeros(values.shape, bool)
    kept_nan = np.isnan(back[nan]).all() if target.is_float else not nan.any()
    same = np.array_equal(values[~nan], back[~nan])
    signs = not source.is_float or np.array_equal(np.signbit(values[~nan]), np.signbit(back[~nan]))
    return bool(kept_nan and same and signs)


def is_plain(op: Op) -> bool:
    """A cast that is not stochastic."""
    return len(op.operands) == 1


def saturation(op: Op) -> bool | None:
    saturate = op.attrs["saturate"]
    assert saturate is None or isinstance(saturate, bool)
    return saturate


def identity_cast(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    unchanged = is_plain(op) and source == target and embeds(source, target, saturation(op))
    return op.operands if unchanged else None


def cast_of_cast(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    inner = rewriter.producer(op.operands[0])
    if inner is None or inner.name != "cast" or not is_plain(op) or not is_plain(inner):
        return None
    origin, middle = inner.operands[0], inner.result.tile.dtype
    if not embeds(origin.tile.dtype, middle, saturation(inner)):
        return None
    clamps = origin.tile.dtype.is_int and middle.is_float and op.result.tile.dtype.is_int
    attrs = {**op.attrs, "saturate": True} if clamps else op.attrs
    return (rewriter.emit("cast", origin, **attrs),)


def identity_bitcast(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    return op.operands if op.operands[0].tile.dtype == op.result.tile.dtype else None


def bitcast_of_bitcast(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    inner = rewriter.producer(op.operands[0])
    if inner is None or inner.name != "bitcast":
        return None
    return (rewriter.emit("bitcast", inner.operands[0], **op.attrs),)


RULES = (
    Transformation("a cast to the type it has, which changes nothing -> its operand", "cast", identity_cast),
    Transformation("a cast of a cast that kept every value -> one cast", "cast", cast_of_cast),
    Transformation("a bitcast to the type it has -> its operand", "bitcast", identity_bitcast),
    Transformation("a bitcast of a bitcast -> one bitcast", "bitcast", bitcast_of_bitcast),
)
