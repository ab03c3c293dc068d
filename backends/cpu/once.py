"""`once`: tensors that a thread keeps from block to block, and the keys that they were computed for.

A thread's arena is, in this order: a header, the tensors of all `once` (whose extents the launch knows), what the
compiler placed. The worker zeroes the header when it starts on a launch. There each `once` has a word that says whether
its tensors are filled, and the keys of that execution; one for which the header has no room is executed every time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from llvmlite import ir

from vmc.backends.cpu.address import is_plain, make_tensor
from vmc.backends.cpu.alike import edge_of, rows_to_compute
from vmc.backends.cpu.elements import I8, I64, step_to
from vmc.backends.cpu.emitter import HEADER, Emitter
from vmc.backends.cpu.memory import LINE
from vmc.backends.cpu.regions import run_region
from vmc.backends.cpu.tiles import Tensor
from vmc.ir.core import Kernel, Op, Value, walk


def scratch(kernel: Kernel) -> list[Value]:
    """The tensors that a kernel's `once` operations give, in the order in which they lie in the arena."""
    return [result for op in walk(kernel.body) if op.name == "once" for result in op.results]


def place_scratch(e: Emitter, kernel: Kernel) -> ir.Value:
    """Binds the tensors of `once` to addresses in the arena; the bytes that they take."""
    taken: ir.Value = e.index(0)
    assert e.header is not None
    for value in scratch(kernel):
        base = step_to(e.b, e.header, e.add(taken, e.index(HEADER)), I8)
        tensor = padded(e, make_tensor(e, value.tensor, base, None, e.new_scope()))
        e.env[value] = tensor
        taken = e.add(taken, whole_lines(e, tensor.length))
    return taken


def padded(e: Emitter, tensor: Tensor) -> Tensor:
    """The tensor with rows that start at cache lines, an odd number of lines apart: else rows whose distance is a power
    of two share the few places that a cache has for them, and a tile of 16 rows does not fit. Rows shorter than a line
    stay side by side.
    """
    if len(tensor.extents) < 2 or not is_plain(tensor):
        return tensor
    bytes = tensor.type.dtype.width // 8
    last = tensor.type.shape[-1]
    if isinstance(last, int) and last * bytes < LINE:
        return tensor
    row = e.b.or_(whole_lines(e, e.mul(tensor.extents[-1], e.index(bytes))), e.index(LINE))
    strides, stride = [e.index(1)], e.b.udiv(row, e.index(bytes))
    for extent in reversed(tensor.extents[:-1]):
        strides.insert(0, stride)
        stride = e.mul(stride, extent)
    return replace(tensor, strides=tuple(strides), length=e.mul(stride, e.index(bytes)))


def whole_lines(e: Emitter, bytes: ir.Value) -> ir.Value:
    """Bytes rounded up to cache lines."""
    return e.b.and_(e.add(bytes, e.index(LINE - 1)), e.index(-LINE))


def lower_once(e: Emitter, op: Op) -> list[Tensor]:
    tensors = [e.tensor(result) for result in op.results]
    keys = [e.scalar(key) for key in op.operands]
    words = header_words(e, 1 + len(keys))
    if not words:
        compute(e, op, tensors)
        return tensors
    filled, *kept = words
    differs = [e.b.icmp_signed("!=", e.load(None, word, I64, 8), key) for word, key in zip(kept, keys, strict=True)]
    empty = e.b.icmp_signed("==", e.load(None, filled, I64, 8), e.index(0))
    with e.when(reduce(e.b.or_, differs, empty)):
        e.store(None, e.index(0), filled, 8)
        compute(e, op, tensors)
        for word, key in zip([filled, *kept], [e.index(1), *keys], strict=True):
            e.store(None, key, word, 8)
    return tensors


def compute(e: Emitter, op: Op, tensors: list[Tensor]) -> None:
    """Fills the tensors."""
    loads = edge_of(op)
    if loads is not None:
        e.alike = rows_to_compute(e, loads)
    run_region(e, op.regions[0], tensors, lambda tiles: None)
    e.alike = None


def header_words(e: Emitter, count: int) -> list[ir.Value]:
    """The addresses of words of the header that nothing else uses; none where it has too few."""
    if 8 * (e.header_words + count) > HEADER:
        return []
    assert e.header is not None
    first, e.header_words = e.header_words, e.header_words + count
    return [step_to(e.b, e.header, e.index(first + number), I64) for number in range(count)]
