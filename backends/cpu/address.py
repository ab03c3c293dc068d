"""Where an element of a tensor lies, and how it is read and written there.

Elements of whole bytes at whole byte offsets are plain accesses. All others are *runs* of at most eight bits at a bit
offset: one for a dense narrow type, one or more from a table for a `Storage`. Reading a run touches the bytes of its
first and of its last bit and no others. Writing one changes its bytes by atomic operations, because another thread may
be writing their other bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from llvmlite import ir

from vmc.backends.cpu.elements import (
    I8,
    I16,
    I32,
    I64,
    POINTER,
    code_type,
    element_size,
    element_type,
    from_code,
    step_to,
    to_code,
)
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Index, Scope, Tensor
from vmc.ir.core import Storage, TensorType
from vmc.ir.dims import Dim, DimOp, Sym
from vmc.ir.storage import block_positions


def make_tensor(
    e: Emitter, type: TensorType, base: ir.Value, length: ir.Value | None, scope: Scope, bit_offset: int = 0
) -> Tensor:
    """The tensor at an address. `length` None: as many bytes as a dense tensor of its extents has."""
    extents = [
        e.index(extent)
        if isinstance(extent, int)
        else e.remembered(("extent", extent), lambda: e.call("llvm.smax.i64", I64, dim(e, extent), e.index(0)))  # noqa: B023
        for extent in type.shape
    ]
    strides: list[ir.Value] = []
    count: ir.Value = e.index(1)
    for extent in reversed(extents):
        strides.insert(0, count)
        count = e.mul(count, extent)
    if length is None:
        bits = e.mul(count, e.index(type.dtype.width))
        length = e.b.lshr(e.add(bits, e.index(7)), e.index(3))
    return Tensor(type, base, tuple(extents), tuple(strides), length, scope, bit_offset)


def dim(e: Emitter, extent: Dim) -> ir.Value:
    """An extent's value, from the symbols of the launch; a zero divisor gives 0."""
    match extent:
        case Sym(name):
            return e.symbols[name]
        case DimOp(operator, left, right):
            return _dim_op(e, operator, dim(e, left), dim(e, right))
    assert isinstance(extent, int)
    return e.index(extent)


def _dim_op(e: Emitter, operator: str, a: ir.Value, b: ir.Value) -> ir.Value:
    from vmc.backends.cpu.arith import step
    from vmc.ir.types import dtype

    i64 = dtype("i64")
    match operator:
        case "+":
            return e.add(a, b)
        case "-":
            return e.sub(a, b)
        case "*":
            return e.mul(a, b)
        case "cdiv":
            return e.b.sub(e.index(0), step(e, "floordiv", i64, e.b.sub(e.index(0), a), b))
    return step(e, {"//": "floordiv", "%": "mod"}.get(operator, operator), i64, a, b)


def is_plain(tensor: Tensor) -> bool:
    """Whether elements are whole bytes at multiples of their size from the base."""
    return tensor.type.storage is None and tensor.type.dtype.width % 8 == 0 and tensor.bit_offset % 8 == 0


def position(e: Emitter, tensor: Tensor, index: Index) -> ir.Value:
    """The row-major number of an element."""
    number: ir.Value = e.index(0)
    for place, stride in zip(index, tensor.strides, strict=True):
        number = e.add(number, e.mul(place, stride))
    return number


def plain_address(e: Emitter, tensor: Tensor, index: Index) -> ir.Value:
    """The address of an element of a plain tensor."""
    start = tensor.base
    if tensor.bit_offset:
        start = step_to(e.b, start, e.index(tensor.bit_offset // 8), I8)
    return step_to(e.b, start, position(e, tensor, index), element_type(tensor.type.dtype))


# Runs of bits


@dataclass(frozen=True)
class Runs:
    """How the elements of a storage block lie: run r of an element holds `counts[r]` of its bits, from `lows[r]` on, at
    the bit `offsets[r][element]` of the block.
    """

    lows: tuple[int, ...]
    counts: tuple[int, ...]
    offsets: tuple[tuple[int, ...], ...]

    def whole_bytes(self, storage: Storage, bit_offset: int) -> bool:
        """Whether an element is one run, at whole bytes everywhere."""
        starts = (storage.pitch, bit_offset, *self.offsets[0])
        return len(self.lows) == 1 and self.counts[0] % 8 == 0 and all(start % 8 == 0 for start in starts)


@lru_cache(maxsize=256)
def storage_runs(storage: Storage, width: int) -> Runs:
    """The runs of a storage, cut where any element's bits part."""
    places = block_positions(storage, width)
    parted = np.any(places[:, 1:] != places[:, :-1] + 1, axis=0)
    lows = [0, *(int(bit) + 1 for bit in np.flatnonzero(parted))]
    counts = [end - low for low, end in zip(lows, [*lows[1:], width], strict=True)]
    return Runs(tuple(lows), tuple(counts), tuple(tuple(map(int, places[:, low])) for low in lows))


def storage_start(e: Emitter, tensor: Tensor, index: Index) -> tuple[ir.Value, ir.Value]:
    """The bit where an element's block starts, and the element's number in the block."""
    storage = tensor.type.storage
    assert storage is not None
    block: ir.Value = e.index(0)
    within: ir.Value = e.index(0)
    parts = [e.divmod(place, size) for place, size in zip(index, storage.block, strict=True)]
    for dim in storage.dimensions:
        size = storage.block[dim]
        blocks, _ = e.divmod(e.add(tensor.extents[dim], e.index(size - 1)), size)
        block = e.add(e.mul(block, blocks), parts[dim][0])
    for (_, rest), size in zip(parts, storage.block, strict=True):
        within = e.add(e.mul(within, e.index(size)), rest)
    return e.add(e.mul(block, e.index(storage.pitch)), e.index(tensor.bit_offset)), within


def storage_run(e: Emitter, tensor: Tensor, runs: Runs, number: int, start: ir.Value, within: ir.Value) -> ir.Value:
    """The bit where a run of an element starts."""
    offsets = runs.offsets[number]
    step = offsets[1] - offsets[0] if len(offsets) > 1 else 0
    if all(offset == offsets[0] + place * step for place, offset in enumerate(offsets)):
        return e.add(start, e.add(e.mul(within, e.index(step)), e.index(offsets[0])))
    table = constant_table(e, I32, offsets)
    offset = e.b.load(step_to(e.b, table, within, I32), typ=I32, align=4)
    return e.add(start, e.b.zext(offset, I64))


def constant_table(e: Emitter, type: ir.IntType, numbers: Sequence[int]) -> ir.Value:
    """A constant array in the module; equal ones are made once."""
    key = f"vmc.table.{type.width}.{hash((type.width, tuple(numbers))) & (1 << 63) - 1:x}"
    found = e.module.globals.get(key)
    if found is None:
        array = ir.ArrayType(type, len(numbers))
        found = ir.GlobalVariable(e.module, array, key)
        found.initializer = ir.Constant(array, list(numbers))
        found.global_constant, found.linkage, found.align = True, "internal", 64
    return found


def pieces(e: Emitter, tensor: Tensor, index: Index) -> list[tuple[ir.Value, int, int]]:
    """The runs of an element of at most eight bits each: bit offset from the base, first bit in the element, count."""
    width = tensor.type.dtype.width
    if tensor.type.storage is None:
        start = e.add(e.mul(position(e, tensor, index), e.index(width)), e.index(tensor.bit_offset))
        found = [(start, 0, width)]
    else:
        runs = storage_runs(tensor.type.storage, width)
        start, within = storage_start(e, tensor, index)
        found = [
            (storage_run(e, tensor, runs, number, start, within), low, count)
            for number, (low, count) in enumerate(zip(runs.lows, runs.counts, strict=True))
        ]
    return [
        (e.add(bit, e.index(cut)), low + cut, min(8, count - cut))
        for bit, low, count in found
        for cut in range(0, count, 8)
    ]


def byte_address(e: Emitter, tensor: Tensor, index: Index) -> ir.Value | None:
    """The address of an element that is whole bytes, in a plain tensor or a storage; None of others."""
    if is_plain(tensor):
        return plain_address(e, tensor, index)
    storage = tensor.type.storage
    if storage is None or tensor.type.dtype.width % 8:
        return None
    runs = storage_runs(storage, tensor.type.dtype.width)
    if not runs.whole_bytes(storage, tensor.bit_offset):
        return None
    start, within = storage_start(e, tensor, index)
    bit = storage_run(e, tensor, runs, 0, start, within)
    return step_to(e.b, tensor.base, e.b.lshr(bit, e.index(3)), I8)


# Elements


def read_element(e: Emitter, tensor: Tensor, index: Index) -> ir.Value:
    """The element at an index inside the extents."""
    dtype = tensor.type.dtype
    address = byte_address(e, tensor, index)
    if address is not None:
        value = e.load(tensor.scope, address, element_type(dtype))
        return value if dtype.width == 8 * element_size(dtype) else from_code(e.b, dtype, value)
    type = code_type(dtype)
    code: ir.Value = ir.Constant(type, 0)
    for bit, low, count in pieces(e, tensor, index):
        part = extract(e, tensor, bit, count)
        part = e.b.zext(part, type) if type.width > 32 else part if type.width == 32 else e.b.trunc(part, type)
        code = part if low == 0 else e.b.or_(code, e.b.shl(part, ir.Constant(type, low)))
    return from_code(e.b, dtype, code)


def extract(e: Emitter, tensor: Tensor, bit: ir.Value, count: int) -> ir.Value:
    """`count` bits at a bit offset, as i32."""
    b = e.b

    def byte(at: ir.Value) -> ir.Value:
        address = step_to(b, tensor.base, b.lshr(at, e.index(3)), I8)
        return b.zext(e.load(tensor.scope, address, I8), I32)

    word = byte(bit)
    if count > 1:
        word = b.or_(word, b.shl(byte(e.add(bit, e.index(count - 1))), ir.Constant(I32, 8)))
    shift = b.trunc(b.and_(bit, e.index(7)), I32)
    return b.and_(b.lshr(word, shift), ir.Constant(I32, (1 << count) - 1))


def write_element(e: Emitter, tensor: Tensor, index: Index, element: ir.Value) -> None:
    """Writes the element at an index inside the extents."""
    dtype = tensor.type.dtype
    address = byte_address(e, tensor, index)
    if address is not None:
        e.store(tensor.scope, element, address)
        return
    code = to_code(e.b, dtype, element)
    for bit, low, count in pieces(e, tensor, index):
        part = e.b.lshr(code, ir.Constant(code.type, low)) if low else code
        part = part if part.type.width <= 16 else e.b.trunc(part, I16)
        part = e.b.zext(part, I16) if part.type.width < 16 else part
        bits = e.b.and_(part, ir.Constant(I16, (1 << count) - 1))
        e.b.call(inserter(e.module, count), (tensor.base, bit, bits))


def inserter(module: ir.Module, count: int) -> ir.Function:
    """The function that writes `count` bits (i16, zero above) at a bit offset from an address, atomically."""
    name = f"vmc.insert.{count}"
    if name not in module.globals:
        _define_insert(module, name, count)
    return module.globals[name]


def _define_insert(module: ir.Module, name: str, count: int) -> None:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, I64, I16]), name)
    function.linkage = "internal"
    b = ir.IRBuilder(function.append_basic_block())
    base, bit, bits = function.args
    address = step_to(b, base, b.lshr(bit, ir.Constant(I64, 3)), I8)
    shift = b.trunc(b.and_(bit, ir.Constant(I64, 7)), I16)
    mask = b.shl(ir.Constant(I16, (1 << count) - 1), shift)
    value = b.shl(bits, shift)
    replace_bits(b, address, b.trunc(mask, I8), b.trunc(value, I8))
    upper = b.trunc(b.lshr(mask, ir.Constant(I16, 8)), I8)
    with b.if_then(b.icmp_unsigned("!=", upper, ir.Constant(I8, 0))):
        following = step_to(b, address, ir.Constant(I64, 1), I8)
        replace_bits(b, following, upper, b.trunc(b.lshr(value, ir.Constant(I16, 8)), I8))
    b.ret_void()


def replace_bits(b: ir.IRBuilder, address: ir.Value, mask: ir.Value, value: ir.Value) -> None:
    """Puts the bits of a mask into a byte; other threads may do so to its other bits at the same time."""
    b.atomic_rmw("and", address, b.not_(mask), "monotonic")
    b.atomic_rmw("or", address, value, "monotonic")


def bit_position(e: Emitter, tensor: Tensor, index: Index) -> ir.Value:
    """The bit offset of an element of a dense tensor."""
    width = tensor.type.dtype.width
    return e.add(e.mul(position(e, tensor, index), e.index(width)), e.index(tensor.bit_offset))


def end_bit(e: Emitter, tensor: Tensor) -> ir.Value:
    """The bit past the last one of a tensor's elements, counted from its base; at most 0 if it has none."""
    storage, width = tensor.type.storage, tensor.type.dtype.width
    if storage is None:
        count: ir.Value = e.index(width)
        for extent in tensor.extents:
            count = e.mul(count, extent)
        return e.add(count, e.index(tensor.bit_offset))
    blocks: ir.Value = e.index(1)
    for extent, size in zip(tensor.extents, storage.block, strict=True):
        blocks = e.mul(blocks, e.divmod(e.add(extent, e.index(size - 1)), size)[0])
    inside = int(block_positions(storage, width).max()) + 1
    used = e.add(e.mul(e.sub(blocks, e.index(1)), e.index(storage.pitch)), e.index(inside + tensor.bit_offset))
    return e.b.select(e.b.icmp_signed(">", blocks, e.index(0)), used, e.index(0))


def is_dense(tensor: Tensor) -> bool:
    """Whether an element follows the one before without a gap."""
    return tensor.type.storage is None
