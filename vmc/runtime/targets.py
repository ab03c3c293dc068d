"""Targets: what a kernel in tile IR becomes so that it can be launched.

`interp` is the reference machine, `cpu` the host's processor, `cpu:LEVEL` one of `vmc.backends.cpu.levels`, whose code
can be read on any host and launched on those that have its features, and `cpu:portable` every x86-64 processor, with
code for several levels; `cuda:sm_80` and its like are architectures of NVIDIA GPUs, `cuda` that of the device at hand,
and `ptx-vm:sm_80` executes the same PTX on the CPU.
Code for the CPU is taken from the caches, in memory and on disk, where they have it.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vmc.ir.core import Kernel, Module, Storage, TensorType
from vmc.runtime.errors import ExecutionError, TargetError
from vmc.runtime.ptx_machine import device_target, is_ptx_machine

if TYPE_CHECKING:
    from vmc.backends.cpu import Executable, Generated, Options, Signature
    from vmc.backends.cpu.levels import Level
    from vmc.ir.passes import Pass
    from vmc.runtime.cache import DiskCache

TARGETS = ("cpu", "interp")
PORTABLE = "portable"
FORCED = "VMC_CPU_LEVEL"
"""The environment variable that names the level whose code kernels for `cpu:portable` execute."""


class Launcher(Protocol):
    """A compiled kernel. Tensors are addresses and sizes in bytes, scalars Python numbers, both in parameter order;
    symbols are in the kernel's order; `device` is the number of the GPU that the tensors lie on.

    `storages` tells how each tensor lies in memory, by name: as declared, or as a pass chose.
    """

    @property
    def storages(self) -> Mapping[str, Storage | None]: ...

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
        device: int = 0,
    ) -> None: ...


def check_target(target: str) -> None:
    """Raises TargetError for a name that is no target."""
    from vmc.diagnostics import suggest

    family, _, name = target.partition(":")
    if target in TARGETS:
        return
    if family == "cpu":
        from vmc.backends.cpu.levels import LEVELS

        if name in LEVELS or name == PORTABLE:
            return
        known = ", ".join(f"cpu:{level}" for level in (*LEVELS, PORTABLE))
        raise TargetError("E0904", f"unknown target `{target}`; besides `cpu` there are {known}")
    if family == "cuda" or target.startswith("cuda"):
        from vmc.runtime.cuda import check_name

        check_name(target)
        return
    if is_ptx_machine(target):
        from vmc.runtime.ptx_machine import check_name as check_architecture

        check_architecture(target)
        return
    close = "cuda" if target in ("gpu", "nvidia") else suggest(target, TARGETS)
    hint = f"did you mean `{close}`?" if close else f"targets are {', '.join(TARGETS)}"
    raise TargetError("E0904", f"unknown target `{target}`; {hint}")


def prepare(kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> Launcher:
    """Something that launches the kernel on a target, and takes the tensors `dense` as declared. Raises TargetError."""
    check_target(target)
    if target == "interp":
        return Interpreted(kernel)
    if is_cuda(target):
        from vmc.runtime.cuda import OnDevice

        return OnDevice(kernel, target, dense)
    if is_ptx_machine(target):
        from vmc.runtime.ptx_machine import OnPtxMachine

        return OnPtxMachine(kernel, target, dense)
    return Native(kernel, target, dense)


@dataclass(frozen=True, eq=False)
class Interpreted:
    """Launches on the reference machine. `unwritten`: the elements of `out` tensors that the latest launch left out."""

    kernel: Kernel
    unwritten: dict[str, int] = field(default_factory=dict)

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        return self.kernel.storages

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
        device: int = 0,
    ) -> None:
        from vmc.backends import interp

        tensors = iter([memory(address, size) for address, size in zip(addresses, sizes, strict=True)])
        numbers = iter(scalars)
        arguments = [next(tensors) if isinstance(p.type, TensorType) else next(numbers) for p in self.kernel.params]
        try:
            machine = interp.Machine(self.kernel, dict(zip(self.kernel.symbols, symbols, strict=True)))
            machine.launch(arguments)
        except interp.ExecutionError as error:
            raise ExecutionError(error.message, error.span) from None
        self.unwritten.clear()
        self.unwritten.update(machine.unwritten())


def memory(address: int, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes at an address as an array that shares them."""
    if size == 0:
        return np.empty(0, np.uint8)
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


class Native:
    """Launches native code, which is compiled, or taken from a cache, when it is made.

    Raises TargetError for a processor that the host is not.
    """

    def __init__(self, kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> None:
        from vmc.backends.cpu import ExecutionError as Failure

        check_host(target)
        self.kernel, self.target = kernel, target
        self.options = options_of(target)
        self.executable = cached(kernel, self.options, dense)
        self._failure = Failure
        if self.executable.choice is not None:
            self.executable.choice.force(forced_level(self.options.levels))

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        from vmc.ir.text import parse_storage

        signature = self.executable.signature
        texts = zip(signature.tensors, signature.storages, strict=True)
        return {name: parse_storage(text) if text is not None else None for name, text in texts}

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
        device: int = 0,
    ) -> None:
        try:
            self.executable.launch(addresses, scalars, symbols)
        except self._failure as error:
            raise ExecutionError(error.message, error.span) from None


def options_of(target: str) -> Options:
    """The options for `cpu` or `cpu:NAME`. Raises TargetError for a name that is no target."""
    from vmc.backends.cpu import Options
    from vmc.backends.cpu.levels import LEVELS, portable

    check_target(target)
    name = target.partition(":")[2]
    if not name:
        return Options()
    return portable() if name == PORTABLE else LEVELS[name].options()


def check_host(target: str) -> None:
    """Raises TargetError where the host cannot execute code for `cpu` or `cpu:NAME`."""
    from vmc.backends.cpu.levels import LEVELS
    from vmc.backends.cpu.levels import PORTABLE as VERSIONS

    name = target.partition(":")[2]
    if name:
        check_level(LEVELS[VERSIONS[0] if name == PORTABLE else name], target)


def check_level(level: Level, what: str) -> None:
    """Raises TargetError where the host cannot execute a level's code."""
    from vmc.backends.cpu.target import missing

    lacking = missing(level)
    if lacking:
        raise TargetError("E0914", f"this processor cannot execute {what}: it lacks {', '.join(lacking)}")


def forced_level(levels: tuple[str, ...]) -> str | None:
    """The level that the environment has kernels for `cpu:portable` execute. Raises TargetError for one that cannot."""
    from vmc.backends.cpu.levels import LEVELS

    name = os.environ.get(FORCED)
    if not name:
        return None
    if name not in levels:
        raise TargetError("E0914", f"{FORCED} is {name}, and cpu:{PORTABLE} has {', '.join(levels)}")
    check_level(LEVELS[name], f"the level {name}, which {FORCED} names")
    return name


def passes_for(target: str, dense: frozenset[str] = frozenset()) -> tuple[Pass, ...]:
    """The passes for a target, with the tensors `dense` as declared. Raises TargetError."""
    from vmc.ir.passes import pipeline

    if is_cuda(device_target(target)):
        from vmc.runtime.cuda import passes

        check_target(target)
        return passes(device_target(target), dense)
    return pipeline("interp") if target == "interp" else native_passes(options_of(target), dense)


def memory_of(target: str) -> tuple[str, int]:
    """Where a target's tensors lie, "cpu" or "cuda", and what their addresses are multiples of, in bytes, if more than
    their elements ask for; else 0.
    """
    if is_cuda(target):
        from vmc.backends.cuda.target import ALIGNMENT

        return "cuda", ALIGNMENT
    return "cpu", 0


def is_cuda(target: str) -> bool:
    """Whether a target is `cuda` or `cuda:NAME`."""
    return target.partition(":")[0] == "cuda"


def native_passes(options: Options, dense: frozenset[str] = frozenset()) -> tuple[Pass, ...]:
    """The passes for a processor, with the tensors `dense` as declared."""
    from vmc.backends.cpu.target import machine
    from vmc.ir.passes import pipeline

    return pipeline("cpu", dense, machine(options).features)


def lowered(kernel: Kernel, options: Options | None = None, dense: frozenset[str] = frozenset()) -> Kernel:
    """The kernel after the passes for a processor, the host unless options say otherwise, with `dense` as declared."""
    from vmc.backends.cpu import Options
    from vmc.ir.passes import run

    return run(Module((kernel,)), native_passes(options or Options(), dense)).kernels[0]


def native(kernel: Kernel, options: Options, dense: frozenset[str] = frozenset()) -> Executable:
    """Freshly compiled code. Raises TargetError for a program that the CPU cannot run."""
    from vmc.backends import cpu

    return cpu.compile(lowered(kernel, options, dense), options)


def generated(kernel: Kernel, target: str) -> Generated:
    """Code for `cpu` or `cpu:NAME` to be read. Raises TargetError for a program that the CPU cannot run."""
    from vmc.backends import cpu

    options = options_of(target)
    return cpu.generated(lowered(kernel, options), options)


_loaded: dict[str, Executable] = {}


def cached(kernel: Kernel, options: Options, dense: frozenset[str] = frozenset()) -> Executable:
    """Code from this process, from the cache on disk, or freshly compiled and then kept in both."""
    from vmc.runtime.cache import DiskCache, cache_directory, key_of

    key = key_of(dependencies(kernel, options, dense))
    executable = _loaded.get(key)
    if executable is None:
        directory = cache_directory()
        make = partial(native, kernel, options, dense)
        executable = from_disk(DiskCache(directory), key, make) if directory else make()
        _loaded[key] = executable
    return executable


def from_disk(disk: DiskCache, key: str, make: Callable[[], Executable]) -> Executable:
    """The entry of the cache, or fresh code that becomes one."""
    from vmc.backends import cpu

    entry = disk.load(key)
    if entry is not None:
        header, code = entry
        try:
            return cpu.load(code, cpu.Signature.from_json(json.dumps(header)))
        except (ValueError, KeyError, TypeError, RuntimeError):
            pass
    executable = make()
    disk.store(key, json.loads(executable.signature.to_json()), executable.object)
    return executable


def object_code(kernel: Kernel, options: Options) -> tuple[bytes, Signature]:
    """Code that this process does not load, for a processor that need not be the host: from the cache on disk, or
    freshly compiled and then kept there. Raises TargetError for a program that the CPU cannot run.
    """
    from vmc.backends import cpu
    from vmc.runtime.cache import DiskCache, cache_directory, key_of

    directory = cache_directory()
    disk = DiskCache(directory) if directory else None
    key = key_of(dependencies(kernel, options))
    entry = disk.load(key) if disk else None
    if entry is not None:
        header, code = entry
        with suppress(ValueError, KeyError, TypeError):
            return code, cpu.Signature.from_json(json.dumps(header))
    made = cpu.generated(lowered(kernel, options), options)
    code = made.object_code()
    if disk:
        disk.store(key, json.loads(made.signature.to_json()), code)
    return code, made.signature


def dependencies(kernel: Kernel, options: Options, dense: frozenset[str] = frozenset()) -> dict[str, Any]:
    """All that generated code depends on. The IR is the one before the passes, which the fingerprint stands for."""
    import llvmlite
    import llvmlite.binding as llvm

    from vmc.backends.cpu.target import machine
    from vmc.ir.text import print_kernel
    from vmc.runtime.fingerprint import code_fingerprint

    host = machine(options)
    return {
        "code": code_fingerprint(),
        "llvmlite": llvmlite.__version__,
        "llvm": list(llvm.llvm_version_info),
        "triple": host.triple,
        "cpu": host.cpu,
        "features": host.flags,
        "options": asdict(options),
        "ir": print_kernel(kernel, locations=True),
        "fast": kernel.fast,
        "dense": sorted(dense),
    }
