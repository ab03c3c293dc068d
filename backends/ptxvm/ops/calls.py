"""Calls to the functions that compilers leave as calls: failed assertions end the program, printing does nothing."""

from __future__ import annotations

import numpy as np

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.errors import TrapError
from vmc.backends.ptxvm.state import Cohort


def call(e: Emitter) -> Step:
    names = [o.text for o in e.operands if isinstance(o, syntax.Name)]
    name = names[0] if names else ""
    match name:
        case "vprintf":
            return lambda m: None
        case "__assertfail":
            return _fail
        case _:
            e.unsupported(f"a call of `{name}`")


def _fail(m: Cohort) -> None:
    block, thread = divmod(int(m.active[0]), m.per_block)
    where = (block + m.first_block, thread)
    raise TrapError(f"an assertion fails in thread {thread} of block {where[0]}", threads=(where,))


def policy(e: Emitter) -> Step:
    """Cache policies have no meaning here."""
    destination = e.result()
    return lambda m: m.put(destination, np.zeros(1, np.uint64))
