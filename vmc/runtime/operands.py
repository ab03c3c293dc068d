"""What a caller passes, seen as memory: NumPy arrays, torch tensors, and anything with `__dlpack__`.

Nothing is copied. DLPack capsules are read in place (DLPack 1.0, `dlpack.h`) and left unconsumed, so that their
producer frees them; torch is not imported, but recognized where the caller has imported it.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmc.ir.core import Storage
from vmc.ir.types import DType
from vmc.runtime.driver import current_stream
from vmc.runtime.elements import COMMON, THEIRS
from vmc.runtime.packed import Packed
from vmc.runtime.packed_tensors import is_labelled

WRITABLE = 0x400
CONTIGUOUS = 0x1
"""Bits of `ndarray.flags.num` (NumPy's ndarraytypes.h)."""


@dataclass(frozen=True, slots=True)
class Operand:
    """An array in memory.

    `element` is vmc's name of its element type, or the array library's where vmc has none. `packed` is what a `Packed`
    array remembers. `problem` is why it cannot be used at all, or None. `keep` owns the memory.
    """

    address: int
    element: str
    itemsize: int
    shape: tuple[int, ...]
    contiguous: bool
    writable: bool
    device: str
    keep: Any
    packed: tuple[DType, tuple[int, ...], Storage | None] | None = None
    problem: str | None = None

    @property
    def library(self) -> str:
        """Whose array it is: "numpy", "torch", or that of another module."""
        owner = self.keep[0] if isinstance(self.keep, tuple) else self.keep
        return "numpy" if isinstance(owner, np.ndarray) else type(owner).__module__.partition(".")[0]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.itemsize

    def __str__(self) -> str:
        if self.packed is not None:
            element, extents, _ = self.packed
            return f"packed {element.name}[{', '.join(map(str, extents))}]"
        return f"{THEIRS.get(self.element, self.element)}[{', '.join(map(str, self.shape))}]"


def operand(value: Any, memory: str = "cpu") -> Operand | None:
    """The array behind `value`, or None if it is none. `memory`, "cpu" or "cuda", is where arrays are looked into that
    must be asked for it by DLPack.
    """
    if isinstance(value, np.ndarray):
        return from_numpy(value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return from_torch(value, torch)
    if hasattr(value, "__dlpack__"):
        return from_dlpack(value, memory)
    return None


def glance(value: Any) -> tuple[Any, int] | None:
    """What decides whether an array fits, apart from where it lies, and its address; None for one to be looked at."""
    kind = type(value)
    label: tuple[Any, ...]
    if kind is np.ndarray:
        return (value.dtype, value.shape, value.flags.num), address_of(value)
    if kind is Packed and value.element is not None:
        return (value.kind, value.shape, value.dtype, value.flags.num), address_of(value)
    torch = sys.modules.get("torch")
    if torch is not None and (kind is torch.Tensor or is_labelled(kind)) and value.layout is torch.strided:
        if not value.is_cpu and not value.is_cuda:
            return None
        label = (value.dtype, value.shape, value.is_contiguous(), value.requires_grad, value.is_neg())
        if value.is_cuda:
            label = (*label, value.get_device())
        return label if kind is torch.Tensor else (*label, value.kind), value.data_ptr()
    return None


def from_numpy(array: np.ndarray[Any, Any]) -> Operand:
    name = array.dtype.name
    element = COMMON.get(name, name) if array.dtype.isnative else f"{name} of foreign byte order"
    packed = None
    if isinstance(array, Packed) and array.element is not None:
        packed = (array.element, array.extents, array.storage)
    flags = array.flags.num
    return Operand(
        address=address_of(array),
        element=element,
        itemsize=array.itemsize,
        shape=array.shape,
        contiguous=bool(flags & CONTIGUOUS),
        writable=bool(flags & WRITABLE),
        device="cpu",
        keep=array,
        packed=packed,
    )


def from_torch(tensor: Any, torch: Any) -> Operand:
    name = str(tensor.dtype).removeprefix("torch.")
    strided = tensor.layout is torch.strided
    problem = None if strided else f"its layout is {tensor.layout}"
    if strided and (tensor.is_neg() or tensor.is_conj()):
        problem = "it is a lazily negated or conjugated view; resolve it first"
    usable = strided and tensor.device.type in ("cpu", "cuda")
    packed = None
    if is_labelled(type(tensor)):
        packed = (tensor.element, tensor.extents, tensor.storage)
    return Operand(
        address=int(tensor.data_ptr()) if usable else 0,
        element=COMMON.get(name, name),
        itemsize=tensor.element_size(),
        shape=tuple(tensor.shape),
        contiguous=strided and tensor.is_contiguous(),
        writable=not tensor.requires_grad,
        device=str(tensor.device),
        keep=tensor,
        packed=packed,
        problem=problem,
    )


def address_of(array: np.ndarray[Any, Any]) -> int:
    """Where an array's memory begins."""
    return header_at(id(array)).data if header_at is not None else int(array.__array_interface__["data"][0])


class Header(ctypes.Structure):
    """The fields of a NumPy array that CPython's `id` is the address of, behind those that every object has.

    Source: `PyArrayObject_fields` in ndarraytypes.h, which is part of NumPy's ABI. Reading it takes a tenth of the time
    of `__array_interface__`.
    """

    _fields_ = (
        ("object", ctypes.c_char * object.__basicsize__),
        ("data", ctypes.c_size_t),
        ("rank", ctypes.c_int),
        ("extents", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("dtype", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


def is_header(array: np.ndarray[Any, Any]) -> bool:
    """Whether a header tells of an array what the array itself tells."""
    seen = Header.from_address(id(array))
    told = (array.__array_interface__["data"][0], array.ndim, id(array.dtype), array.flags.num)
    return told == (seen.data, seen.rank, seen.dtype, seen.flags)


SAMPLES: tuple[np.ndarray[Any, Any], ...] = (
    np.zeros(3, np.uint8),
    np.zeros((4, 4))[1:, 2:],
    np.broadcast_to(np.float16(1), (2, 1, 2)),
)
header_at = Header.from_address if sys.implementation.name == "cpython" and all(map(is_header, SAMPLES)) else None
"""The header of the array with an `id`; None where it cannot be read."""


# DLPack


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_CODES = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
_FLOAT8 = {10: "float8_e4m3fn", 12: "float8_e5m2", 14: "float8_e8m0fnu"}
_DEVICES = {1: "cpu", 2: "cuda", 3: "cpu", 4: "opencl", 7: "vulkan", 8: "metal", 10: "rocm", 13: "cuda"}
_READ_ONLY = 1
LEGACY_STREAM = 1
"""CUDA's default stream, as Python's array API numbers it where a producer is told who reads next."""


def from_dlpack(value: Any, memory: str) -> Operand:
    """The array in a DLPack capsule. One without a version does not say whether it may be written: it may not. Of one
    that is neither in the CPU's memory nor in `memory` it is told where it is.
    """
    kind, number = (int(part) for part in value.__dlpack_device__())
    place = _DEVICES.get(kind, f"device type {kind}")
    device = place if place == "cpu" else f"{place}:{number}"
    if place not in ("cpu", memory):
        return Operand(0, "an array", 1, (), True, False, device, value)
    wanted = {"stream": current_stream(number) or LEGACY_STREAM} if place == "cuda" else {}
    try:
        capsule = value.__dlpack__(max_version=(1, 1), **wanted)
    except TypeError:
        capsule = value.__dlpack__(**wanted)
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    valid = ctypes.pythonapi.PyCapsule_IsValid
    valid.restype, valid.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)
    if valid(capsule, b"dltensor_versioned"):
        versioned = _Versioned.from_address(get(capsule, b"dltensor_versioned"))
        if versioned.major != 1:
            problem = f"it speaks DLPack {versioned.major}, and only version 1 is known"
            return Operand(0, "an array", 1, (), True, False, device, value, problem=problem)
        return _from_dltensor(versioned.tensor, not versioned.flags & _READ_ONLY, device, (value, capsule))
    return _from_dltensor(_Tensor.from_address(get(capsule, b"dltensor")), False, device, (value, capsule))


def _from_dltensor(tensor: _Tensor, writable: bool, device: str, keep: Any) -> Operand:
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    strides = tuple(tensor.strides[i] for i in range(tensor.ndim)) if tensor.strides else None
    kind = tensor.dtype
    name = _FLOAT8.get(kind.code) or f"{_CODES.get(kind.code, 'type')}{kind.bits}"
    if kind.lanes != 1:
        name = f"{name}x{kind.lanes}"
    return Operand(
        address=(tensor.data or 0) + tensor.byte_offset,
        element=COMMON.get(name, name),
        itemsize=max(1, kind.bits * kind.lanes // 8),
        shape=shape,
        contiguous=strides is None or is_contiguous(shape, strides),
        writable=writable,
        device=device,
        keep=keep,
    )


def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether strides, in elements, are those of row-major order; extents of 1 may have any, and no elements too."""
    expected = 1
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent == 0:
            return True
        if extent != 1 and stride != expected:
            return False
        expected *= extent
    return True
