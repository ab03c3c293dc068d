"""A kernel's code for processors, level by level, made but not loaded. `images` has that for GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import Storage, walk
from vmc.runtime.errors import BuildError, TargetError

if TYPE_CHECKING:
    from vmc.backends.cpu.levels import Level

PORTABLE = "portable"


@dataclass(frozen=True)
class Version:
    """Code for one level of processors. `entry` prefixes the names of its functions, `arena` is a thread's scratch
    memory in bytes, `sites` are what an error that the code finds says.
    """

    level: str
    object: bytes
    entry: str
    arena: int
    serial: bool
    sites: tuple[str, ...]
    storages: Mapping[str, Storage | None]


def levels_of(targets: Iterable[str]) -> list[Level]:
    """The levels of processors that targets name, from the least to the most. Raises TargetError.

    `cpu` is all levels of `shipping.LEVELS`, `cpu:portable` those of the object of that name.
    """
    from vmc.backends.cpu import levels as table
    from vmc.backends.cpu.shipping import LEVELS
    from vmc.runtime.targets import check_target

    names: set[str] = set()
    for target in targets:
        check_target(target)
        family, _, name = target.partition(":")
        if family != "cpu":
            known = "cpu, cpu:LEVEL and cuda:sm_NUMBER"
            raise TargetError("E0904", f"a library cannot have code for `{target}`; it can for {known}")
        names.update(LEVELS if not name else table.PORTABLE if name == PORTABLE else [name])
    found = [level for level in table.TABLE if level.name in names]
    architectures = {level.architecture for level in found}
    if len(architectures) > 1:
        raise TargetError(
            "E0904", f"one library is for one architecture, not for {' and '.join(sorted(architectures))}"
        )
    return found


def versions(kernel: TileKernel, name: str, levels: Sequence[Level]) -> list[Version]:
    """Code of a kernel for some levels, whose functions' names begin with `vmc_NAME_LEVEL`.

    Raises TargetError for a program that the CPU cannot run, BuildError for one that prints.
    """
    for op in walk(kernel.body):
        if op.name == "print":
            raise BuildError("E0921", f"`{name}` prints, which a library cannot: {plain(op.span.file)}:{op.span.line}")
    made = [version(kernel, name, level) for level in levels]
    for other in made[1:]:
        if other.storages != made[0].storages:
            raise BuildError("E0921", f"`{name}` has another layout for {other.level} than for {made[0].level}")
    return made


def version(kernel: TileKernel, name: str, level: Level) -> Version:
    from vmc.ir.text import parse_storage
    from vmc.runtime.targets import object_code

    options = replace(level.options(), triple=f"{level.architecture}-unknown-linux-gnu")
    code, signature = object_code(replace(kernel, name=f"{name}.{level.name}"), options)
    texts = zip(signature.tensors, signature.storages, strict=True)
    storages = {tensor: parse_storage(text) if text is not None else None for tensor, text in texts}
    sites = tuple(f"{plain(str(site.span))}: {site.text}" for site in signature.sites)
    return Version(level.name, code, signature.entry, signature.arena, signature.serial, sites, storages)


def plain(place: str) -> str:
    """A file, or a place in one, without the folder: a library says the same wherever it was built."""
    return Path(place).name
