"""The table of lowerings: what each operation of the tile IR becomes in TVM's IR."""

from __future__ import annotations

from vmc.backends.cuda import (
    access,
    arith,
    copies,
    debug,
    decoding,
    elementwise,
    indexed,
    ldmatrix,
    matrix,
    reductions,
    regions,
    shapes,
    shared,
    views,
    warpgroups,
    words,
)
from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.regions import Lowering
from vmc.ir.core import Op


def lower_load(e: Emitter, op: Op) -> None:
    """A slice as elements; of a tensor with shuffled bits, as words; from shared memory, if it can be, as matrices."""
    storage = op.operands[0].tensor.storage
    if storage is not None and storage.shuffle is not None:
        words.lower_load(e, op)
    elif ldmatrix.is_matrices(op, e.values[op.operands[0]], e.threads):
        ldmatrix.lower_matrices(e, op)
    else:
        access.lower_load(e, op)


LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys((*arith.INTEGER, *arith.FLOATING), elementwise.lower_step),
    "select": elementwise.lower_select,
    "cast": elementwise.lower_cast,
    "bitcast": elementwise.lower_bitcast,
    "constant": elementwise.lower_constant,
    "iota": elementwise.lower_iota,
    "symbol": elementwise.lower_symbol,
    "broadcast": shapes.lower_broadcast,
    "transpose": shapes.lower_renamed,
    "reshape": shapes.lower_renamed,
    "relayout": shapes.lower_relayout,
    "load": lower_load,
    "decode": decoding.lower_decode,
    "dot": matrix.lower_dot,
    "dot_fp8": matrix.lower_dot,
    "dot_shared": warpgroups.lower_dot_shared,
    "store": access.lower_store,
    "prefetch": regions.lower_nothing,
    "alloc": shared.lower_alloc,
    "field": shared.lower_field,
    "copy_async": copies.lower_copy_async,
    "commit_group": copies.lower_commit,
    "wait_group": copies.lower_wait,
    "gather": indexed.lower_gather,
    "scatter": indexed.lower_scatter,
    "atomic": indexed.lower_atomic,
    "reduce": reductions.lower_reduce,
    "view": views.lower_view,
    "table": debug.lower_table,
    "print": debug.lower_print,
    "assert": debug.lower_assert,
    "for": regions.lower_for,
    "while": regions.lower_while,
    "if": regions.lower_if,
    "barrier": regions.lower_barrier,
}


def lower(e: Emitter, op: Op) -> None:
    """Emits one operation. Raises UnsupportedError, with its place in the source."""
    if op.name not in LOWERINGS:
        raise UnsupportedError(f"the operation {op.name} has no code for NVIDIA GPUs", op.span)
    e.finish(op)
    e.mark(op.span)
    try:
        LOWERINGS[op.name](e, op)
    except UnsupportedError as error:
        raise UnsupportedError(error.message, op.span) from None
