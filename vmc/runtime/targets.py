"""Targets: what a kernel in tile IR becomes so that it can be launched.

`interp` is the reference machine, `cpu` the host's processor, and `cpu:NAME` one that LLVM knows by that name and the
host can execute. Code for the CPU is taken from the caches, in memory and on disk, where they have it.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vmc.ir.core import Kernel, Module, Storage, TensorType
from vmc.runtime.errors import ExecutionError, TargetError

if TYPE_CHECKING:
    from vmc.ir.passes import Pass
    from vmc.backends.cpu import Executable, Options
    from vmc.runtime.cache import DiskCache

TARGETS = ("cpu", "interp")


class Launcher(Protocol):
    """A compiled kernel. Tensors are addresses and sizes in bytes, scalars Python numbers, both in parameter order;
    symbols are in the kernel's order.

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
    ) -> None: ...


def check_target(target: str) -> None:
    """Raises TargetError for a name that is no target."""
    from vmc.diagnostics import suggest

    family, _, name = target.partition(":")
    if target in TARGETS or (family == "cpu" and name in LEVELS):
        return
    if family == "cpu":
        known = ", ".join(f"cpu:{level}" for level in LEVELS)
        raise TargetError("E0904", f"unknown target `{target}`; besides `cpu` there are {known}")
    if target.startswith("cuda"):
        raise TargetError("E0914", f"the target `{target}` is not there yet; targets are {', '.join(TARGETS)}")
    close = suggest(target, TARGETS)
    hint = f"did you mean `{close}`?" if close else f"targets are {', '.join(TARGETS)}"
    raise TargetError("E0904", f"unknown target `{target}`; {hint}")


def prepare(kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> Launcher:
    """Something that launches the kernel on a target, and takes the tensors `dense` as declared. Raises TargetError."""
    check_target(target)
    if target == "interp":
        return Interpreted(kernel)
    return Native(kernel, target, dense)


@dataclass(frozen=True, eq=False)
class Interpreted:
    """Launches on the reference machine. `unwritten`: the elements of `out` tensors that the latest launch left out."""

    kernel: Kernel
    unwritten: dict[str, int] = field(default_factory=dict)

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        return {p.name: p.tensor.storage for p in self.kernel.params if isinstance(p.type, TensorType)}

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
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

        self.kernel, self.target = kernel, target
        self.options = options_of(target)
        self.executable = cached(kernel, self.options, dense)
        self._failure = Failure

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
    ) -> None:
        try:
            self.executable.launch(addresses, scalars, symbols)
        except self._failure as error:
            raise ExecutionError(error.message, error.span) from None


LEVELS: dict[str, tuple[str, ...]] = {
    "x86-64": (),
    "x86-64-v2": ("sse4.2", "popcnt"),
    "x86-64-v3": ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}
"""The levels of the x86-64 psABI, each with what it adds to the one before. The host can tell whether it has them."""


def options_of(target: str) -> Options:
    """The options for `cpu` or `cpu:NAME`. Raises TargetError for a processor whose code the host cannot execute."""
    import llvmlite.binding as llvm

    from vmc.backends.cpu import Options

    name = target.partition(":")[2] or None
    if name is None:
        return Options()
    check_target(target)
    levels = list(LEVELS)[: list(LEVELS).index(name) + 1]
    features = llvm.get_host_cpu_features()
    missing = [feature for level in levels for feature in LEVELS[level] if not features.get(feature)]
    if missing:
        raise TargetError("E0914", f"this processor cannot execute {target}: it lacks {', '.join(missing)}")
    return Options(cpu=name)


def passes_for(target: str, dense: frozenset[str] = frozenset()) -> tuple[Pass, ...]:
    """The passes for a target, with the tensors `dense` as declared. Raises TargetError."""
    from vmc.ir.passes import pipeline

    return pipeline("interp") if target == "interp" else native_passes(options_of(target), dense)


def native_passes(options: Options, dense: frozenset[str] = frozenset()) -> tuple[Pass, ...]:
    """The passes for a processor, with the tensors `dense` as declared."""
    from vmc.backends.cpu.target import machine
    from vmc.ir.passes import pipeline

    return pipeline("cpu", dense, machine(options).features)


def lowered(kernel: Kernel, options: Options | None = None, dense: frozenset[str] = frozenset()) -> Kernel:
    """The kernel after the passes for the CPU, the host unless options say otherwise; the tensors `dense` as declared."""
    from vmc.backends.cpu import Options
    from vmc.ir.passes import run

    return run(Module((kernel,)), native_passes(options or Options(), dense)).kernels[0]


def native(kernel: Kernel, options: Options, dense: frozenset[str] = frozenset()) -> Executable:
    """Freshly compiled code. Raises TargetError for a program that the CPU cannot run."""
    from vmc.backends import cpu

    return cpu.compile(lowered(kernel, options, dense), options)


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
