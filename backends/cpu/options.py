"""What a compilation for the CPU may choose: the processor, its features, and how much LLVM optimizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`cpu` None is the host, whose features are then detected; a name (`x86-64-v3`, `znver4`) takes that processor's.

    `features` is LLVM's list (`+avx2,-avx512f`), appended to the processor's own. `opt_level` is 0 to 3; loops become
    vector code from 2 on. `triple` None is the system of this process; code for another one can be read, not launched.
    With `levels` (names from `levels.TABLE`, from the least to the most) the object holds code for each of them, and
    the processor that executes it chooses; `cpu` and `features` are then those of the code that makes the choice.
    """

    cpu: str | None = None
    features: str = ""
    opt_level: int = 3
    triple: str | None = None
    levels: tuple[str, ...] = ()
