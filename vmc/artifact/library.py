"""`vmc.load`: a library that `vmc build` made, as an object whose attributes are its kernels.

    lib = vmc.load("lib.so")
    packed = lib.matmul_u4.pack("w", codes)
    lib.matmul_u4(x, packed, scale, y)

Nothing is compiled: neither LLVM nor the parser is loaded.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vmc.artifact import manifest, sealing
from vmc.ir.core import Storage
from vmc.ir.types import DType
from vmc.runtime import driver
from vmc.runtime.errors import ArgumentError, ExecutionError, LibraryError, TargetError
from vmc.runtime.launchable import Launchable
from vmc.runtime.targets import Launcher, is_cuda

EXECUTION, MEMORY = 2, 3
"""Of the numbers that `native/api.h` gives to errors."""

CPU, CUDA = 1, 2
ELSEWHERE = 'use .on("{device}") of the kernel'


class Error(ctypes.Structure):
    """`vmc_error`."""

    _fields_ = (("code", ctypes.c_int32), ("message", ctypes.c_char * 1020))


class Where(ctypes.Structure):
    """`vmc_where`."""

    _fields_ = (
        ("device_type", ctypes.c_int32),
        ("device", ctypes.c_int32),
        ("stream", ctypes.c_void_p),
        ("threads", ctypes.c_int32),
    )


def load(path: str | Path) -> Library:
    """The library in a file.

    Raises OSError for a file that cannot be read, LibraryError for one that is no library of `vmc build`, was damaged
    or changed, or is for other machines.
    """
    return Library(Path(path))


def manifest_in(path: Path) -> manifest.Manifest:
    """What a library tells of itself. Raises OSError, LibraryError."""
    try:
        return manifest.read(sealing.manifest_of(path.read_bytes()))
    except ValueError as error:
        raise LibraryError(f"{path} cannot be loaded: {error}") from None


class Library:
    """The kernels of a file by name, as attributes and in `kernels`. `manifest` is what it tells of itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = manifest_in(path)
        try:
            code = ctypes.CDLL(str(path.resolve()))
        except OSError as error:
            raise LibraryError(f"{path} cannot be loaded: {error}") from None
        self.kernels: dict[str, LoadedKernel] = {
            one.name: LoadedKernel(one, place, code) for place, one in enumerate(self.manifest.kernels)
        }

    def __getattr__(self, name: str) -> LoadedKernel:
        kernels = self.__dict__.get("kernels", {})
        if name in kernels:
            found: LoadedKernel = kernels[name]
            return found
        from vmc.diagnostics import suggest

        close = suggest(name, list(kernels))
        hint = f"did you mean `{close}`?" if close else f"it has {', '.join(kernels) or 'none'}"
        raise AttributeError(f"the library {self.__dict__.get('path')} has no kernel `{name}`; {hint}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.kernels})

    def __iter__(self) -> Iterator[LoadedKernel]:
        return iter(self.kernels.values())

    def __repr__(self) -> str:
        return f"<vmc.Library {self.path}: {', '.join(self.kernels)}>"


class LoadedKernel(Launchable):
    """A kernel of a library. It is called, packs and unpacks as the `vmc.Kernel` that it was built from.

    It takes tensors in the order of `storages` only: what `pack` makes. `targets` are those that the library has code
    for; `on(target)` is the kernel for another one than `target`, with its own order of packed tensors.
    """

    def __init__(self, entry: manifest.Entry, place: int, code: ctypes.CDLL, target: str | None = None) -> None:
        target = target or next(iter(entry.storages))
        super().__init__(entry.name, target, entry.parameters, entry.symbols, entry.bindings, ELSEWHERE)
        self.targets = tuple(entry.storages)
        self._entry, self._place, self._library = entry, place, code
        self._storages = entry.storages[target]
        self._code = Code(self, place, code)

    def on(self, target: str) -> LoadedKernel:
        """The kernel for a target of the library: `cpu`, `cuda:sm_90a`, or `cuda` for what the device at hand gets,
        which is torch's current one. Raises TargetError.
        """
        if target == "cuda" and any(map(is_cuda, self.targets)):
            target = f"cuda:{architecture_for(self._library, self._place, driver.current_device())}"
        if target not in self.targets:
            listed = ", ".join(self.targets)
            raise TargetError("E0904", f"the library has no code of `{self.name}` for {target}; it has for {listed}")
        return LoadedKernel(self._entry, self._place, self._library, target)

    def _chosen(self) -> Mapping[str, Storage | None]:
        return self._storages

    def _variant(self, dense: frozenset[str]) -> Launcher:
        for name in dense:
            help = f'use kernel.pack("{name}", codes), or kernel.label for bytes that it made'
            message = (
                f"{self.name}: argument `{name}`: is in the declared order, and the library has code for packed ones"
            )
            raise ArgumentError("E0909", message, name, help)
        return self._code


class Call:
    """Memory that one call at a time uses: the words of the arguments, where to run, and what went wrong."""

    def __init__(self, words: int, device_type: int) -> None:
        self.words = (ctypes.c_uint64 * max(1, words))()
        self.where, self.error = Where(device_type=device_type), Error()
        self.addresses = tuple(map(ctypes.addressof, (self.words, self.where, self.error)))


class Code:
    """Launches a kernel of a library by its number."""

    def __init__(self, kernel: LoadedKernel, place: int, code: ctypes.CDLL) -> None:
        self._target, self._storages, self._place = kernel.target, kernel._chosen, place
        self._enter = code.vmc_enter
        self._enter.argtypes = (ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._code = code
        self._encoders = [encoder(parameter.dtype) for parameter in kernel.parameters if parameter.is_scalar]
        self._count = len(kernel.parameters) + len(kernel.symbols)
        self._on_gpu = is_cuda(kernel.target)
        self._idle: list[Call] = []
        self._fitting: set[int] = set()

    @property
    def storages(self) -> Mapping[str, Storage | None]:
        return self._storages()

    def launch(
        self,
        addresses: Sequence[int],
        sizes: Sequence[int],
        scalars: Sequence[int | float],
        symbols: tuple[int, ...],
        device: int = 0,
    ) -> None:
        idle = self._idle
        call = idle.pop() if idle else Call(self._count, CUDA if self._on_gpu else CPU)
        if self._encoders:
            codes = [encode(number) for encode, number in zip(self._encoders, scalars, strict=True)]
            call.words[: self._count] = [*addresses, *codes, *symbols]
        else:
            call.words[: self._count] = [*addresses, *symbols]
        where = call.where
        if self._on_gpu:
            self._check(device)
            where.device, where.stream = device, driver.current_stream(device)
        else:
            where.threads = threads_of_torch()
        failed = self._enter(self._place, *call.addresses)
        idle.append(call)
        if failed:
            raise failure(call.error.code, call.error.message.decode("utf-8", "replace"))

    def _check(self, device: int) -> None:
        """Whether a GPU gets the code that tensors were packed for. Raises TargetError."""
        if device in self._fitting:
            return
        target = f"cuda:{architecture_for(self._code, self._place, device)}"
        if target != self._target:
            message = f"device {device} gets the library's code for {target}, and this is the kernel for {self._target}"
            raise TargetError("E0914", f'{message}; use .on("{target}"), and what that packs')
        self._fitting.add(device)


def architecture_for(code: ctypes.CDLL, place: int, device: int) -> str:
    """The architecture whose code of a kernel a GPU gets. Raises TargetError where it gets none, or there is none."""
    find, error = code.vmc_architecture, Error()
    find.restype = ctypes.c_char_p
    found = find(place, device, ctypes.byref(error))
    if found is None:
        raise failure(error.code, error.message.decode("utf-8", "replace"))
    return str(found.decode())


def encoder(type: DType) -> Callable[[Any], int]:
    """From a number in the type's range to its bits."""
    if type.is_int:
        mask = (1 << type.width) - 1
        return lambda number: int(number) & mask
    form = {"f32": "<f", "f64": "<d"}.get(type.name)
    if form:
        return lambda number: int.from_bytes(struct.pack(form, number), "little")
    return lambda number: int(type.encode(np.asarray(number))[()])


def threads_of_torch() -> int:
    """What limits the threads of torch, where it is loaded; 0 for no limit."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None and hasattr(torch, "get_num_threads") else 0


def failure(code: int, message: str) -> Exception:
    """The exception for an error of the library."""
    if code == EXECUTION:
        return ExecutionError(message)
    return MemoryError(message) if code == MEMORY else TargetError("E0914", message)
