"""The functions of the language, in one table by name."""

from vmc.lang.elaborate.builtins import constructors, elementwise, moving, queries, reductions, tensors
from vmc.lang.elaborate.builtins.definition import Builtin

FAMILIES: dict[str, tuple[Builtin, ...]] = {
    "Making tiles": constructors.BUILTINS,
    "Elementwise": elementwise.BUILTINS,
    "Reductions, scans and order": reductions.BUILTINS,
    "Moving elements": moving.BUILTINS,
    "Memory, random numbers and debugging": tensors.BUILTINS,
    "Compile-time queries": queries.BUILTINS,
}

BUILTINS: dict[str, Builtin] = {builtin.name: builtin for family in FAMILIES.values() for builtin in family}

__all__ = ["BUILTINS", "FAMILIES", "Builtin"]
