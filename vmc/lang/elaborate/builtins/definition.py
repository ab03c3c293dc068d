"""A function of the language: its name, its parameters for binding and messages, and what a call of it emits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.values import Thing


@dataclass(frozen=True, slots=True)
class Builtin:
    """One function of the language; `summary` is the line that the reference shows."""

    name: str
    parameters: tuple[str, ...]
    call: Callable[[Elaborator, Arguments], Thing]
    summary: str
