"""Kernels for NVIDIA GPUs: compiling for a named architecture, on any machine, and launching on the device at hand.

Launching was written from the driver API's documentation and has not been executed on a GPU yet.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from vmc.ir.core import IRError, Kernel, Module, Storage
from vmc.runtime.errors import TargetError

if TYPE_CHECKING:
    from vmc.backends.cuda import Compiled
    from vmc.ir.passes import Pass

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


def lowered(kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> Kernel:
    """The kernel after the passes. Raises TargetError."""
    from vmc.ir.passes import run

    return run(Module((kernel,)), passes(target, dense)).kernels[0]


def compiled(kernel: Kernel, target: str, dense: frozenset[str] = frozenset(), lines: bool = False) -> Compiled:
    """PTX, cubin and what a launch must know, from the cache on disk or freshly made and then kept there.

    `lines`: PTX that tells lines of the source. Raises TargetError.
    """
    from vmc.backends.cuda import Compiled
    from vmc.runtime.cache import DiskCache, cache_directory, key_of

    arch, directory = architecture(target), cache_directory()
    if directory is None:
        return fresh(kernel, arch, dense, lines)
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
    from vmc.ir.text import print_kernel
    from vmc.runtime.fingerprint import code_fingerprint

    return {
        "code": code_fingerprint(),
        "packages": [installed(name) for name in ("apache-tvm", "cuda-bindings", "nvidia-cuda-nvrtc")],
        "arch": arch,
        "lines": lines,
        "ir": print_kernel(kernel, locations=True),
        "dense": sorted(dense),
    }


def installed(package: str) -> str:
    """The version of a package, "" where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def stage_text(kernel: Kernel, target: str, stage: str) -> str:
    """`tirx`, `cuda`, `ptx` or `sass` of a kernel in tile IR. Raises TargetError."""
    from vmc.backends import cuda
    from vmc.backends.cuda.disassembly import sass

    arch = architecture(target)
    with blamed():
        tile = lowered(kernel, f"cuda:{arch}")
        if stage == "tirx":
            return cuda.tir_script(tile, arch) + "\n"
        if stage == "cuda":
            return cuda.source(tile, arch)
        made = cuda.compile(tile, arch)
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


class OnDevice:
    """Launches on the device of the calling thread's CUDA context, on torch's current stream where torch is in use.

    Raises TargetError where a launch is asked for and there is no device.
    """

    def __init__(self, kernel: Kernel, target: str, dense: frozenset[str] = frozenset()) -> None:
        self.compiled = compiled(kernel, target, dense)
        self.kernel = self.compiled.kernel

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        return self.kernel.storages

    @cached_property
    def function(self) -> Any:
        """The loaded kernel. Raises TargetError."""
        driver = cuda_driver()
        module = checked(driver.cuModuleLoadData(self.compiled.cubin))
        function = checked(driver.cuModuleGetFunction(module, self.compiled.entry.encode()))
        if self.compiled.dynamic_shared:
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            checked(driver.cuFuncSetAttribute(function, attribute, self.compiled.dynamic_shared))
        return function

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
    ) -> None:
        named = dict(zip(self.kernel.symbols, symbols, strict=True))
        blocks = self.compiled.blocks(named, scalars)
        if not blocks:
            return
        values = arguments(self.compiled, addresses, scalars, symbols)
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        made, driver = self.compiled, cuda_driver()
        shared, stream = made.dynamic_shared, current_stream()
        launched = driver.cuLaunchKernel(
            self.function, blocks, 1, 1, made.threads, 1, 1, shared, stream, ctypes.addressof(pointers), 0
        )
        checked(launched)


def arguments(
    made: Compiled, addresses: Sequence[int], scalars: Sequence[int | float], symbols: Sequence[int]
) -> list[Any]:
    """The parameters of a launch as machine values, in order."""
    tensors, numbers, extents = iter(addresses), iter(scalars), iter(symbols)
    found: list[Any] = []
    types = {param.name: param.type for param in made.kernel.params}
    for parameter in made.parameters:
        match parameter.kind:
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


def cuda_driver() -> Any:
    """The driver's bindings, initialized. Raises TargetError where there is no driver or device."""
    try:
        from cuda.bindings import driver
    except ImportError:
        raise TargetError("E0914", "launching on a GPU needs cuda-bindings: pip install 'vmc[cuda]'") from None
    try:
        (status,) = driver.cuInit(0)
    except RuntimeError as error:
        raise TargetError("E0914", f"there is no CUDA driver: {error}") from None
    if int(status):
        raise TargetError("E0914", f"the CUDA driver finds no device: {status}")
    return driver


def checked(answer: tuple[Any, ...]) -> Any:
    """The result of a driver call. Raises TargetError."""
    status, *results = answer
    if int(status):
        raise TargetError("E0914", f"the CUDA driver reports {status}")
    return results[0] if results else None


@lru_cache(maxsize=1)
def device_architecture() -> str:
    """The architecture to compile for on this machine. Raises TargetError."""
    from vmc.backends.cuda.target import arch_for

    driver = cuda_driver()
    number = current_device()
    device = checked(driver.cuDeviceGet(number))
    kinds = driver.CUdevice_attribute
    major = checked(driver.cuDeviceGetAttribute(kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device))
    minor = checked(driver.cuDeviceGetAttribute(kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device))
    arch = arch_for(major, minor)
    if arch is None:
        raise TargetError("E0914", f"no code is made for devices of compute capability {major}.{minor}")
    return arch.name


def current_device() -> int:
    """torch's current device, or the first one."""
    torch = sys.modules.get("torch")
    return int(torch.cuda.current_device()) if torch is not None and torch.cuda.is_available() else 0


def current_stream() -> int:
    """torch's current stream, or the default one."""
    torch = sys.modules.get("torch")
    return int(torch.cuda.current_stream().cuda_stream) if torch is not None and torch.cuda.is_available() else 0
