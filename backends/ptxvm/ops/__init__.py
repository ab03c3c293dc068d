"""The instructions of PTX: one table from opcodes to the functions that compile them to steps.

Branches, barriers and exits are not here: they belong to the scheduler (`machine.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.ops import (
    access,
    atomics,
    bits,
    calls,
    compare,
    convert,
    copying,
    floats,
    integer,
    matrices,
    mbarrier,
    warp,
    wgmma,
)

Compile = Callable[[Emitter], Step]


def by_type(integers: Compile, reals: Compile) -> Compile:
    """One opcode for integers and floats."""

    def choose(e: Emitter) -> Step:
        return reals(e) if e.type in floats.KINDS else integers(e)

    return choose


HANDLERS: dict[str, Compile] = {
    "add": by_type(integer.add, floats.add),
    "sub": by_type(integer.sub, floats.sub),
    "mul": by_type(integer.mul, floats.mul),
    "mad": by_type(integer.mad, floats.fma),
    "div": by_type(integer.div, floats.div),
    "rem": integer.rem,
    "abs": by_type(integer.absolute, floats.absolute),
    "neg": by_type(integer.negate, floats.negate),
    "min": by_type(integer.extreme, floats.extreme),
    "max": by_type(integer.extreme, floats.extreme),
    "addc": integer.addc,
    "subc": integer.subc,
    "madc": integer.madc,
    "mul24": integer.mul24,
    "mad24": integer.mad24,
    "sad": integer.sad,
    "dp4a": integer.dp4a,
    "dp2a": integer.dp2a,
    "fma": floats.fma,
    "sqrt": floats.sqrt,
    "rsqrt": floats.rsqrt,
    "rcp": floats.rcp,
    "ex2": floats.ex2,
    "lg2": floats.lg2,
    "sin": floats.sin,
    "cos": floats.cos,
    "tanh": floats.tanh,
    "copysign": floats.copysign,
    "testp": floats.testp,
    "and": bits.logic,
    "or": bits.logic,
    "xor": bits.logic,
    "not": bits.logic,
    "cnot": bits.cnot,
    "lop3": bits.lop3,
    "shl": bits.shl,
    "shr": bits.shr,
    "shf": bits.shf,
    "prmt": bits.prmt,
    "bfe": bits.bfe,
    "bfi": bits.bfi,
    "bmsk": bits.bmsk,
    "szext": bits.szext,
    "popc": bits.popc,
    "clz": bits.clz,
    "bfind": bits.bfind,
    "brev": bits.brev,
    "mov": bits.mov,
    "selp": bits.selp,
    "slct": bits.slct,
    "setp": compare.setp,
    "set": compare.set_,
    "cvt": convert.cvt,
    "cvta": convert.cvta,
    "isspacep": convert.isspacep,
    "ld": access.ld,
    "ldu": access.ld,
    "st": access.st,
    "atom": atomics.atom,
    "red": atomics.red,
    "cp": copying.cp,
    "mbarrier": mbarrier.mbarrier,
    "ldmatrix": matrices.ldmatrix,
    "stmatrix": matrices.stmatrix,
    "movmatrix": matrices.movmatrix,
    "mma": matrices.mma,
    "wgmma": wgmma.wgmma,
    "shfl": warp.shfl,
    "vote": warp.vote,
    "match": warp.match_,
    "redux": warp.redux,
    "elect": warp.elect,
    "activemask": warp.activemask,
    "membar": access.fence,
    "fence": access.fence,
    "call": calls.call,
    "createpolicy": calls.policy,
    **dict.fromkeys(
        ("prefetch", "prefetchu", "nanosleep", "pmevent", "discard", "applypriority", "nop",
         "griddepcontrol", "setmaxnreg", "brkpt"),
        access.nothing,
    ),
}  # fmt: skip


def compile_step(e: Emitter) -> Step:
    """The step of an instruction, guard included. Raises UnsupportedError."""
    handler = HANDLERS.get(e.root)
    if handler is None:
        e.unsupported()
    return e.guarded(e.watched(handler(e)))
