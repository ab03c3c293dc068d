"""From the arguments of a call to addresses, scalars and symbols; everything is checked before anything runs.

A `Plan` holds what follows from the kinds of the arguments (types, shapes, contiguity), so that a call with arguments
of known kinds only looks at addresses: alignment and overlap.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from vmc.ir.core import Access
from vmc.ir.dims import Dim, Sym, evaluate, symbols
from vmc.ir.storage import storage_bytes
from vmc.ir.types import DType
from vmc.runtime import hints
from vmc.runtime.elements import accepted, shown
from vmc.runtime.errors import ArgumentError
from vmc.runtime.operands import Operand, operand
from vmc.runtime.parameters import Parameter, plain

LIMIT = 1 << 62
"""Tensors of more bytes cannot be addressed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a launch needs besides addresses and scalars: the symbols' values and the tensors' sizes in bytes, in order.

    `masks` are the places of tensors that must be aligned, with the alignment less one; `pairs` the places of two of
    which one is written, with their sizes. `dense` names the tensors that lie as declared where the kernel's code has
    another storage for them: it needs the variant that takes them so. `device` is the number of the GPU that all
    tensors lie on; 0 for the CPU's memory.
    """

    symbols: tuple[int, ...]
    sizes: tuple[int, ...]
    masks: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[int, int, int, int], ...]
    dense: frozenset[str]
    device: int = 0


COMPILED = 'compile it with target="{device}"'


class Checker:
    """Checks the arguments of calls of one kernel, whose tensors lie in the memory of `device`: "cpu" or "cuda".

    `alignment`: what the code wants of every tensor's address, in bytes; 0 for what its element type does.
    `elsewhere`: how to call the kernel with tensors of another device, `{device}` standing for it.
    """

    def __init__(
        self,
        kernel: str,
        parameters: Sequence[Parameter],
        names: Sequence[str],
        device: str = "cpu",
        alignment: int = 0,
        elsewhere: str = COMPILED,
    ) -> None:
        self.kernel, self.parameters, self.symbols = kernel, tuple(parameters), tuple(names)
        self.device, self.alignment, self.elsewhere = device, alignment, elsewhere
        self.places = {parameter.name: place for place, parameter in enumerate(self.parameters)}
        self.tensors = tuple(p for p in self.parameters if not p.is_scalar)
        self.ranges = {p.name: (p.dtype.min, p.dtype.max) for p in self.parameters if p.is_scalar}

    # Which argument belongs to which parameter

    def arrange(self, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[list[Any], dict[str, int]]:
        """The arguments in the parameters' order, and the symbols given by name. Raises ArgumentError."""
        if len(args) > len(self.parameters):
            raise self.error("E0908", f"takes {len(self.parameters)} arguments, got {len(args)}")
        values: dict[int, Any] = dict(enumerate(args))
        bound: dict[str, int] = {}
        for name, value in named.items():
            place = self.places.get(name)
            if place is not None and place in values:
                raise self.error("E0908", "is given twice", name)
            if place is not None:
                values[place] = value
            elif name in self.symbols:
                bound[name] = self.symbol_value(name, value)
            else:
                raise self.unknown(name)
        missing = [p for place, p in enumerate(self.parameters) if place not in values]
        if missing:
            order = ", ".join(parameter.name for parameter in self.parameters)
            help = f"the arguments are {order}, in this order; {len(values)} of {len(self.parameters)} were given"
            raise self.error("E0908", f"misses {', '.join(f'`{parameter}`' for parameter in missing)}", help=help)
        return [values[place] for place in range(len(self.parameters))], bound

    def unknown(self, name: str) -> ArgumentError:
        from vmc.diagnostics import suggest

        known = [*self.places, *self.symbols]
        close = suggest(name, known)
        help = f"did you mean `{close}`?" if close else f"it has {', '.join(f'`{k}`' for k in known)}"
        return self.error("E0908", f"has no parameter or symbol `{name}`", help=help)

    def symbol_value(self, name: str, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise self.error("E0912", f"symbol `{name}`: expected an integer, got {described(value)}") from None
        if number < 0:
            raise self.error("E0912", f"symbol `{name}`: an extent must not be negative, got {number}")
        return number

    # Tensors

    def plan(self, values: Sequence[Any], bound: Mapping[str, int], stored: Sequence[Parameter]) -> Plan:
        """Checks element types, devices, contiguity, shapes and access of all tensors. Raises ArgumentError.

        `stored` are the parameters with the storages of the kernel's code; a tensor may lie so, or as declared.
        """
        operands: list[Operand | None] = []
        given: list[Parameter] = []
        for parameter, chosen, value in zip(self.parameters, stored, values, strict=True):
            found = None if parameter.is_scalar else self.array(parameter, value)
            operands.append(found)
            given.append(chosen if found is not None and has_storage(found, chosen) else parameter)
            if found is not None:
                self.check_tensor(given[-1], found)
        device = self.common_device(operands)
        symbols = self.bind(operands, bound)
        sizes: list[int] = []
        masks: list[tuple[int, int]] = []
        written: list[bool] = []
        for parameter, chosen, found in zip(given, stored, operands, strict=True):
            if found is None:
                continue
            sizes.append(self.match(parameter, chosen, found, self.extents(parameter, symbols), symbols))
            if parameter.access.writable and not found.writable:
                raise self.read_only(parameter, found)
            bytewise = parameter.format is not None or parameter.is_packed or not sizes[-1]
            if self.alignment and sizes[-1]:
                masks.append((len(written), self.alignment - 1))
            elif not bytewise and parameter.dtype.width > 8:
                masks.append((len(written), parameter.dtype.width // 8 - 1))
            written.append(parameter.access.writable)
        for parameter, chosen, found in zip(self.parameters, stored, operands, strict=True):
            if found is not None:
                self.check_order(parameter, chosen, found)
        pairs = [(i, j, sizes[i], sizes[j]) for i, j in combinations(range(len(sizes)), 2) if written[i] or written[j]]
        dense = frozenset(p.name for p, chosen in zip(given, stored, strict=True) if p.storage != chosen.storage)
        bound_symbols = tuple(symbols[name] for name in self.symbols)
        return Plan(bound_symbols, tuple(sizes), tuple(masks), tuple(pairs), dense, device)

    def common_device(self, operands: Sequence[Operand | None]) -> int:
        """The number of the device that all arrays lie on. Raises ArgumentError where they lie on several."""
        first: tuple[Parameter, str] | None = None
        for parameter, found in zip(self.parameters, operands, strict=True):
            if found is None or self.device == "cpu":
                continue
            if first is not None and found.device != first[1]:
                message = f"is on {found.device}, and `{first[0].name}` on {first[1]}"
                raise self.error("E0909", message, parameter.name, "pass tensors of one device")
            first = first or (parameter, found.device)
        return int(first[1].partition(":")[2] or 0) if first is not None else 0

    def array(self, parameter: Parameter, value: Any) -> Operand:
        """The array given for a tensor, in the memory that the code is for. Raises ArgumentError."""
        name = parameter.name
        found = value if isinstance(value, Operand) else operand(value, self.device)
        if found is None:
            raise self.error("E0909", f"expected an array for {parameter}, got {described(value)}", name)
        if found.device.partition(":")[0] != self.device:
            memory = "arrays in the CPU's memory" if self.device == "cpu" else "tensors in the GPU's memory"
            help = hints.on_device(found.device, self.device, self.elsewhere)
            raise self.error("E0909", f"is on {found.device}; this target takes {memory}", name, help)
        if found.problem is not None:
            raise self.error("E0909", f"cannot be used: {found.problem}", name)
        return found

    def check_tensor(self, parameter: Parameter, found: Operand) -> None:
        """Whether an array has a fitting element type and is contiguous. Raises ArgumentError."""
        self.check_element(parameter, found)
        if not found.contiguous:
            message = f"must be C-contiguous (row-major), got a strided {found}"
            raise self.error("E0910", message, parameter.name, hints.contiguous(parameter, found))

    def check_element(self, parameter: Parameter, found: Operand) -> None:
        name, type = parameter.name, parameter.dtype
        if found.packed is not None and parameter.format is None:
            element, _, storage = found.packed
            if element != type:
                raise self.error("E0909", f"expected {parameter}, got {found}", name)
            if storage != parameter.storage:
                raise self.error(
                    "E0909", "is packed in another layout than this kernel's", name, f'use kernel.pack("{name}", codes)'
                )
            return
        if parameter.format is not None:
            if found.element != "u8":
                expected = f"uint8 (blocks of {parameter.format.name}, {parameter.format.bytes} bytes each)"
                raise self.error("E0909", f"expected {expected}, got {found}", name)
        elif parameter.is_packed:
            if found.element != "u8":
                message = f"expected uint8 (packed {type.name}), got {found}"
                raise self.error("E0909", message, name, hints.packed(parameter))
        elif found.element not in accepted(type):
            message = f"expected {shown(type)} for {parameter}, got {found}"
            raise self.error("E0909", message, name, hints.converted(parameter, found))

    def check_order(self, parameter: Parameter, chosen: Parameter, found: Operand) -> None:
        """Whether an array tells in which of two orders it is, that of the declaration and one that the code wants.

        Arrays of whole elements lie as declared; bytes tell by their label. Raises ArgumentError.
        """
        if found.packed is not None or not parameter.is_packed or chosen.storage == parameter.storage:
            return
        message = "is bytes without a label, and this kernel's code has an order of its own beside the declared one"
        raise self.error("E0909", message, parameter.name, hints.labelled(parameter))

    def read_only(self, parameter: Parameter, found: Operand) -> ArgumentError:
        if getattr(found.keep, "requires_grad", False):
            return self.error("E0909", "is written, but requires grad", parameter.name, "pass `.detach()`")
        return self.error("E0909", "is written, but the array is read-only", parameter.name)

    # Symbols

    def bind(self, operands: Sequence[Operand | None], bound: Mapping[str, int]) -> dict[str, int]:
        """The symbols' values, from the shapes that are known. Raises ArgumentError."""
        values = dict(bound)
        sources = dict.fromkeys(bound, "the call")
        for parameter, found in zip(self.parameters, operands, strict=True):
            shape = self.known_shape(parameter, found) if found is not None else None
            for dim, extent in zip(parameter.dims or (), shape or (), strict=False):
                if not isinstance(dim, Sym):
                    continue
                if values.setdefault(dim.name, extent) != extent:
                    raise self.error(
                        "E0911",
                        f"symbol `{dim.name}` is {values[dim.name]} by {sources[dim.name]}, "
                        f"but {extent} by `{parameter.name}`, {found}",
                        parameter.name,
                    )
                sources.setdefault(dim.name, f"`{parameter.name}`")
        for name in self.symbols:
            if name not in values:
                raise self.error(
                    "E0912",
                    f"symbol `{name}` is not known: packed bytes have no shape",
                    help=f"pass `{name}=...`, or what kernel.pack or vmc.pack returned",
                )
        return values

    def known_shape(self, parameter: Parameter, found: Operand) -> tuple[int, ...] | None:
        """The logical shape that an array shows; None where it is bytes only. Raises ArgumentError for another rank."""
        assert parameter.dims is not None
        rank = len(parameter.dims)
        if found.packed is not None and parameter.format is None:
            shape = found.packed[1]
        elif parameter.format is not None:
            return blocks_shape(found.shape, rank, parameter.format.elements, parameter.format.bytes)
        elif parameter.is_packed:
            return None
        else:
            shape = found.shape
        if len(shape) != rank:
            message = f"expected rank {rank} for {parameter}, got rank {len(shape)}, {found}"
            raise self.error("E0910", message, parameter.name)
        return shape

    def extents(self, parameter: Parameter, values: Mapping[str, int]) -> tuple[int, ...]:
        """The extents that the symbols give. Raises ArgumentError for a negative one."""
        shape = tuple(self.extent(parameter, dim, values) for dim in parameter.dims or ())
        for dim, extent in zip(parameter.dims or (), shape, strict=True):
            if extent < 0:
                raise self.error(
                    "E0910", f"{parameter} has the negative extent {plain(dim)} = {extent}", parameter.name
                )
        if math.prod(shape) >= LIMIT:
            raise self.error("E0910", f"{parameter} is too large: {shape}", parameter.name)
        return shape

    def extent(self, parameter: Parameter, dim: Dim, values: Mapping[str, int]) -> int:
        try:
            return evaluate(dim, values)
        except ZeroDivisionError:
            message = f"{parameter}: division by zero in {where(dim, values)}"
            raise self.error("E0910", message, parameter.name) from None

    def match(
        self,
        parameter: Parameter,
        chosen: Parameter,
        found: Operand,
        shape: tuple[int, ...],
        values: Mapping[str, int],
    ) -> int:
        """Compares an array with the extents; the tensor's size in bytes. The code wants it as `chosen`. Raises
        ArgumentError.
        """
        if parameter.format is not None:
            return self.match_blocks(parameter, found, shape)
        nbytes = storage_bytes(parameter.memory, shape)
        if parameter.is_packed and found.packed is None:
            if found.nbytes != nbytes:
                packed = f"packed {parameter.dtype.name}[{', '.join(map(str, shape))}]"
                message = f"expected {nbytes} bytes ({packed}), got {found.nbytes}"
                written = parameter.access is Access.OUT
                help = hints.packed(parameter, shape) if written or found.nbytes == math.prod(shape) else None
                if found.nbytes == storage_bytes(chosen.memory, shape):
                    help = hints.labelled(parameter)
                raise self.error("E0910", message, parameter.name, help)
            return nbytes
        got = found.packed[1] if found.packed is not None else found.shape
        for axis, (dim, expected, extent) in enumerate(zip(parameter.dims or (), shape, got, strict=True)):
            if expected != extent:
                raise self.error(
                    "E0910",
                    f"expected extent {expected} ({where(dim, values)}) along axis {axis} of {parameter}, got {found}",
                    parameter.name,
                )
        return nbytes

    def match_blocks(self, parameter: Parameter, found: Operand, shape: tuple[int, ...]) -> int:
        block = parameter.format
        assert block is not None
        if shape[-1] % block.elements:
            raise self.error(
                "E0910", f"the last extent {shape[-1]} is not made of whole blocks of {block.elements}", parameter.name
            )
        nbytes = math.prod(shape) // block.elements * block.bytes
        known = blocks_shape(found.shape, len(shape), block.elements, block.bytes)
        if found.nbytes != nbytes or (known is not None and known != shape):
            expected = ", ".join(map(str, (*shape[:-1], shape[-1] // block.elements, block.bytes)))
            message = f"expected uint8[{expected}] ({nbytes} bytes of {block.name}), got {found}"
            raise self.error("E0910", message, parameter.name)
        return nbytes

    # What every call checks

    def scalar(self, parameter: Parameter, value: Any) -> int | float:
        """The number given for a scalar, inside its type's range. Raises ArgumentError."""
        type = parameter.dtype
        number = plain_number(value)
        if number is None or (type.is_int and not isinstance(number, int)):
            expected = "an integer" if type.is_int else "a number"
            raise self.error("E0909", f"expected {expected} for {parameter}, got {described(value)}", parameter.name)
        least, most = self.ranges[parameter.name]
        if not least <= number <= most and not is_special(type, number):
            message = f"{number} is outside the range of {type.name}, {least} to {most}"
            raise self.error("E0909", message, parameter.name)
        return number

    def check_addresses(self, plan: Plan, addresses: Sequence[int]) -> None:
        """Whether all tensors are aligned, and nothing written shares memory with another. Raises ArgumentError."""
        for place, mask in plan.masks:
            if addresses[place] & mask:
                raise self.misaligned(place, mask + 1, addresses[place])
        for i, j, size, other in plan.pairs:
            if addresses[i] < addresses[j] + other and addresses[j] < addresses[i] + size:
                raise self.overlap(i, j)

    def misaligned(self, place: int, alignment: int, address: int) -> ArgumentError:
        message = f"must be aligned to {alignment} bytes, got the address {address:#x}"
        return self.error("E0909", message, self.tensors[place].name, "copy it")

    def overlap(self, i: int, j: int) -> ArgumentError:
        one, other = self.tensors[i], self.tensors[j]
        written = one if one.access.writable else other
        message = f"`{one.name}` and `{other.name}` overlap in memory, and `{written.name}` is written"
        return self.error("E0909", message, help="pass a copy of one")

    def error(self, code: str, message: str, parameter: str | None = None, help: str | None = None) -> ArgumentError:
        about = f"{self.kernel}: argument `{parameter}`: " if parameter else f"{self.kernel}: "
        return ArgumentError(code, about + message, parameter, help)


def has_storage(found: Operand, parameter: Parameter) -> bool:
    """Whether an array is packed in the storage of a parameter."""
    return found.packed is not None and parameter.format is None and found.packed[2] == parameter.storage


def blocks_shape(shape: tuple[int, ...], rank: int, elements: int, nbytes: int) -> tuple[int, ...] | None:
    """The logical shape of a block format's bytes, [..., blocks, bytes] or [..., blocks * bytes]; None for others."""
    if len(shape) == rank + 1 and shape[-1] == nbytes:
        return (*shape[:-2], shape[-2] * elements)
    if len(shape) == rank and shape and shape[-1] % nbytes == 0:
        return (*shape[:-1], shape[-1] // nbytes * elements)
    return None


def where(dim: Dim, values: Mapping[str, int]) -> str:
    """`K // 128, K = 512`, or the number alone."""
    given = ", ".join(f"{name} = {values[name]}" for name in symbols(dim))
    return plain(dim) if not given or isinstance(dim, Sym) else f"{plain(dim)}, {given}"


def plain_number(value: Any) -> int | float | None:
    """A Python number from one, a NumPy scalar, or an array or tensor without axes; None for anything else."""
    torch = sys.modules.get("torch")
    if isinstance(value, np.generic | np.ndarray) or (torch is not None and isinstance(value, torch.Tensor)):
        if getattr(value, "shape", ()) != ():
            return None
        value = value.item()
    if isinstance(value, float):
        return value
    try:
        return int(operator.index(value))
    except TypeError:
        pass
    is_number = hasattr(value, "__float__") and not isinstance(value, complex)
    return float(value) if is_number else None


def is_special(type: DType, number: int | float) -> bool:
    """Whether a number is an infinity or NaN that the type has."""
    if math.isnan(number):
        return type.has_nan
    return math.isinf(number) and type.has_infinity and (type.has_sign or number > 0)


def described(value: Any) -> str:
    """A value in a message: short numbers and text as they are, anything else by its type."""
    if isinstance(value, bool | int | float | str | None) and len(repr(value)) <= 40:
        return repr(value)
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
