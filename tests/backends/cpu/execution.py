"""Building small kernels and executing them on the CPU and on the reference VM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.generators.ir_arguments import differences
from vmc.backends import cpu, interp
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, TensorType, TileType, Value
from vmc.ir.storage import extents, storage_bytes
from vmc.ir.types import DType, dtype, pack

Array = np.ndarray[Any, Any]
QUICK = cpu.Options(opt_level=1)
I64 = TileType(dtype("i64"))


def tensor(name: str, type: str | DType, shape: Sequence[Any], access: Access = Access.IN) -> Value:
    """A tensor parameter."""
    return argument(TensorType(dtype(type), tuple(shape), access), name)


def load(build: Builder, source: Value, shape: Sequence[int], *starts: Value, **attrs: Any) -> Value:
    """A load of the last axes of a tensor, from 0 unless `starts` says otherwise."""
    rank = source.tensor.rank
    places = starts or tuple(build.index(0) for _ in range(rank))
    sizes = (*(None for _ in range(rank - len(shape))), *shape)
    plain = {"sizes": sizes, "steps": (1,) * rank, "fill": 0, "inbounds": (False,) * rank}
    return build("load", source, *places, **{**plain, **attrs})


def store(build: Builder, target: Value, value: Value, *starts: Value, **attrs: Any) -> None:
    """A store to the last axes of a tensor, from 0 unless `starts` says otherwise."""
    rank, shape = target.tensor.rank, value.tile.shape
    places = starts or tuple(build.index(0) for _ in range(rank))
    sizes = (*(None for _ in range(rank - len(shape))), *shape)
    plain = {"sizes": sizes, "steps": (1,) * rank, "inbounds": (False,) * rank}
    build.many("store", target, value, *places, **{**plain, **attrs})


class Sketch:
    """A kernel of one block (or of `blocks`) under construction: `b` builds its body, `give` stores a result."""

    def __init__(self, blocks: int = 1) -> None:
        self.b = Builder()
        self.block = argument(I64, "block")
        self.params: list[Value] = []
        self.blocks = blocks

    def take(self, type: str | DType, shape: Sequence[int], name: str = "") -> Value:
        """A tile that a new input holds."""
        source = tensor(name or f"p{len(self.params)}", type, shape)
        self.params.append(source)
        return load(self.b, source, shape)

    def give(self, value: Value) -> None:
        """Stores a tile whole to a new output."""
        target = tensor(f"p{len(self.params)}", value.tile.dtype, value.tile.shape or (1,), Access.OUT)
        self.params.append(target)
        store(self.b, target, value)

    def kernel(self, name: str = "test", fast: bool = False) -> Kernel:
        body = self.b.region((self.block,))
        outer = Builder()
        outer.many("grid", outer.index(self.blocks), regions=(body,))
        return Kernel(name, tuple(self.params), (), outer.region(), fast)


def memory(type: str | DType, codes: Array) -> Array:
    """The bytes of a dense tensor."""
    return np.array(pack(codes, type), np.uint8)


def zeros(param: Value) -> Array:
    """Zeroed bytes for a tensor of static extents."""
    return np.zeros(storage_bytes(param.tensor, extents(param.tensor, {})), np.uint8)


def launch(
    executable: cpu.Executable, kernel: Kernel, arguments: Sequence[Any], symbols: Mapping[str, int], **more: Any
) -> None:
    """Launches with arguments in the reference VM's form: bytes for tensors, numbers for scalars."""
    pairs = list(zip(kernel.params, arguments, strict=True))
    pointers = [value.ctypes.data for param, value in pairs if isinstance(param.type, TensorType)]
    scalars = [value for param, value in pairs if not isinstance(param.type, TensorType)]
    executable.launch(pointers, scalars, symbols, **more)


def copies(arguments: Sequence[Any]) -> list[Any]:
    return [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]


def run(
    kernel: Kernel, arguments: Sequence[Any], symbols: Mapping[str, int] | None = None, **options: Any
) -> list[Any]:
    """The arguments as the CPU leaves them."""
    after = copies(arguments)
    executable = cpu.compile(kernel, cpu.Options(**options) if options else QUICK)
    launch(executable, kernel, after, symbols or {})
    return after


def assert_same(
    kernel: Kernel, arguments: Sequence[Any], symbols: Mapping[str, int] | None = None, **options: Any
) -> None:
    """Fails unless the CPU and the reference VM leave the same memory, bit for bit but for NaN."""
    expected = copies(arguments)
    interp.run(kernel, expected, symbols or {})
    found = run(kernel, arguments, symbols, **options)
    different = differences(kernel, symbols or {}, expected, found)
    assert not different, f"{kernel.name}: the CPU and the reference VM differ in {', '.join(different)}"


def assert_sketch(sketch: Sketch, inputs: Sequence[Array], **options: Any) -> None:
    """`assert_same` for a sketch whose inputs hold these codes; outputs start as zeros."""
    kernel = sketch.kernel()
    given = iter(inputs)
    arguments = [
        zeros(param) if param.tensor.access.writable else memory(param.tensor.dtype, next(given))
        for param in kernel.params
    ]
    assert_same(kernel, arguments, **options)
