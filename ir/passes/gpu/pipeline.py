"""The order in which passes prepare a module for NVIDIA GPUs."""

from __future__ import annotations

from vmc.ir.passes.bounds import bounds
from vmc.ir.passes.canonicalize import canonicalize
from vmc.ir.passes.casts import casts
from vmc.ir.passes.cse import cse
from vmc.ir.passes.dce import dce
from vmc.ir.passes.expand import expansion
from vmc.ir.passes.fold import fold
from vmc.ir.passes.gpu.barriers import barriers
from vmc.ir.passes.gpu.decoding import decodings
from vmc.ir.passes.gpu.exchange import exchange
from vmc.ir.passes.gpu.factors import placing
from vmc.ir.passes.gpu.fp8 import products
from vmc.ir.passes.gpu.halves import exact_halves
from vmc.ir.passes.gpu.launches import launches
from vmc.ir.passes.gpu.layouts import layouts
from vmc.ir.passes.gpu.machines import machine
from vmc.ir.passes.gpu.matrix import fragments, is_matrix
from vmc.ir.passes.gpu.payoff import pays
from vmc.ir.passes.gpu.pipelining import pipelining
from vmc.ir.passes.gpu.planning import planning
from vmc.ir.passes.gpu.sharing import sharing
from vmc.ir.passes.gpu.split import split
from vmc.ir.passes.gpu.warpgroups import choosing
from vmc.ir.passes.gpu.weights import weights
from vmc.ir.passes.hoist import hoisting
from vmc.ir.passes.integers import exact_integers_unless
from vmc.ir.passes.licm import licm
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.narrow import narrow
from vmc.ir.passes.unroll import unroll


def cuda_pipeline(arch: str, dense: frozenset[str] = frozenset()) -> tuple[Pass, ...]:
    """The passes for an architecture of NVIDIA: tiles are simplified as for the CPU, then laid out over threads."""
    has = machine(arch)
    floats = (products(has.fp8), dce, exact_halves, dce)
    integers = (exact_integers_unless(lambda op: True), dce, *floats, exact_integers_unless(is_matrix), dce)
    exact = (*integers, decodings(has.fp8 is not None), dce)
    early = (canonicalize, cse, dce, unroll, narrow, canonicalize, cse, *exact)
    shared = (hoisting(pays), launches, dce, split, dce)
    lowered = (expansion(frozenset({"decode"})), exchange(is_matrix), canonicalize, cse, casts, fold, cse, licm, cse)
    tiles = (*lowered, bounds, dce)
    chosen, put = ((choosing,), (placing, dce)) if has.warpgroups else ((), ())
    matrices = (*chosen, weights(dense), pipelining, cse, *put)
    threads = (layouts(fragments), dce, sharing, cse, planning, barriers)
    return (*early, *shared, *tiles, *matrices, *threads)
