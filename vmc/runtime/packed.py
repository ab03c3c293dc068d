"""Packed tensors: bytes that remember which type and shape they hold.

    >>> import vmc
    >>> packed = vmc.pack([[1, 2], [3, 4]], "u3")
    >>> packed.element.name, packed.extents, packed.nbytes
    ('u3', (2, 2), 2)

`Packed` is a NumPy array of bytes. What it remembers stays through copies and is dropped by anything that changes the
number of bytes, and by arithmetic. Bytes that remember nothing are taken for dense ones.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from vmc.ir.blocks import pack_blocks, unpack_blocks
from vmc.ir.core import Storage, TensorType
from vmc.ir.storage import storage_bytes
from vmc.ir.types import DType, dtype
from vmc.ir.types import pack as pack_codes
from vmc.ir.types import unpack as unpack_codes
from vmc.ir.types.arrays import as_codes
from vmc.ir.types.moving import aligned_zeros

Array = npt.NDArray[Any]


class Packed(np.ndarray[Any, np.dtype[np.uint8]]):
    """uint8[bytes]: a packed tensor of `element` and `extents`, stored as `storage` says (None: densely).

    `kind` is one object for all arrays that remember the same.
    """

    element: DType | None
    extents: tuple[int, ...]
    storage: Storage | None
    kind: object

    def __array_finalize__(self, source: Any) -> None:
        same = isinstance(source, Packed) and source.shape == self.shape and source.dtype == self.dtype
        self.element = source.element if same else None
        self.extents = source.extents if same else ()
        self.storage = source.storage if same else None
        self.kind = source.kind if same else None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return np.asarray(array)[()] if return_scalar else np.asarray(array)

    def copy(self, order: Any = "C") -> Packed:
        """A copy that remembers the same, and begins at a cache line as what `pack` makes."""
        if self.element is None:
            return super().copy(order)
        memory = aligned_zeros(self.nbytes)
        memory[:] = np.asarray(self).reshape(-1)
        return labelled(memory.reshape(self.shape), self.element, self.extents, self.storage)

    def torch(self, device: Any = "cpu") -> Any:
        """The same bytes as a tensor of torch that remembers the same, copied to a device other than the CPU."""
        import torch

        from vmc.runtime.packed_tensors import labelled_tensor

        if self.element is None:
            raise TypeError("these bytes remember no type and shape; kernel.label gives them back what pack made")
        data = torch.from_numpy(np.asarray(self)).to(device)
        return labelled_tensor(data, self.element, self.extents, self.storage, torch)

    def __reduce__(self) -> tuple[Any, ...]:
        return labelled, (np.asarray(self), self.element, self.extents, self.storage)


def labelled(data: Array, element: DType | None, extents: tuple[int, ...], storage: Storage | None = None) -> Packed:
    """The bytes `data` (uint8[bytes]) as a packed tensor; shares the memory."""
    packed = data.view(Packed)
    packed.element, packed.extents, packed.storage = element, extents, storage
    packed.kind = kind_of(element, extents, storage)
    return packed


@cache
def kind_of(element: DType | None, extents: tuple[int, ...], storage: Storage | None) -> object:
    """What stands for these three where they are compared often: they take long to hash."""
    return object()


def as_patterns(codes: npt.ArrayLike, type: DType) -> Array:
    """Bit patterns from an array of them, or from an array whose dtype *is* the type (float16, ml_dtypes' int4, ...).

    Raises TypeError or ValueError as `DType.decode` does.
    """
    array = np.asarray(codes)
    if array.dtype == type.array_dtype and array.dtype.kind in "if":
        return type.to_codes(array)
    if array.dtype.kind in "Vf" and foreign_name(array) == type.name:
        mask = array.view(type.code_dtype) & type.code_dtype.type((1 << type.width) - 1)
        return np.asarray(mask)
    return array


def foreign_name(array: Array) -> str | None:
    """vmc's name for an ml_dtypes array's element, None where there is none."""
    from vmc.runtime.elements import type_name

    return type_name(array.dtype)


def pack(codes: npt.ArrayLike, type: str | DType) -> Packed:
    """Bit patterns of any shape as ceil(count * bits / 8) bytes: dense, row-major, least significant bit first.

    `codes` are integers below 2**bits, or an array whose dtype is the type itself. Raises TypeError or ValueError.
    """
    element = dtype(type)
    patterns = as_patterns(codes, element)
    return labelled(pack_codes(patterns, element), element, patterns.shape)


def unpack(data: npt.ArrayLike, type: str | DType | None = None, shape: int | tuple[int, ...] | None = None) -> Array:
    """The bit patterns of a packed tensor, as the smallest unsigned integers; what `pack` made, of vmc or of a kernel,
    needs no more. Bytes that remember nothing are dense.

    Raises TypeError or ValueError where they are not known or do not fit the bytes.
    """
    storage = None
    if isinstance(data, Packed) and data.element is not None:
        type = data.element if type is None else type
        shape = data.extents if shape is None else shape
        storage = data.storage
        if storage is not None and dtype(type) != data.element:
            raise TypeError(f"the data are packed {data.element.name}, not {dtype(type).name}")
    if type is None or shape is None:
        raise TypeError("unpack needs the type and the shape of data that does not come from vmc.pack")
    if storage is None:
        return unpack_codes(np.asarray(data), type, shape)
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    return unpack_stored(np.asarray(data), TensorType(dtype(type), extents, storage=storage), extents)


def pack_stored(codes: npt.ArrayLike, type: TensorType, shape: tuple[int, ...]) -> Packed:
    """Bit patterns of `shape` as the bytes that a tensor of `type` has, whatever its storage; unused bits are zero."""
    patterns = as_patterns(codes, type.dtype)
    if type.storage is None:
        return labelled(pack_codes(patterns, type.dtype), type.dtype, shape)
    checked = as_codes(patterns, type.dtype.width, type.dtype.name)
    return labelled(pack_blocks(checked, type.storage, type.dtype.width), type.dtype, shape, type.storage)


def unpack_stored(data: Array, type: TensorType, shape: tuple[int, ...]) -> Array:
    """The bit patterns of `shape`, from the bytes of a tensor of `type`."""
    if type.storage is None:
        return unpack_codes(data, type.dtype, shape)
    size = storage_bytes(type, shape)
    if data.size != size:
        message = f"{prod(shape)} codes of {type.dtype.name} take {size} bytes in this layout"
        raise ValueError(f"{message}, found {data.size}")
    return unpack_blocks(data, type.storage, shape, type.dtype.width, np.dtype(type.dtype.code_dtype))
