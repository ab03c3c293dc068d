"""The table of lowerings: what each operation of the tile IR becomes in native code."""

from __future__ import annotations

from vmc.backends.cpu import access, arith, debug, dot, elementwise, indexed, reductions, regions, shapes, sorting, views
from vmc.backends.cpu.regions import Lowering

LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys((*arith.INTEGER, *arith.FLOATING), elementwise.lower_step),
    "select": elementwise.lower_select,
    "cast": elementwise.lower_cast,
    "bitcast": elementwise.lower_bitcast,
    "constant": shapes.lower_constant,
    "table": shapes.lower_table,
    "iota": shapes.lower_iota,
    "broadcast": shapes.lower_broadcast,
    "transpose": shapes.lower_transpose,
    "reshape": shapes.lower_reshape,
    "slice": shapes.lower_slice,
    "flip": shapes.lower_flip,
    "concat": shapes.lower_concat,
    "take": shapes.lower_take,
    "view": views.lower_view,
    "relayout": views.lower_relayout,
    "load": access.lower_load,
    "store": access.lower_store,
    "alloc": access.lower_alloc,
    "field": access.lower_field,
    "gather": indexed.lower_gather,
    "scatter": indexed.lower_scatter,
    "atomic": indexed.lower_atomic,
    "copy_async": indexed.lower_copy_async,
    "commit_group": regions.lower_nothing,
    "wait_group": regions.lower_nothing,
    "barrier": regions.lower_nothing,
    "dot": dot.lower_dot,
    "reduce": reductions.lower_reduce,
    "arg": reductions.lower_arg,
    "scan": reductions.lower_scan,
    "sort": sorting.lower_sort,
    "for": regions.lower_for,
    "while": regions.lower_while,
    "if": regions.lower_if,
    "symbol": regions.lower_symbol,
    "print": debug.lower_print,
    "assert": debug.lower_assert,
}
