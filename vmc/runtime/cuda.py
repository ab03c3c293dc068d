"""Kernels for NVIDIA GPUs: compiling for a named architecture, on any machine, and launching on the device at hand.

Launching has been executed against a recorder of the driver's calls, and on no GPU yet.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Any

from vmc.ir.core import IRError, Kernel, Module, Storage, TensorType
from vmc.ir.dims import evaluate
from vmc.runtime import driver
from vmc.runtime.driver import Device, Function, Program
from vmc.runtime.errors import ArgumentError, TargetError

if TYPE_CHECKING:
    from vmc.backends.cuda import Compiled
    from vmc.ir.passes import Pass

MOST_GRIDS = 1024
"""Numbers of blocks that a kernel keeps."""

MACHINE_TYPES: dict[str, Any] = {
    "uint32": ctypes.c_uint32,
    "uint64": ctypes.c_uint64,
    "int64": ctypes.c_int64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}


def check_name(target: str) -> None:
    """Raises TargetError for `cuda:NAME` with a name that is no architecture."""
    from vmc.backends.cuda.target import ARCHES
    from vmc.diagnostics import suggest

    family, colon, name = target.partition(":")
    if family == "cuda" and (not colon or name in ARCHES):
        return
    known = [f"cuda:{arch}" for arch in ARCHES]
    close = next((name for name in known if colon and name.startswith(target)), None) or suggest(target, known)
    hint = f"did you mean `{close}`?" if close else f"there are `cuda`, {', '.join(known)}"
    raise TargetError("E0904", f"unknown target `{target}`; {hint}")


def architecture(target: str) -> str:
    """The architecture that `cuda:NAME`, or for `cuda` the device at hand, has. Raises TargetError."""
    check_name(target)
    return target.partition(":")[2] or device_architecture()


def passes(target: str, dense: frozenset[str] = frozenset()) -> tuple[Pass, ...]:
    """The passes for an architecture, with the tensors `dense` as declared."""
    from vmc.ir.passes import pipeline

    return pipeline(target if ":" in target else "cuda", dense)


def lowered(kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> Module:
    """The kernel after the passes: the kernels of its grids, in order. Raises TargetError."""
    from vmc.ir.passes import run

    return run(Module((kernel,)), passes(target, dense))


def compiled(kernel: Kernel, target: str, dense: frozenset[str] = frozenset(), lines: bool = False) -> Compiled:
    """PTX, cubin and what a launch must know, from the cache on disk or freshly made and then kept there.

    `lines`: PTX that tells lines of the source. Raises TargetError.
    """
    from vmc.backends.cuda import Compiled
    from vmc.runtime.cache import DiskCache, cache_directory, key_of

    arch, directory = architecture(target), cache_directory()
    if directory is None:
        return fresh(kernel, arch, dense, lines)
    with blamed():
        disk, key = DiskCache(directory), key_of(dependencies(kernel, arch, dense, lines))
    entry = disk.load(key)
    if entry is not None:
        with contextlib.suppress(KeyError, TypeError, ValueError, IRError):
            return Compiled.from_header(*entry)
    made = fresh(kernel, arch, dense, lines)
    disk.store(key, made.header(), made.cubin)
    return made


def fresh(kernel: Kernel, arch: str, dense: frozenset[str], lines: bool) -> Compiled:
    """Freshly compiled code. Raises TargetError."""
    from vmc.backends import cuda

    with blamed():
        return cuda.compile(lowered(kernel, f"cuda:{arch}", dense), arch, lines)


def dependencies(kernel: Kernel, arch: str, dense: frozenset[str], lines: bool) -> dict[str, Any]:
    """All that compiled code depends on. The IR is the one before the passes, which the fingerprint stands for."""
    from vmc.backends.cuda.compilers import identity, installed
    from vmc.ir.text import print_kernel
    from vmc.runtime.fingerprint import code_fingerprint

    return {
        "code": code_fingerprint(),
        "packages": [installed("apache-tvm"), *identity()],
        "arch": arch,
        "lines": lines,
        "ir": print_kernel(kernel, locations=True),
        "dense": sorted(dense),
    }


def stage_text(kernel: Kernel, target: str, stage: str) -> str:
    """`tirx`, `cuda`, `ptx` or `sass` of a kernel in tile IR. Raises TargetError."""
    from vmc.backends import cuda
    from vmc.backends.cuda.disassembly import sass

    arch = architecture(target)
    with blamed():
        module = lowered(kernel, f"cuda:{arch}")
        if stage == "tirx":
            return cuda.tir_script(module, arch) + "\n"
        if stage == "cuda":
            return cuda.source(module, arch)
        made = cuda.compile(module, arch)
        return made.ptx if stage == "ptx" else sass(made.cubin)


class blamed:
    """A context that turns what the backend raises into TargetError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from vmc.backends.cuda import ToolchainError, UnsupportedError

        if isinstance(error, UnsupportedError | IRError):
            where = f"{error.span}: " if error.span.line else ""
            raise TargetError("E0915", f"{where}{error.message}") from None
        if isinstance(error, ToolchainError):
            raise TargetError("E0914", error.message) from None
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "tvm":
            message = "generating CUDA needs TVM: pip install 'vmc[cuda]'"
            raise TargetError("E0914", message) from None


@dataclass(frozen=True)
class Schedule:
    """A launch for some extents: the blocks of each grid, and where the workspace's tensors lie in its `bytes`."""

    blocks: tuple[int, ...]
    places: tuple[int, ...]
    bytes: int


class OnDevice:
    """Launches on the device that the tensors lie on, on torch's current stream of it where torch is in use.

    For `cuda`, the code is loaded on the device at hand at once; for a named architecture at the first launch, so that
    it can be compiled where there is no GPU. Raises TargetError where a launch is asked for and there is no device.
    """

    def __init__(self, kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> None:
        self.compiled = compiled(kernel, target, dense)
        self.kernel = self.compiled.kernel
        self._programs: dict[int, Program] = {}
        self._loading = Lock()
        self._schedules: dict[Any, Schedule] = {}
        self._counts = self.compiled.counts_multiprocessors
        self._has_scalars = any(not isinstance(param.type, TensorType) for param in self.kernel.params)
        if ":" not in target:
            self.program(driver.current_device())

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        return self.compiled.storages

    def program(self, number: int) -> Program:
        """The kernel on a device, loaded when it is first asked for. Raises TargetError."""
        found = self._programs.get(number)
        if found is not None:
            return found
        with self._loading:
            if number not in self._programs:
                self._programs[number] = loaded(self.compiled, driver.device(number))
            return self._programs[number]

    def schedule(self, symbols: tuple[int, ...], scalars: Sequence[int | float]) -> Schedule:
        """What to launch, computed once for equal arguments. Raises ArgumentError for too many blocks."""
        key = (symbols, *scalars) if self._has_scalars else symbols
        known = self._schedules.get(key)
        if known is None:
            try:
                known = schedule(self.compiled, dict(zip(self.kernel.symbols, symbols, strict=True)), scalars)
            except ValueError as error:
                raise ArgumentError("E0910", str(error)) from None
            if len(self._schedules) >= MOST_GRIDS:
                self._schedules.clear()
            self._schedules[key] = known
        return known

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
        device: int = 0,
    ) -> None:
        if self._counts:
            symbols = (*symbols, driver.device(device).multiprocessors)
        plan = self.schedule(symbols, scalars)
        if not any(plan.blocks):
            return
        words = words_of(self.compiled, addresses, scalars, symbols) if self._has_scalars else (*addresses, *symbols)
        self.program(device).launch(plan.blocks, words, plan.places, plan.bytes, driver.current_stream(device))


def schedule(made: Compiled, symbols: Mapping[str, int], scalars: Sequence[int | float]) -> Schedule:
    """What a launch is made of. Raises ValueError for too many blocks."""
    from vmc.backends.cuda import APART

    sizes = [evaluate(size, symbols) for size in made.workspace_sizes]
    ends = list(accumulate((-(-size // APART) * APART for size in sizes), initial=0))
    blocks = tuple(grid.blocks(symbols, scalars) for grid in made.grids)
    return Schedule(blocks, tuple(ends[:-1]), ends[-1])


def loaded(made: Compiled, device: Device) -> Program:
    """A kernel on a device. Raises TargetError for one that cannot execute its code."""
    image = image_for(made, device)
    check_shared(made, device)
    handles = driver.load(device, image, [(grid.entry, grid.dynamic_shared) for grid in made.grids])
    functions = [
        Function(handle, grid.threads, grid.dynamic_shared) for handle, grid in zip(handles, made.grids, strict=True)
    ]
    return Program(device, functions, len(made.parameters))


def check_shared(made: Compiled, device: Device) -> None:
    """Raises TargetError where blocks take more shared memory than the device has for one: those of the same major
    number differ."""
    for grid in made.grids:
        if grid.dynamic_shared > device.shared:
            takes = f"a block of `{grid.entry}` takes {grid.dynamic_shared / 1024:.1f} KiB of shared memory"
            raise TargetError("E0914", f"{takes}, and {device} has {device.shared / 1024:.1f} KiB for one")


def image_for(made: Compiled, device: Device) -> bytes:
    """The cubin where the device executes it, else the PTX, which the driver compiles. Raises TargetError.

    Source: CUDA C++ Programming Guide, "Binary Compatibility", "PTX Compatibility".
    """
    from vmc.backends.cuda.target import ARCHES, TEGRA, arch_for

    number, wanted = ARCHES[made.arch].number, 10 * device.major + device.minor
    is_exact = made.arch[-1].isalpha()
    takes_older = not is_exact and wanted > number and device.major == number // 10 and wanted not in TEGRA
    if wanted == number or takes_older:
        return made.cubin
    if not is_exact and wanted > number:
        return made.ptx.encode() + b"\0"
    fitting = arch_for(device.major, device.minor)
    hint = f"; compile for cuda:{fitting.name}" if fitting else ""
    raise TargetError("E0914", f"{device} does not execute code for {made.arch}{hint}")


def words_of(
    made: Compiled, addresses: Sequence[int], scalars: Sequence[int | float], symbols: Sequence[int]
) -> list[int]:
    """The parameters of a launch, in order, as words of eight bytes."""
    return [
        int.from_bytes(bytes(value).ljust(8, b"\0"), "little") for value in arguments(made, addresses, scalars, symbols)
    ]


def arguments(
    made: Compiled, addresses: Sequence[int], scalars: Sequence[int | float], symbols: Sequence[int]
) -> list[Any]:
    """The parameters of a launch as machine values, in order, without the workspace's."""
    tensors, numbers, extents = iter(addresses), iter(scalars), iter(symbols)
    found: list[Any] = []
    types = {param.name: param.type for param in made.kernel.params}
    for parameter in made.parameters:
        match parameter.kind:
            case "workspace":
                break
            case "pointer":
                found.append(ctypes.c_uint64(next(tensors)))
            case "int64":
                found.append(ctypes.c_int64(next(extents)))
            case kind:
                found.append(MACHINE_TYPES[kind](machine_value(types[parameter.name], next(numbers))))
    return found


def machine_value(type: Any, number: int | float) -> int | float:
    """A scalar as the kernel takes it: integers as they are, f32 and f64 too, other floats as their codes."""
    dtype = type.dtype
    if dtype.is_int:
        return int(number)
    return float(number) if dtype.name in ("f32", "f64") else int(dtype.encode(number)[()])


def device_architecture() -> str:
    """The architecture to compile for on this machine. Raises TargetError."""
    from vmc.backends.cuda.target import arch_for

    device = driver.device(driver.current_device())
    arch = arch_for(device.major, device.minor)
    if arch is None:
        raise TargetError("E0914", f"no code is made for {device}")
    return arch.name
