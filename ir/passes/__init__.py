"""Passes over the tile IR: functions from a module to a module with the same meaning, and the order they run in.

    module = run(module, pipeline("cpu"))

Each pass says in its docstring what it needs, guarantees and keeps; `run` can check the module after every one. Those
for GPUs are in `gpu`, imported when they are wanted; `catalogue` has all of them.
"""

from vmc.ir.passes.bounds import bounds
from vmc.ir.passes.canonicalize import canonicalize
from vmc.ir.passes.casts import casts
from vmc.ir.passes.cse import cse
from vmc.ir.passes.dce import dce
from vmc.ir.passes.expand import expand, expansion
from vmc.ir.passes.fold import fold
from vmc.ir.passes.halves import halves, halving
from vmc.ir.passes.hoist import hoist
from vmc.ir.passes.integers import few_digits, integers
from vmc.ir.passes.licm import licm
from vmc.ir.passes.manager import Pass, run
from vmc.ir.passes.narrow import narrow
from vmc.ir.passes.prefetch import prefetch
from vmc.ir.passes.relayout import relayout
from vmc.ir.passes.short_sums import short_sums
from vmc.ir.passes.unroll import unroll

__all__ = [
    "Pass",
    "bounds",
    "canonicalize",
    "casts",
    "cse",
    "dce",
    "expand",
    "expansion",
    "fold",
    "halves",
    "hoist",
    "integers",
    "licm",
    "narrow",
    "pipeline",
    "prefetch",
    "relayout",
    "run",
    "short_sums",
    "unroll",
]

SUMS_FOUR_PRODUCTS = frozenset({"avx512vnni", "avxvnni", "i8mm"})
"""Features of processors with instructions that sum four products of bytes in 32 bits."""
MULTIPLIES_BF16 = frozenset({"avx512bf16", "amx-bf16"})
"""Features of processors that multiply bf16 faster than f32."""


def pipeline(
    target: str, dense: frozenset[str] = frozenset(), features: frozenset[str] = frozenset()
) -> tuple[Pass, ...]:
    """The passes that prepare a module for a target (`interp`, `cpu`, `cuda:sm_90a`, ...), in order.

    `dense` names the parameters whose order in memory no pass may choose, since their callers have them as declared;
    `features` are those of the processor that instructions are chosen by. Orders in memory do not depend on them.

    The reference VM executes modules as they are. The composite operations are expanded in the middle, so that what
    their expansions share is merged and what does not change leaves the loops.
    """
    if target == "interp":
        return ()
    family, _, arch = target.partition(":")
    if family == "cuda":
        from vmc.ir.passes.gpu.pipeline import cuda_pipeline

        return cuda_pipeline(arch, dense)
    digits = integers if features & SUMS_FOUR_PRODUCTS else few_digits
    select = (halving(whole_tiles=True), digits, halves) if features & MULTIPLIES_BF16 else (digits,)
    early = (canonicalize, cse, dce, unroll, narrow, canonicalize, cse, *select)
    late = (expand, canonicalize, cse, licm, cse, hoist, prefetch, cse, bounds, dce, relayout(dense))
    short = () if features & SUMS_FOUR_PRODUCTS else (short_sums,)
    return early + late + short
