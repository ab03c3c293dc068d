"""The CUDA driver, as launches of `vmc.runtime.cuda` need it: devices, modules, kernels, and memory for workspaces.

`libcuda.so.1` is loaded when it is first asked for, and called through ctypes (cuda.h, driver API). Everything happens
in a device's primary context, which is the one of torch and of the CUDA runtime. Written from the documentation, and
executed against a recorder of its calls so far, on no GPU.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from vmc.runtime.errors import ExecutionError, TargetError

LIBRARY = "libcuda.so.1"
MAJOR, MINOR, MULTIPROCESSORS = 75, 76, 16
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_..., CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT"""
SHARED_OF_A_BLOCK = 97
"""CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"""
MAX_DYNAMIC_SHARED = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"""
PINNED, ON_DEVICE, THRESHOLD = 1, 1, 4
"""CU_MEM_ALLOCATION_TYPE_PINNED, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD"""
RELAXED = 2
"""CU_STREAM_CAPTURE_MODE_RELAXED"""
ASSERT = 710
"""CUDA_ERROR_ASSERT"""

UNKNOWN_CODE = (200, 209, 218, 222)
"""CUDA_ERROR_INVALID_IMAGE, _NO_BINARY_FOR_GPU, _INVALID_PTX, _UNSUPPORTED_PTX_VERSION: what a driver says of code of a
CUDA that is newer than itself"""

INT, POINTER, TEXT = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (INT,),
    "cuDriverGetVersion": (POINTER,),
    "cuGetErrorName": (INT, POINTER),
    "cuGetErrorString": (INT, POINTER),
    "cuDeviceGet": (POINTER, INT),
    "cuDeviceGetAttribute": (POINTER, INT, INT),
    "cuDevicePrimaryCtxRetain": (POINTER, INT),
    "cuCtxPushCurrent_v2": (POINTER,),
    "cuCtxPopCurrent_v2": (POINTER,),
    "cuThreadExchangeStreamCaptureMode": (POINTER,),
    "cuModuleLoadData": (POINTER, TEXT),
    "cuModuleGetFunction": (POINTER, POINTER, TEXT),
    "cuFuncSetAttribute": (POINTER, INT, INT),
    "cuMemPoolCreate": (POINTER, POINTER),
    "cuMemPoolSetAttribute": (POINTER, INT, POINTER),
    "cuMemAllocFromPoolAsync": (POINTER, ctypes.c_size_t, POINTER, POINTER),
    "cuMemFreeAsync": (ctypes.c_uint64, POINTER),
    "cuLaunchKernel": (POINTER, *[ctypes.c_uint] * 7, POINTER, POINTER, POINTER),
}


class Driver:
    """The functions that are used, by their names. Raises TargetError where there is no driver, or no device."""

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise TargetError("E0914", f"there is no CUDA driver: {error}") from None
        for name, types in FUNCTIONS.items():
            try:
                function = getattr(library, name)
            except AttributeError:
                raise TargetError("E0914", f"the CUDA driver is too old: it has no {name}") from None
            function.argtypes, function.restype = types, INT
            setattr(self, name, function)
        self.call("cuInit", 0)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function. Raises TargetError for what the driver reports, ExecutionError for a failed assert."""
        status = getattr(self, name)(*arguments)
        if status:
            raise self.failure(name, status)

    def failure(self, name: str, status: int) -> Exception:
        """The exception for a status. A launch reports what went wrong in kernels before it, too."""
        if status == ASSERT:
            return ExecutionError("an assert of a kernel that was launched before failed; its message is on stderr")
        texts = []
        for function in ("cuGetErrorName", "cuGetErrorString"):
            text = ctypes.c_char_p()
            getattr(self, function)(status, ctypes.byref(text))
            texts.append((text.value or b"unknown error").decode("utf-8", "replace"))
        newer = f"; {self.age()}" if status in UNKNOWN_CODE else ""
        return TargetError("E0914", f"the CUDA driver: {name}: {': '.join(texts)}{newer}")

    def age(self) -> str:
        """The CUDA that the driver came with, and what that may mean for code."""
        version = ctypes.c_int()
        self.cuDriverGetVersion(ctypes.byref(version))  # type: ignore[attr-defined]
        major, minor = version.value // 1000, version.value % 1000 // 10
        return f"the driver is one of CUDA {major}.{minor}: code that a newer CUDA made may need a newer driver"


@cache
def driver() -> Driver:
    """The driver, loaded and initialized. Raises TargetError."""
    return Driver()


@dataclass(frozen=True)
class Device:
    """A GPU by its number in CUDA's order, with its compute capability, its multiprocessors, its primary context, and
    the most bytes of shared memory that a block can have."""

    number: int
    major: int
    minor: int
    multiprocessors: int
    context: int
    shared: int

    def __str__(self) -> str:
        return f"device {self.number} (compute capability {self.major}.{self.minor})"


@cache
def device(number: int) -> Device:
    """A device, whose primary context is retained until the process ends. Raises TargetError."""
    known = driver()
    handle, major, minor, count, shared = (ctypes.c_int() for _ in range(5))
    context = ctypes.c_void_p()
    known.call("cuDeviceGet", ctypes.byref(handle), number)
    known.call("cuDeviceGetAttribute", ctypes.byref(major), MAJOR, handle)
    known.call("cuDeviceGetAttribute", ctypes.byref(minor), MINOR, handle)
    known.call("cuDeviceGetAttribute", ctypes.byref(count), MULTIPROCESSORS, handle)
    known.call("cuDeviceGetAttribute", ctypes.byref(shared), SHARED_OF_A_BLOCK, handle)
    known.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
    return Device(number, major.value, minor.value, count.value, context.value or 0, shared.value)


class Entered:
    """A `with` block in which a device's context is the calling thread's.

    `relaxed`: in which the thread may also do what a stream capture of its own would forbid, such as loading code.
    """

    def __init__(self, device: Device, relaxed: bool = False) -> None:
        self.device, self.relaxed = device, relaxed
        self.mode = ctypes.c_int(RELAXED)

    def __enter__(self) -> None:
        driver().call("cuCtxPushCurrent_v2", self.device.context)
        if self.relaxed:
            driver().cuThreadExchangeStreamCaptureMode(ctypes.byref(self.mode))  # type: ignore[attr-defined]

    def __exit__(self, *error: object) -> None:
        if self.relaxed:
            driver().cuThreadExchangeStreamCaptureMode(ctypes.byref(self.mode))  # type: ignore[attr-defined]
        driver().cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))  # type: ignore[attr-defined]


def load(where: Device, image: bytes, entries: Sequence[tuple[str, int]]) -> list[int]:
    """The functions of a cubin, or of PTX that ends with a zero byte, loaded on a device for the rest of the process.

    `entries`: their names, with the bytes of dynamic shared memory that their blocks take. Raises TargetError.
    """
    known, module = driver(), ctypes.c_void_p()
    found: list[int] = []
    with Entered(where, relaxed=True):
        known.call("cuModuleLoadData", ctypes.byref(module), image)
        for entry, shared in entries:
            function = ctypes.c_void_p()
            known.call("cuModuleGetFunction", ctypes.byref(function), module, entry.encode())
            if shared:
                known.call("cuFuncSetAttribute", function, MAX_DYNAMIC_SHARED, shared)
            found.append(function.value or 0)
    return found


class PoolProperties(ctypes.Structure):
    """CUmemPoolProps"""

    _fields_ = (
        ("allocation", ctypes.c_int),
        ("handles", ctypes.c_int),
        ("location", ctypes.c_int),
        ("device", ctypes.c_int),
        ("rest", ctypes.c_uint8 * 72),
    )


@cache
def pool(where: Device) -> int:
    """The device's pool of memory for workspaces, which keeps what it has taken until the process ends.

    Raises TargetError.
    """
    known, made, never = driver(), ctypes.c_void_p(), ctypes.c_uint64((1 << 64) - 1)
    properties = PoolProperties(PINNED, 0, ON_DEVICE, where.number)
    with Entered(where, relaxed=True):
        known.call("cuMemPoolCreate", ctypes.byref(made), ctypes.byref(properties))
        known.call("cuMemPoolSetAttribute", made, THRESHOLD, ctypes.byref(never))
    return made.value or 0


class Arguments:
    """Memory for the parameters of a launch, eight bytes each, and for their addresses."""

    def __init__(self, count: int) -> None:
        self.words = (ctypes.c_uint64 * max(1, count))()
        start = ctypes.addressof(self.words)
        self.pointers = (ctypes.c_void_p * max(1, count))(*(start + 8 * place for place in range(count)))
        self.address = ctypes.addressof(self.pointers)


@dataclass(frozen=True)
class Function:
    """A grid's code on a device: `threads` in a block, `shared` bytes of dynamic shared memory."""

    handle: int
    threads: int
    shared: int


class Program:
    """A kernel on a device: the functions of its grids, which all take `count` parameters.

    A launch waits for nothing; the workspace is allocated and freed by the stream, in the order of the launches. So
    it can be captured into a CUDA graph, which then has a workspace of its own.
    """

    def __init__(self, where: Device, functions: Sequence[Function], count: int) -> None:
        self.device, self.functions, self.count = where, tuple(functions), count
        self._idle: list[Arguments] = []
        known = driver()
        self._push, self._pop = known.cuCtxPushCurrent_v2, known.cuCtxPopCurrent_v2  # type: ignore[attr-defined]
        self._launch = known.cuLaunchKernel  # type: ignore[attr-defined]
        self._popped = ctypes.c_void_p()
        self._popped_at = ctypes.addressof(self._popped)

    def launch(
        self, blocks: Sequence[int], words: Sequence[int], places: Sequence[int], bytes: int, stream: int
    ) -> None:
        """Launches so many blocks of each grid, with parameters that were widened to eight bytes, and the tensors of a
        workspace of so many `bytes` at these `places` in it. Raises TargetError.
        """
        pool_ = pool(self.device) if bytes else 0
        try:
            arguments = self._idle.pop()
        except IndexError:
            arguments = Arguments(self.count)
        status, name = self._push(self.device.context), "cuCtxPushCurrent"
        if not status:
            if bytes:
                name, status = self._run_in_workspace(arguments, blocks, words, places, bytes, pool_, stream)
            else:
                arguments.words[: self.count] = [*words, *places]
                name, status = self._run(arguments, blocks, stream)
            self._pop(self._popped_at)
        self._idle.append(arguments)
        if status:
            raise driver().failure(name, status)

    def _run(self, arguments: Arguments, blocks: Sequence[int], stream: int) -> tuple[str, int]:
        """The grids in order; the call that failed, if any, and its status."""
        for count, one in zip(blocks, self.functions, strict=True):
            if count:
                status = self._launch(
                    one.handle, count, 1, 1, one.threads, 1, 1, one.shared, stream, arguments.address, None
                )
                if status:
                    return "cuLaunchKernel", status
        return "", 0

    def _run_in_workspace(
        self,
        arguments: Arguments,
        blocks: Sequence[int],
        words: Sequence[int],
        places: Sequence[int],
        bytes: int,
        pool: int,
        stream: int,
    ) -> tuple[str, int]:
        """As `_run`, with memory that is taken before and given back behind the grids."""
        known, memory = driver(), ctypes.c_uint64()
        status = known.cuMemAllocFromPoolAsync(ctypes.byref(memory), bytes, pool, stream)  # type: ignore[attr-defined]
        if status:
            return "cuMemAllocFromPoolAsync", status
        arguments.words[: self.count] = [*words, *(memory.value + place for place in places)]
        name, status = self._run(arguments, blocks, stream)
        freed = known.cuMemFreeAsync(memory, stream)  # type: ignore[attr-defined]
        return (name, status) if status or not freed else ("cuMemFreeAsync", freed)


def torch_in_use() -> Any:
    """The module torch if it has made use of a GPU, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


def current_device() -> int:
    """torch's current device, where torch is in use; else the first one."""
    torch = torch_in_use()
    return int(torch.cuda.current_device()) if torch is not None else 0


def current_stream(number: int) -> int:
    """torch's current stream of a device, where torch is in use; else the default one."""
    torch = torch_in_use()
    if torch is None:
        return 0
    quick = getattr(torch._C, "_cuda_getCurrentRawStream", None)  # what torch's own generated code calls
    return int(quick(number) if quick is not None else torch.cuda.current_stream(number).cuda_stream)
