"""What a pass is, and how a list of them runs over a module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vmc.ir.core import Module


@dataclass(frozen=True, slots=True)
class Pass:
    """A named function from a module to a module that means the same."""

    name: str
    rewrite: Callable[[Module], Module]

    def __call__(self, module: Module) -> Module:
        return self.rewrite(module)

    @property
    def contract(self) -> str:
        """What the pass needs, guarantees and keeps."""
        return (self.rewrite.__doc__ or "").strip()


def run(
    module: Module,
    passes: Sequence[Pass],
    *,
    verify: bool = False,
    observe: Callable[[str, Module], None] | None = None,
    skip: frozenset[str] = frozenset(),
) -> Module:
    """The module after all passes in order, but for those whose names are in `skip`.

    `verify` runs the verifier before the first pass and after each (raises its IRError); `observe` is called with each
    pass's name and the module it left.
    """
    if verify:
        check(module)
    for step in passes:
        if step.name in skip:
            continue
        module = step(module)
        if verify:
            check(module)
        if observe is not None:
            observe(step.name, module)
    return module


def check(module: Module) -> None:
    """Raises the verifier's IRError if the module is ill-formed."""
    from vmc.ir.verifier import verify

    verify(module)
