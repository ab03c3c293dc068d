"""The rules of `canonicalize`, by subject. Each table is data: rules print, and the tests try every one on its own."""

from vmc.ir.passes.rules import arithmetic, casts, control, shapes

STRUCTURAL = (*casts.RULES, *shapes.RULES, *control.RULES)
"""Rules that need more than a pattern, as functions."""

ALGEBRAIC = arithmetic.RULES
"""Rules written as patterns."""

__all__ = ["ALGEBRAIC", "STRUCTURAL"]
