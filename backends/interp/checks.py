"""Checks that a program asks for by name: what wraps silently, or is defined though it looks like a mistake.

`overflow`: an integer result of add, sub, mul, neg or abs outside its type. `division`: floordiv or mod by zero.
Operations inside the expansion of a composite one are not checked: they wrap on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vmc.ir.core import Op
from vmc.ir.evaluate import Array

CHECKS = ("overflow", "division")

EXACT: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "abs": abs,
}
"""The integer operations that can leave their type, on NumPy arrays of Python's integers."""


def complaint(op: Op, operands: Sequence[Array], checks: frozenset[str]) -> str | None:
    """What is wrong with an operation on these operands; None where nothing is, or it is not checked."""
    if "overflow" in checks and op.name in EXACT and op.result.tile.dtype.is_int:
        return overflow(op, operands)
    if "division" in checks and op.name in ("floordiv", "mod") and np.any(operands[1] == 0):
        return f"{op.name} by zero"
    return None


def overflow(op: Op, operands: Sequence[Array]) -> str | None:
    type = op.result.tile.dtype
    kind = np.int64 if type.width <= 32 else object
    wide = [np.asarray(operand).astype(kind) for operand in operands]
    exact = np.asarray(EXACT[op.name](*wide))
    outside = (exact < type.min) | (exact > type.max)
    if not np.any(outside):
        return None
    return f"{op.name} gives {exact[outside].flat[0]}, which {type.name} does not hold"
