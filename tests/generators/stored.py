"""Arguments for a kernel whose tensors a pass has given storages, from those for the kernel as it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vmc.ir.core import Kernel, TensorType
from vmc.ir.storage import extents
from vmc.ir.types import unpack
from vmc.runtime.packed import pack_stored


def stored(before: Kernel, after: Kernel, arguments: Sequence[Any], symbols: Mapping[str, int]) -> list[Any]:
    """The same elements where `after` has them; arguments whose place has not changed are passed on themselves."""
    found = []
    for old, new, argument in zip(before.params, after.params, arguments, strict=True):
        if isinstance(new.type, TensorType) and new.tensor.storage != old.tensor.storage:
            assert old.tensor.storage is None
            shape = extents(old.tensor, symbols)
            argument = pack_stored(unpack(argument, old.tensor.dtype, shape), new.tensor, shape)
        found.append(argument)
    return found
