"""What a process does that has a GPU, run against the recorder of the driver: see `test_on_recorder.py`.

Tensors are DLPack capsules that claim to lie on a GPU; nothing reads the memory that they name. `torch` is a stand-in
with the streams and devices that the launch path asks for.
"""

from __future__ import annotations

import ctypes
import sys
import types
from typing import Any

from vmc.runtime.operands import _Tensor, _Versioned

KEPT: list[Any] = []


class OnGpu:
    """An array of a GPU as DLPack shows it; remembers the stream that its reader named."""

    def __init__(self, address: int, code: int, bits: int, *shape: int, device: int = 0) -> None:
        extents = (ctypes.c_int64 * len(shape))(*shape)
        tensor = _Tensor(address, (2, device), len(shape), (code, bits, 1), extents, None, 0)
        self.managed = _Versioned(1, 0, None, None, 0, tensor)
        self.device = device
        self.stream: int | None = None
        KEPT.append((self.managed, extents))

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device

    def __dlpack__(self, *, stream: int | None = None, max_version: Any = None) -> Any:
        self.stream = stream
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.managed), b"dltensor_versioned", None)


def f32(address: int, *shape: int, device: int = 0) -> OnGpu:
    return OnGpu(address, 2, 32, *shape, device=device)


def f16(address: int, *shape: int, device: int = 0) -> OnGpu:
    return OnGpu(address, 2, 16, *shape, device=device)


def u8(address: int, *shape: int, device: int = 0) -> OnGpu:
    return OnGpu(address, 1, 8, *shape, device=device)


class Streams:
    """The state of the stand-in: the current device, and each device's stream."""

    device = 0
    streams: dict[int, int] = {}  # noqa: RUF012


def stand_in_for_torch() -> None:
    """A module `torch` that has made use of a GPU."""
    torch: Any = types.ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})
    torch.cuda = types.SimpleNamespace(is_initialized=lambda: True, current_device=lambda: Streams.device)
    torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda device: Streams.streams.get(device, 0))
    sys.modules["torch"] = torch


def refused(call: Any, *arguments: Any) -> None:
    """Prints what a call raises."""
    try:
        call(*arguments)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    else:
        print("not refused", flush=True)
