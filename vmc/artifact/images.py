"""A kernel's code for NVIDIA GPUs in a library: a cubin for each architecture, and PTX for devices that came later.

How many blocks a launch has is computed by native code for the CPU, which is compiled from the operations before the
kernel's grid: so the numbers are those that the kernel's own blocks compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import Level as IRLevel
from vmc.ir.core import Region, Storage, Value, sources
from vmc.ir.dims import Dim
from vmc.ir.ops import OPS
from vmc.ir.span import UNKNOWN
from vmc.runtime.errors import BuildError, TargetError

if TYPE_CHECKING:
    from vmc.backends.cpu.levels import Level
    from vmc.backends.cuda import Compiled, Grid

COUNTING_ARENA = 4096
"""Bytes of scratch memory that the code for the number of blocks may use."""


@dataclass(frozen=True)
class ImageGrid:
    """A grid of a launch: `shared` is dynamic shared memory in bytes; `counting` prefixes the name of the function for
    the number of blocks.
    """

    entry: str
    threads: int
    shared: int
    counting: str


@dataclass(frozen=True)
class Image:
    """What is loaded on devices of a compute capability: `exact`ly that one or, of the same major number, later ones;
    PTX on all later ones. A launch is one of each of the `grids`, in order; `workspace` are the bytes that the tensors
    of its workspace take; `counts`: the number of the device's multiprocessors is a symbol, the last one.
    """

    arch: str
    is_ptx: bool
    data: bytes
    grids: tuple[ImageGrid, ...]
    workspace: tuple[Dim, ...]
    counts: bool
    storages: Mapping[str, Storage | None]

    @property
    def exact(self) -> bool:
        return self.arch[-1].isalpha()

    @property
    def capability(self) -> tuple[int, int]:
        number = int(self.arch.removeprefix("sm_").rstrip("af"))
        return number // 10, number % 10


@dataclass(frozen=True)
class Images:
    """The images of a kernel, and the object files of the functions that count blocks."""

    images: tuple[Image, ...]
    objects: tuple[bytes, ...]


NONE = Images((), ())


def architectures_of(targets: Iterable[str]) -> list[str]:
    """The architectures of GPUs that targets name, in the order of their table. Raises TargetError."""
    from vmc.backends.cuda.target import ARCHES
    from vmc.runtime.cuda import check_name

    names = set()
    for target in targets:
        check_name(target)
        if ":" not in target:
            listed = ", ".join(f"cuda:{name}" for name in ARCHES)
            raise TargetError("E0904", f"a library is for named architectures of GPUs: {listed}")
        names.add(target.partition(":")[2])
    return [name for name in ARCHES if name in names]


def images(kernel: TileKernel, name: str, architectures: Sequence[str], host: Level) -> Images:
    """Code of a kernel for architectures, and for the CPU `host` that launches it.

    Raises TargetError for a program that GPUs cannot run, or where packages for compiling are missing.
    """
    from vmc.runtime.cuda import compiled

    found: list[Image] = []
    objects: list[bytes] = []
    fallback = next((arch for arch in reversed(architectures) if not arch[-1].isalpha()), None)
    for arch in architectures:
        made = compiled(replace(kernel, name=name), f"cuda:{arch}")
        grids = []
        for number, grid in enumerate(made.grids):
            code, counting = block_counter(grid, made.params, f"{name}.blocks{number or ''}_{arch}", host)
            objects.append(code)
            grids.append(ImageGrid(grid.entry, grid.threads, grid.dynamic_shared, counting))
        found.append(image(made, grids, False))
        if arch == fallback:
            found.append(image(made, grids, True))
    return Images(tuple(found), tuple(objects))


def image(made: Compiled, grids: Sequence[ImageGrid], is_ptx: bool) -> Image:
    data = made.ptx.encode() + b"\0" if is_ptx else made.cubin
    return Image(
        made.arch, is_ptx, data, tuple(grids), made.workspace_sizes, made.counts_multiprocessors, made.storages
    )


def block_counter(made: Grid, params: Sequence[Value], name: str, host: Level) -> tuple[bytes, str]:
    """Native code for the number of blocks of a launch, and what its name begins with."""
    from vmc.runtime.targets import object_code

    options = replace(host.options(), triple=f"{host.architecture}-unknown-linux-gnu")
    code, signature = object_code(counting_kernel(replace(made.kernel, params=tuple(params)), name), options)
    if signature.arena > COUNTING_ARENA:
        raise BuildError("E0921", f"`{made.entry}` needs too much memory to compute how many blocks it has")
    return code, signature.entry


def counting_kernel(kernel: TileKernel, name: str) -> TileKernel:
    """A kernel with the same grid, whose blocks do nothing, at the tile level."""
    *preamble, grid, end = kernel.body.ops
    region = grid.regions[0]
    nothing = Region(region.args, (replace(end, definition=OPS["yield"], operands=(), span=UNKNOWN),))
    body = Region(kernel.body.args, (*sources(grid.operands, preamble), replace(grid, regions=(nothing,)), end))
    return replace(kernel, name=name, body=body, level=IRLevel.TILE, notes=())
