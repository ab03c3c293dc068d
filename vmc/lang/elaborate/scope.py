"""Names and what they stand for: a chain of dictionaries, from a function's locals to its module to the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vmc.lang.elaborate.values import Thing


@dataclass(eq=False)
class Scope:
    """One level of names. Assignments go to the innermost."""

    parent: Scope | None = None
    names: dict[str, Thing] = field(default_factory=dict)

    def find(self, name: str) -> Thing | None:
        """What a name stands for here, or None."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def all_names(self) -> Iterator[str]:
        """Every visible name, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent
