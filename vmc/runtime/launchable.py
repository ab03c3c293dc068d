"""`Launchable`: a kernel as its callers see it, which checks arguments, binds symbols, launches, packs and unpacks.

`Kernel` is one that was compiled in this process, `vmc.artifact.library.LoadedKernel` one of a library that was built.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from vmc.ir.core import Storage
from vmc.ir.storage import storage_bytes
from vmc.runtime.launch import COMPILED, Checker, Plan
from vmc.runtime.operands import Operand, glance, header_at, operand
from vmc.runtime.packed import Packed, labelled, pack_stored, unpack_stored
from vmc.runtime.packed_tensors import labelled_tensor
from vmc.runtime.parameters import Parameter
from vmc.runtime.recognition import Recognizer
from vmc.runtime.targets import Launcher, memory_of

Array = npt.NDArray[Any]
MAX_PLANS = 256
NONE_BOUND: Mapping[str, int] = MappingProxyType({})


class Launchable(ABC):
    """A kernel with its compile-time parameters bound, and code for a target.

    Calling it runs it: `kernel(x, w, y)`, `kernel(x, w=packed, y=y, K=512)`. Arguments are NumPy arrays, torch tensors
    or anything else with `__dlpack__`, in the target's memory and C-contiguous; numbers for scalars. Symbols are bound
    from the arrays' shapes, or by name where only packed bytes show them.
    """

    def __init__(
        self,
        name: str,
        target: str,
        parameters: Sequence[Parameter],
        symbols: Sequence[str],
        bindings: Mapping[str, str],
        elsewhere: str = COMPILED,
    ) -> None:
        self.name = name
        self.target = target
        self.parameters = tuple(parameters)
        self.symbols = tuple(symbols)
        self.bindings = dict(bindings)
        self._checker = Checker(name, self.parameters, self.symbols, *memory_of(target), elsewhere)
        self._plans: dict[Any, Plan] = {}
        self._tensors = tuple(place for place, p in enumerate(self.parameters) if not p.is_scalar)
        self._scalars = tuple((place, p) for place, p in enumerate(self.parameters) if p.is_scalar)
        self._recognizer: Recognizer | None = None

    def __repr__(self) -> str:
        bound = ", ".join(f"{name}={value}" for name, value in self.bindings.items())
        head = f"{self.name}[{bound}]" if bound else self.name
        return f"<vmc.{type(self).__name__} {head}({', '.join(map(str, self.parameters))}) for {self.target}>"

    @abstractmethod
    def _variant(self, dense: frozenset[str]) -> Launcher:
        """The code for some tensors as they were declared, and for all others in the storages that it has."""

    @abstractmethod
    def _chosen(self) -> Mapping[str, Storage | None]:
        """How the code wants each tensor to lie, by name."""

    @cached_property
    def stored(self) -> tuple[Parameter, ...]:
        """The parameters with the storages that `pack` gives them: as declared, or as the target chose."""
        storages = self._chosen()
        return tuple(
            parameter
            if parameter.is_scalar or parameter.format
            else replace(parameter, storage=storages[parameter.name])
            for parameter in self.parameters
        )

    @property
    def storages(self) -> dict[str, Storage | None]:
        """How `pack` lays out each tensor: as declared, or as the target chose; None is densely."""
        return {parameter.name: parameter.storage for parameter in self.stored if not parameter.is_scalar}

    # Calls

    def __call__(self, *args: Any, **named: Any) -> None:
        """Runs the kernel; what it writes is in its `out` and `inout` arrays.

        Raises ArgumentError, before anything is executed, for arguments that do not fit; ExecutionError for an error of
        the program while it runs.
        """
        if self._recognizer is not None and not named:
            found = self._recognizer.find(args)
            if found is not None:
                known, places = found
                scalars = self._numbers(args) if self._scalars else ()
                plan = known.plan
                known.launcher.launch(places, plan.sizes, scalars, plan.symbols, plan.device)
                return
        bound = NONE_BOUND
        values: Sequence[Any] = args
        if named or len(args) != len(self.parameters):
            values, bound = self._checker.arrange(args, named)
        plan, addresses, _keep = self._prepare(values, bound)
        self._checker.check_addresses(plan, addresses)
        scalars = self._numbers(values)
        self._variant(plan.dense).launch(addresses, plan.sizes, scalars, plan.symbols, plan.device)

    def _numbers(self, values: Sequence[Any]) -> Sequence[int | float]:
        """The scalars among all arguments. Raises ArgumentError."""
        return [self._checker.scalar(p, values[place]) for place, p in self._scalars] if self._scalars else ()

    def _prepare(self, values: Sequence[Any], bound: Mapping[str, int]) -> tuple[Plan, list[int], Any]:
        """The plan for arguments of these kinds, the tensors' addresses, and what keeps their memory alive."""
        kinds: list[Any] = [*bound.items()] if bound else []
        addresses: list[int] = []
        for place in self._tensors:
            value = values[place]
            if type(value) is np.ndarray and header_at is not None:  # what `glance` would say, in half the time
                header = header_at(id(value))
                kinds.append((value.dtype, value.shape, header.flags))
                addresses.append(header.data)
                continue
            seen = glance(value)
            if seen is None:
                return self._look(values, bound)
            kinds.append(seen[0])
            addresses.append(seen[1])
        kind = tuple(kinds)
        plan = self._plans.get(kind)
        if plan is None:
            plan = self._checker.plan(values, bound, self.stored)
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[kind] = plan
        elif self._recognizer is not None and not bound:  # the second time
            self._recognizer.learn(values, plan, self._variant(plan.dense))
        return plan, addresses, values

    def _look(self, values: Sequence[Any], bound: Mapping[str, int]) -> tuple[Plan, list[int], Any]:
        """As `_prepare`, for arguments that have to be looked at one by one."""
        found: list[Operand] = []
        seen = list(values)
        for place in self._tensors:
            array = operand(values[place], self._checker.device)
            if array is not None:
                seen[place] = array
                found.append(array)
        plan = self._checker.plan(seen, bound, self.stored)
        return plan, [array.address for array in found], found

    # Packing

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name. Raises ArgumentError."""
        place = self._checker.places.get(name)
        if place is None:
            raise self._checker.unknown(name)
        return self.parameters[place]

    def pack(self, name: str, codes: npt.ArrayLike) -> Packed:
        """Bit patterns, in the shape of the tensor `name`, as the bytes that this kernel reads fastest for it.

        `codes` are integers below 2**bits, or an array whose dtype is the parameter's type. Raises ArgumentError for a
        scalar, a block format, a shape of another rank or with another fixed extent, and codes that are none.
        """
        parameter = self._packable(name)
        array = np.asarray(codes)
        self._check_shape(parameter, array.shape)
        try:
            return pack_stored(array, parameter.memory, array.shape)
        except (TypeError, ValueError) as error:
            raise self._checker.error("E0909", f"expected {parameter}: {error}", name) from None

    def label(
        self, name: str, data: npt.ArrayLike | Any, shape: int | tuple[int, ...], *, dense: bool = False
    ) -> Packed | Any:
        """Bytes that `pack` of an equal kernel made for the tensor `name` of `shape`, and that were kept in a file or
        copied to a GPU; with `dense`, bytes in the order of the declaration, as `vmc.pack` makes them.

        They say nothing of their order, so it is on the caller that they were made for the same program, bindings,
        processor and version of vmc. A tensor of torch gives a labelled tensor on its device, anything else a `Packed`.
        The memory is shared where it is contiguous. Raises ArgumentError as `pack`; TypeError for data that are not
        uint8, ValueError for another number of bytes.
        """
        parameter = self._packable(name)
        if dense:
            parameter = self.parameter(name)
        extents = self._extents(parameter, shape)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(data, torch.Tensor):
            check_bytes(str(data.dtype).removeprefix("torch."))
            tensor = data.detach().contiguous().reshape(-1)
            self._check_size(parameter, extents, tensor.numel())
            return labelled_tensor(tensor, parameter.dtype, extents, parameter.storage, torch)
        array = as_bytes(data).reshape(-1)
        self._check_size(parameter, extents, array.size)
        return labelled(array, parameter.dtype, extents, parameter.storage)

    def _check_size(self, parameter: Parameter, extents: tuple[int, ...], found: int) -> None:
        size = storage_bytes(parameter.memory, extents)
        if found != size:
            raise ValueError(f"`{parameter.name}` of shape {extents} takes {size} bytes, found {found}")

    def unpack(self, name: str, data: npt.ArrayLike, shape: int | tuple[int, ...] | None = None) -> Array:
        """The bit patterns in the bytes of the tensor `name`. What `pack` made knows its shape and its order; bytes
        that know neither are in the order of the declaration, and need `shape`.

        Raises ArgumentError as `pack`; TypeError or ValueError for bytes that do not fit.
        """
        self._packable(name)
        parameter = self.parameter(name)
        if isinstance(data, Packed) and data.element is not None:
            if data.element != parameter.dtype:
                raise self._checker.error("E0909", f"expected {parameter}, got {operand(data)}", name)
            parameter = replace(parameter, storage=data.storage)
            shape = data.extents if shape is None else shape
        if shape is None:
            raise TypeError(f"unpack needs the shape of `{name}`, which the bytes do not tell")
        return unpack_stored(as_bytes(data), parameter.memory, self._extents(parameter, shape))

    def _packable(self, name: str) -> Parameter:
        """The parameter in the storage that `pack` gives it. Raises ArgumentError for what is not packed."""
        parameter = self.parameter(name)
        if parameter.is_scalar:
            raise self._checker.error("E0909", "is a scalar, which is not packed", name)
        if parameter.format is not None:
            message = f"has the block format {parameter.format.name}; its bytes are made by a quantizer of that format"
            raise self._checker.error("E0909", message, name)
        return self.stored[self._checker.places[name]]

    def _extents(self, parameter: Parameter, shape: int | tuple[int, ...]) -> tuple[int, ...]:
        """A shape as a tuple. Raises ArgumentError for one that the parameter cannot have."""
        extents = (shape,) if isinstance(shape, int) else tuple(shape)
        self._check_shape(parameter, extents)
        return extents

    def _check_shape(self, parameter: Parameter, shape: tuple[int, ...]) -> None:
        dims = parameter.dims or ()
        fits = len(shape) == len(dims) and all(
            not isinstance(dim, int) or dim == extent for dim, extent in zip(dims, shape, strict=True)
        )
        if not fits:
            got = f"[{', '.join(map(str, shape))}]"
            raise self._checker.error("E0910", f"expected the shape of {parameter}, got {got}", parameter.name)

    def shape_of(self, parameter: Parameter, value: Any) -> tuple[int, ...] | None:
        """The tensor's shape as an array for it shows; None for packed bytes and for what is no array.

        Raises ArgumentError for an array of another rank.
        """
        found = operand(value, self._checker.device)
        return None if found is None else self._checker.known_shape(parameter, found)


def as_bytes(data: npt.ArrayLike) -> Array:
    """Contiguous uint8 bytes, without what a `Packed` remembers. Raises TypeError for other elements."""
    array = np.asarray(data)
    check_bytes(str(array.dtype))
    return np.ascontiguousarray(array)


def check_bytes(element: str) -> None:
    """Raises TypeError for elements, by the name of their type, that are no bytes."""
    if element != "uint8":
        raise TypeError(f"packed data must be uint8, not {element}")
