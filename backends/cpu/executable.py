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
from vmc.backends.cpu.kernel import PARTS
from vmc.backends.cpu.options import Options
from vmc.backends.cpu.pool import at_most, scheduler
from vmc.backends.cpu.record import Record
from vmc.backends.cpu.signature import Signature, Site
from vmc.backends.cpu.target import machine
from vmc.ir.core import Kernel
from vmc.ir.span import Span
from vmc.ir.types import dtype

PRINT = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)

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
        self._blocks, self._worker = (self._library[f"{signature.entry}.{part}"] for part in PARTS)
        self.choice = Choice(signature, self._library) if signature.levels else None
        self._packers = [packer(name) for _, name in signature.scalars]
        self._print = PRINT(self._show) if any(site.shown or site.text for site in signature.sites) else None
        self._printer = ctypes.cast(self._print, ctypes.c_void_p).value or 0 if self._print is not None else 0
        self._counts = len(signature.tensors), len(signature.scalars), len(signature.symbols)
        self._serial = signature.serial
        form = struct.Struct(f"={self._counts[0] + self._counts[1]}Q{self._counts[2]}qQ")
        self._words, self._pack = form.size // 8, form.pack_into
        self._launch = scheduler().launch
        self._records: list[Record] = []
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

    @property
    def commented_assembly(self) -> str:
        """The assembly text with LLVM's comments, which tell what was spilled. Raises ValueError as `assembly`."""
        return self._generated().commented_assembly

    def _generated(self) -> Generated:
        if self._source is None:
            raise ValueError("an executable restored from object code has no LLVM text")
        return self._source

    # Launch

    def launch(
        self,
        pointers: Sequence[int],
        scalars: Sequence[Any] = (),
        symbols: Mapping[str, int] | tuple[int, ...] = (),
        *,
        max_threads: int | None = None,
    ) -> None:
        """Executes the kernel. `pointers` are the addresses of the tensors, `scalars` numbers, both in the order of the
        kernel's parameters; `symbols` by name or in the kernel's order. A tensor that is written overlaps no other.

        Raises ValueError for wrong counts, KeyError for a missing symbol, ExecutionError for an error of the program,
        MemoryError for scratch memory that there is not.
        """
        if not isinstance(symbols, tuple):
            symbols = tuple([symbols[name] for name in self.signature.symbols])
        tensors, numbers, extents = self._counts
        if len(pointers) != tensors or len(scalars) != numbers or len(symbols) != extents:
            raise self._wrong_counts(pointers, scalars, symbols)
        codes = [pack(value) for pack, value in zip(self._packers, scalars, strict=True)] if scalars else ()
        limit = 1 if self._serial else at_most(max_threads or threads.num_threads())
        try:
            record = self._records.pop()
        except IndexError:
            record = self._new_record(limit)
        if record.limit < limit:
            record = self._new_record(limit)
        try:
            self._pack(record.arguments, 0, *pointers, *codes, *symbols, self._printer)
            while (outcome := self._launch(record.address, limit)) > 0:
                record.grow(outcome)
        finally:
            self._records.append(record)
        if outcome:
            site = self.signature.sites[-outcome - 1]
            raise ExecutionError(site.text, site.span)

    def _wrong_counts(self, *given: Sequence[Any]) -> ValueError:
        """The error for other numbers of tensors, scalars or symbols than the kernel has."""
        wanted, got = (
            f"{tensors} tensors, {scalars} scalars and {symbols} symbols"
            for tensors, scalars, symbols in (self._counts, tuple(map(len, given)))
        )
        return ValueError(f"this kernel takes {wanted}, not {got}")

    def _new_record(self, limit: int) -> Record:
        """A record with room for so many threads."""
        return Record(self._blocks, self._worker, self._words, self.signature.arena * limit, limit)

    # Print

    def _show(self, number: int, addresses: int) -> None:
        site = self.signature.sites[number]
        pointers = (ctypes.c_void_p * max(1, len(site.shown))).from_address(addresses)
        self.emit(shown_line(site, [pointers[place] or 0 for place in range(len(site.shown))]))
        sys.stdout.flush()


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
