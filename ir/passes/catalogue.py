"""Every pass there is, whatever the target: for tests and documentation, which go through them all."""

from __future__ import annotations

from vmc.ir.passes.bounds import bounds
from vmc.ir.passes.canonicalize import canonicalize
from vmc.ir.passes.casts import casts
from vmc.ir.passes.cse import cse
from vmc.ir.passes.dce import dce
from vmc.ir.passes.expand import expand
from vmc.ir.passes.fold import fold
from vmc.ir.passes.gpu.barriers import barriers
from vmc.ir.passes.gpu.decoding import decoding
from vmc.ir.passes.gpu.exchange import exchange
from vmc.ir.passes.gpu.factors import placing
from vmc.ir.passes.gpu.fp8 import products
from vmc.ir.passes.gpu.halves import exact_halves
from vmc.ir.passes.gpu.launches import launches
from vmc.ir.passes.gpu.layouts import layouts
from vmc.ir.passes.gpu.machines import machine
from vmc.ir.passes.gpu.matrix import fragments
from vmc.ir.passes.gpu.pipelining import pipelining
from vmc.ir.passes.gpu.planning import planning
from vmc.ir.passes.gpu.sharing import sharing
from vmc.ir.passes.gpu.split import split
from vmc.ir.passes.gpu.warpgroups import choosing
from vmc.ir.passes.gpu.weights import weights
from vmc.ir.passes.halves import halves
from vmc.ir.passes.hoist import hoist
from vmc.ir.passes.integers import integers
from vmc.ir.passes.licm import licm
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.narrow import narrow
from vmc.ir.passes.prefetch import prefetch
from vmc.ir.passes.relayout import relayout
from vmc.ir.passes.short_sums import short_sums
from vmc.ir.passes.unroll import unroll

EVERY_PASS = (
    canonicalize,
    fold,
    cse,
    dce,
    licm,
    hoist,
    prefetch,
    unroll,
    narrow,
    integers,
    halves,
    short_sums,
    relayout(),
    bounds,
    expand,
    exchange(),
    casts,
    products(machine("sm_89").fp8),
    exact_halves,
    decoding,
    choosing,
    launches,
    split,
    weights(),
    pipelining,
    placing,
    layouts(fragments),
    sharing,
    planning,
    barriers,
)


PASSES: dict[str, Pass] = {step.name: step for step in EVERY_PASS}
"""Every pass, by name."""
