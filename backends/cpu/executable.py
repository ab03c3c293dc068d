"""Compiled kernels: made from a kernel, or restored from the object code of an earlier compilation, and launched."""

from __future__ import annotations

import ctypes
import itertools
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from vmc.backends.cpu import threads
from vmc.backends.cpu.dispatch import EXPORTS, Choice
from vmc.backends.cpu.generated import Generated, generated
from vmc.backends.cpu.kernel import CONTEXT, PARTS
from vmc.backends.cpu.options import Options
from vmc.backends.cpu.signature import Signature, Site
from vmc.backends.cpu.target import machine
from vmc.ir.core import Kernel
from vmc.ir.span import Span
from vmc.ir.types import dtype

SERIAL_WORK = 1 << 16  # element operations below which waking a thread costs more than it saves
CHUNKS = 8  # pieces per thread, so that a thread that is held up leaves its share to the others
LINE = 64

PRINT = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)
BLOCKS = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)

_names = itertools.count()


class ExecutionError(Exception):
    """An error of the program that the compiled code found: an `assert` that does not hold. `span` says where."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(f"{span}: {message}")
        self.message = message
        self.span = span


def compile(kernel: Kernel, options: Options | None = None) -> Executable:
    """Native code for a tile-level kernel. Raises KeyError for an operation without lowering."""
    made = generated(kernel, options)
    return Executable(made.object_code(), made.signature, made)


def load(object_code: bytes, signature: Signature) -> Executable:
    """The executable whose `object` and `signature` these are."""
    return Executable(object_code, signature, None)


@lru_cache(maxsize=1)
def jit() -> Any:
    """The linker of this process."""
    machine(Options())
    return llvm.create_lljit_compiler()


class Executable:
    """A kernel in native code. `load` restores it from `object` and `signature`, in any process of a like machine.

    `choice` is the choice between levels where the object has several.
    """

    def __init__(self, object_code: bytes, signature: Signature, source: Generated | None) -> None:
        self.object = object_code
        self.signature = signature
        self._source = source
        library = llvm.JITLibraryBuilder().add_object_img(object_code).add_current_process()
        for part in (*PARTS, *(EXPORTS if signature.levels else ())):
            library.export_symbol(f"{signature.entry}.{part}")
        self._library = library.link(jit(), f"vmc{next(_names)}")
        self._blocks = BLOCKS(self._library[f"{signature.entry}.blocks"])
        self._scratch = BLOCKS(self._library[f"{signature.entry}.scratch"])
        self._worker: int = self._library[f"{signature.entry}.worker"]
        self.choice = Choice(signature, self._library) if signature.levels else None
        self._packers = [packer(name) for _, name in signature.scalars]
        self._arenas: list[Arena] = []
        self._print = PRINT(self._show) if any(site.shown or site.text for site in signature.sites) else None
        self.emit: Callable[[str], None] = print

    # What was generated

    @property
    def llvm(self) -> str:
        """The LLVM text after optimization. Raises ValueError for an executable restored from its object code."""
        return self._generated().llvm

    @property
    def assembly(self) -> str:
        """The assembly text. Raises ValueError for an executable restored from its object code."""
        return self._generated().assembly

    def _generated(self) -> Generated:
        if self._source is None:
            raise ValueError("an executable restored from object code has no LLVM text")
        return self._source

    # Launch

    def launch(
        self,
        pointers: Sequence[int],
        scalars: Sequence[Any] = (),
        symbols: Mapping[str, int] | Sequence[int] = (),
        *,
        max_threads: int | None = None,
    ) -> None:
        """Executes the kernel. `pointers` are the addresses of the tensors, `scalars` numbers, both in the order of the
        kernel's parameters; `symbols` by name or in the kernel's order. A tensor that is written overlaps no other.

        Raises ValueError for wrong counts, KeyError for a missing symbol, ExecutionError for an error of the program.
        """
        arguments = self._arguments(pointers, scalars, symbols)
        limit = 1 if self.signature.serial else max_threads or threads.num_threads()
        context = (ctypes.c_int64 * len(CONTEXT))()
        where, words = ctypes.addressof(context), ctypes.addressof(arguments)
        stride = self.signature.arena + (self._scratch(words, None) if self.signature.dynamic else 0)
        arena = self._take_arena(limit * stride)
        try:
            total = self._blocks(words, arena.address)
            if total == 0:
                return
            total = max(1, total)  # an error on the way to the number of blocks: the first block will meet it, too
            count = 1 if total * self.signature.work < SERIAL_WORK else min(limit, total)
            grain = total if count == 1 else max(1, total // (count * CHUNKS))
            context[:] = [words, 0, total, grain, arena.address, stride, 0, 0]
            threads.run(self._worker, where, count)
        finally:
            self._arenas.append(arena)
        if context[-1]:
            site = self.signature.sites[context[-1] - 1]
            raise ExecutionError(site.text, site.span)

    def _arguments(
        self, pointers: Sequence[int], scalars: Sequence[Any], symbols: Mapping[str, int] | Sequence[int]
    ) -> Any:
        signature = self.signature
        if len(pointers) != len(signature.tensors) or len(scalars) != len(signature.scalars):
            wanted = f"{len(signature.tensors)} tensors and {len(signature.scalars)} scalars"
            raise ValueError(f"this kernel takes {wanted}, not {len(pointers)} and {len(scalars)}")
        bound = [symbols[name] for name in signature.symbols] if isinstance(symbols, Mapping) else list(symbols)
        if len(bound) != len(signature.symbols):
            raise ValueError(f"this kernel has the symbols {', '.join(signature.symbols)}, not {len(bound)}")
        values = [pack(value) for pack, value in zip(self._packers, scalars, strict=True)]
        callback = ctypes.cast(self._print, ctypes.c_void_p).value if self._print is not None else 0
        words = [*pointers, *values, *bound, callback or 0]
        return (ctypes.c_int64 * len(words))(*[word - (1 << 64) if word >= 1 << 63 else word for word in words])

    def _take_arena(self, size: int) -> Arena:
        while self._arenas:
            try:
                arena = self._arenas.pop()
            except IndexError:  # another thread was faster
                break
            if arena.size >= size:
                return arena
        return Arena(size)

    # Print

    def _show(self, number: int, addresses: int) -> None:
        site = self.signature.sites[number]
        pointers = (ctypes.c_void_p * max(1, len(site.shown))).from_address(addresses)
        self.emit(shown_line(site, [pointers[place] or 0 for place in range(len(site.shown))]))
        sys.stdout.flush()


class Arena:
    """Scratch memory for the threads of one launch, aligned to a cache line."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.memory = np.empty(size + LINE, np.uint8)
        self.address = -(-self.memory.ctypes.data // LINE) * LINE


def shown_line(site: Site, addresses: Sequence[int]) -> str:
    """What a `print` says, as the reference VM says it."""
    parts = [site.text]
    for (name, shape), address in zip(site.shown, addresses, strict=True):
        type = dtype(name)
        size = prod(shape) * type.array_dtype.itemsize
        array = np.frombuffer(ctypes.string_at(address, size), type.array_dtype).reshape(shape)
        parts.append(np.array2string(type.to_values(array), separator=", "))
    return " ".join(parts).strip()


def packer(name: str) -> Callable[[Any], int]:
    """From a number to the bits of a scalar argument of a dtype, as one unsigned word."""
    type = dtype(name)
    if name in ("f32", "f64"):
        form = "<f" if name == "f32" else "<d"
        return lambda value: int.from_bytes(struct.pack(form, float(value)), "little")
    return lambda value: int(type.encode(np.asarray(value))[()])
