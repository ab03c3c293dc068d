"""Rows of narrow elements: eight codes of b bits fill b bytes, so eight move at a time through one 64-bit word.

`vmc.unpack.*` and `vmc.pack.*` are internal functions of the module under construction, made once per type. Unpacking
reads no byte past `length`; packing writes whole bytes plainly and the bytes that the row shares with its neighbours
bit by bit (`address.inserter`).
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from vmc.backends.cpu.address import inserter
from vmc.backends.cpu.elements import I8, I16, I32, I64, POINTER, step_to, wrap
from vmc.backends.cpu.emitter import Emitter
from vmc.ir.types import DType

GROUP = 8
BYTES, WORDS = ir.VectorType(I8, GROUP), ir.VectorType(I64, GROUP)


def word(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


def same(value: int, type: ir.VectorType) -> ir.Constant:
    """A vector of one number."""
    return ir.Constant(type, [value] * GROUP)


def unpack_row(
    e: Emitter, dtype: DType, target: ir.Value, base: ir.Value, bit: ir.Value, count: ir.Value, length: ir.Value
) -> None:
    """Decodes `count` elements from a bit offset on into i8 at `target`. The memory at `base` has `length` bytes."""
    name = f"vmc.unpack.{dtype.name}"
    if name not in e.module.globals:
        _define_unpack(e, name, dtype)
    e.b.call(e.module.globals[name], (target, base, bit, count, length))


def pack_row(e: Emitter, dtype: DType, source: ir.Value, base: ir.Value, bit: ir.Value, count: ir.Value) -> None:
    """Writes `count` i8 elements from `source` as a run of codes from a bit offset on."""
    name = f"vmc.pack.{dtype.width}"
    if name not in e.module.globals:
        _define_pack(e, name, dtype.width)
    e.b.call(e.module.globals[name], (source, base, bit, count))


class _Sub:
    """A function being defined beside the emitter's own: just loops."""

    def __init__(self, module: ir.Module, name: str, arguments: int) -> None:
        types = [POINTER, POINTER, *[I64] * (arguments - 2)]
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
        self.function.linkage = "internal"
        for argument in self.function.args[:2]:
            argument.add_attribute("noalias")
        self.b = ir.IRBuilder(self.function.append_basic_block())

    def while_(
        self, done: ir.Value, holds: Callable[[ir.Value], ir.Value], body: Callable[[ir.Value], ir.Value]
    ) -> ir.Value:
        """Repeats the body, which maps the count of elements done to the next, while the condition on it holds."""
        before, test = self.b.block, self.function.append_basic_block("test")
        inside, after = self.function.append_basic_block("body"), self.function.append_basic_block("after")
        self.b.branch(test)
        self.b.position_at_end(test)
        place = self.b.phi(I64)
        self.b.cbranch(holds(place), inside, after)
        self.b.position_at_end(inside)
        following = body(place)
        place.add_incoming(done, before)
        place.add_incoming(following, self.b.block)
        self.b.branch(test)
        self.b.position_at_end(after)
        return place


def _define_unpack(e: Emitter, name: str, dtype: DType) -> None:
    f = _Sub(e.module, name, 5)
    b, width = f.b, dtype.width
    target, base, first, count, length = f.function.args
    shifts = ir.Constant(WORDS, [width * lane for lane in range(GROUP)])

    def at(done: ir.Value) -> ir.Value:
        return b.add(first, b.mul(done, word(width)))

    def group_fits(done: ir.Value) -> ir.Value:
        whole = b.icmp_signed("<=", b.add(done, word(GROUP)), count)
        inside = b.icmp_signed("<=", b.add(b.lshr(at(done), word(3)), word(8)), length)
        return b.and_(whole, inside)

    def group(done: ir.Value) -> ir.Value:
        bit = at(done)
        data = b.load(step_to(b, base, b.lshr(bit, word(3)), I8), typ=I64, align=1)
        data = b.lshr(data, b.and_(bit, word(7)))
        lanes = b.shuffle_vector(
            b.insert_element(ir.Constant(WORDS, ir.Undefined), data, ir.Constant(I32, 0)),
            ir.Constant(WORDS, ir.Undefined),
            ir.Constant(ir.VectorType(I32, GROUP), [0] * GROUP),
        )
        codes = b.trunc(b.and_(b.lshr(lanes, shifts), same((1 << width) - 1, WORDS)), BYTES)
        if dtype.has_sign and dtype.is_int:
            codes = b.ashr(b.shl(codes, same(8 - width, BYTES)), same(8 - width, BYTES))
        b.store(codes, step_to(b, target, done, I8), align=1)
        return b.add(done, word(GROUP))

    def single(done: ir.Value) -> ir.Value:
        bit = at(done)
        low, high = (
            b.zext(b.load(step_to(b, base, b.lshr(place, word(3)), I8), typ=I8, align=1), I32)
            for place in (bit, b.add(bit, word(width - 1)))
        )
        both = b.or_(low, b.shl(high, ir.Constant(I32, 8)))
        code = b.trunc(b.lshr(both, b.trunc(b.and_(bit, word(7)), I32)), I8)
        element = wrap(b, dtype, code)
        b.store(element, step_to(b, target, done, I8), align=1)
        return b.add(done, word(1))

    done = f.while_(word(0), group_fits, group)
    f.while_(done, lambda done: b.icmp_signed("<", done, count), single)
    b.ret_void()


def _define_pack(e: Emitter, name: str, width: int) -> None:
    f = _Sub(e.module, name, 4)
    b = f.b
    source, base, first, count = f.function.args
    shifts = ir.Constant(WORDS, [width * lane for lane in range(GROUP)])
    total = e.declare("llvm.vector.reduce.or.v8i64", I64, (WORDS,))
    insert = inserter(e.module, width)

    def at(done: ir.Value) -> ir.Value:
        return b.add(first, b.mul(done, word(width)))

    def single(done: ir.Value) -> ir.Value:
        code = b.and_(b.load(step_to(b, source, done, I8), typ=I8, align=1), ir.Constant(I8, (1 << width) - 1))
        b.call(insert, (base, at(done), b.zext(code, I16)))
        return b.add(done, word(1))

    def unaligned(done: ir.Value) -> ir.Value:
        ragged = b.icmp_unsigned("!=", b.and_(at(done), word(7)), word(0))
        return b.and_(b.icmp_signed("<", done, count), ragged)

    def group(done: ir.Value) -> ir.Value:
        codes = b.zext(b.load(step_to(b, source, done, I8), typ=BYTES, align=1), WORDS)
        lanes = b.shl(b.and_(codes, same((1 << width) - 1, WORDS)), shifts)
        data = b.trunc(b.call(total, (lanes,)), ir.IntType(8 * width))
        b.store(data, step_to(b, base, b.lshr(at(done), word(3)), I8), align=1)
        return b.add(done, word(GROUP))

    done = f.while_(word(0), unaligned, single)
    done = f.while_(done, lambda done: b.icmp_signed("<=", b.add(done, word(GROUP)), count), group)
    f.while_(done, lambda done: b.icmp_signed("<", done, count), single)
    b.ret_void()
