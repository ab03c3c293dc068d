"""Packed tensors of torch, which may lie on a GPU: bytes that remember what a `Packed` remembers.

    weights = kernel.pack("w", codes).torch("cuda")

The class derives from `torch.Tensor`, which is imported only where the caller has imported it: a labelled tensor is a
uint8 tensor for all of torch, and what torch makes of it (a copy, a slice, the tensor on another device) is a plain one
that remembers nothing, because it may be anything.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from vmc.ir.core import Storage
from vmc.ir.types import DType
from vmc.runtime.packed import kind_of


@cache
def packed_tensor_class(torch: Any) -> Any:
    """The class of labelled tensors."""

    class PackedTensor(torch.Tensor):  # type: ignore[misc]
        """uint8[bytes]: a packed tensor of `element` and `extents`, stored as `storage` says (None: densely)."""

        is_packed_tensor = True
        element: DType
        extents: tuple[int, ...]
        storage: Storage | None
        kind: object

        # What torch makes of one is a plain tensor.
        __torch_function__ = torch._C._disabled_torch_function_impl

        def detach(self) -> Any:
            """The same, for `torch.nn.Parameter`, which wants its own class back."""
            return labelled_tensor(super().detach(), self.element, self.extents, self.storage, torch)

        def __reduce_ex__(self, protocol: Any) -> Any:
            return self.as_subclass(torch.Tensor).__reduce_ex__(protocol)

        def __repr__(self) -> str:
            shape = ", ".join(map(str, self.extents))
            return f"PackedTensor({self.element.name}[{shape}] on {self.device})"

    return PackedTensor


def is_labelled(kind: type) -> bool:
    """Whether a class is that of labelled tensors."""
    return getattr(kind, "is_packed_tensor", False) is True


def labelled_tensor(data: Any, element: DType, extents: tuple[int, ...], storage: Storage | None, torch: Any) -> Any:
    """The bytes of a uint8 tensor, which needs no gradient, as a packed one; shares the memory."""
    made = torch.Tensor._make_subclass(packed_tensor_class(torch), data)
    made.element, made.extents, made.storage = element, extents, storage
    made.kind = kind_of(element, extents, storage)
    return made
