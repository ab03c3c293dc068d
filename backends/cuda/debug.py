"""`print`, `assert`, and constant tables: what needs text of its own beside the function's code."""

from __future__ import annotations

import json

from vmc.backends.cuda.emitter import Emitter, Scalar
from vmc.backends.cuda.prelude import inline
from vmc.backends.cuda.registers import expression
from vmc.backends.cuda.tir import F32, F64, I32, I64, U32, U64, Expr, binary, call, cast, const, container, tirx
from vmc.ir.core import Op, Value
from vmc.ir.layout.layout import row_strides
from vmc.ir.span import Span
from vmc.ir.types import DType

GENERATED = "kernel.cu"
"""The name of generated code in lines of PTX."""

C_TYPES = {U32: "uint", U64: "unsigned long long"}


def lower_assert(e: Emitter, op: Op) -> None:
    """A thread that finds the condition false has the driver print the message, and ends the process's work on the
    GPU with CUDA_ERROR_ASSERT, as CUDA's own `assert` does.
    """
    name = failure(e, op.attrs["message"], op.span)
    condition = op.operands[0]
    held = e.values[condition]

    def element(slot: Expr) -> None:
        holder = [] if isinstance(held, Scalar) else held.registers.holder(slot, single=True)
        with e.when([*holder, binary("EQ", e.element(condition, slot), const(0, U32))]):
            e.call(name)

    e.each(1 if isinstance(held, Scalar) else held.registers.slots, element)


def failure(e: Emitter, message: str, span: Span) -> str:
    """A device function that reports an error of the program."""
    name = e.fresh_global("vmc_fail")
    words = f"{c_string(message)}, {c_string(span.file)}, {span.line}u, {c_string(e.name)}"
    text = f"static __device__ __noinline__ void {name}() {{ __assertfail({words}, 1); }}\n"
    if e.lines and span.line:
        text = f"#line {span.line} {c_string(span.file)}\n{text}#line 1 {c_string(GENERATED)}\n"
    e.texts[name] = text
    return name


def c_string(text: str) -> str:
    """A C literal of the text, in UTF-8."""
    return json.dumps(text, ensure_ascii=False).replace("\\/", "/")


def lower_print(e: Emitter, op: Op) -> None:
    """The first thread, which has all elements, prints the line."""
    pieces: list[Value] = []
    with e.when([binary("EQ", e.thread, const(0, I32))]):
        e.emit(text_statement(e, op.attrs["text"]))
        for value in op.operands:
            e.emit(text_statement(e, " " if op.attrs["text"] or pieces else ""))
            print_value(e, value)
            pieces.append(value)
        e.emit(text_statement(e, "\n"))


def text_statement(e: Emitter, text: str) -> object:
    """A statement that prints a text."""
    name = e.fresh_global("vmc_text")
    e.texts[name] = f'static __device__ __noinline__ void {name}() {{ printf("%s", {c_string(text)}); }}\n'
    return tirx().Evaluate(tirx().call_extern(I32, name))


def print_value(e: Emitter, value: Value) -> None:
    """The elements in brackets, as NumPy groups them."""
    dtype, shape = value.tile.dtype, value.tile.shape
    show = printer(e, dtype)
    held = e.values[value]
    strides = row_strides(shape)
    total = 1
    for extent in shape:
        total *= extent
    for number in range(total):
        opened = sum(number % (stride * extent) == 0 for stride, extent in zip(strides, shape, strict=True))
        if number:
            e.emit(text_statement(e, ", "))
        if opened:
            e.emit(text_statement(e, "[" * opened))
        slot = number
        e.call(show, held.value if isinstance(held, Scalar) else e.held(held, slot))
        closed = sum((number + 1) % (stride * extent) == 0 for stride, extent in zip(strides, shape, strict=True))
        if closed:
            e.emit(text_statement(e, "]" * closed))


def printer(e: Emitter, dtype: DType) -> str:
    """A device function that prints an element."""
    name = f"vmc_show_{dtype.name}"
    kind = container(dtype)
    if kind in (F32, F64):
        e.texts[name] = inline("void", name, f"{'float' if kind == F32 else 'double'} a", 'printf("%.9g", (double)a);')
    elif dtype.is_int:
        signed = not dtype.is_uint
        c_type = "long long" if signed else "unsigned long long"
        through = ("(int)" if kind == U32 else "(long long)") if signed else ""
        pattern = "%lld" if signed else "%llu"
        e.texts[name] = inline("void", name, f"{C_TYPES[kind]} a", f'printf("{pattern}", ({c_type}){through}a);')
    else:
        e.texts[name] = inline("void", name, f"{C_TYPES[kind]} a", f'printf("{dtype.name}:0x%x", a);')
    return name


def lower_table(e: Emitter, op: Op) -> None:
    """The elements of a constant tile, from a constant array."""
    table, type = op.attrs["table"], op.result.tile
    name, kind = e.fresh_global("vmc_table"), container(type.dtype)
    codes = table.array().reshape(-1).tolist()
    signed = type.dtype.is_int and not type.dtype.is_uint
    if signed:
        codes = [code - (1 << type.dtype.width) if code >> (type.dtype.width - 1) else code for code in codes]
    carrier = U32 if type.dtype.width <= 32 else U64
    suffix = "ull" if carrier == U64 else "u"
    numbers = ", ".join(f"{code & ((1 << (32 if carrier == U32 else 64)) - 1)}{suffix}" for code in codes)
    c_type = C_TYPES[carrier]
    e.texts[name] = (
        f"static __device__ const {c_type} {name}_data[] = {{{numbers}}};\n"
        f"static __device__ __forceinline__ {c_type} {name}(int i) {{ return {name}_data[i]; }}\n"
    )

    def code_of(place: Expr) -> Expr:
        code = call(carrier, name, place)
        if kind == F32:
            return call(F32, "__uint_as_float", code)
        return call(F64, "__longlong_as_double", cast(code, I64)) if kind == F64 else code

    if type.rank == 0:
        e.define_scalar(op.result, code_of(const(0, I32)))
        return
    made = e.tile(type, op.result.name)
    count = len(codes)

    def element(slot: Expr) -> None:
        flat: Expr = const(0, I32)
        for line, stride in zip(made.registers.index(slot), row_strides(type.shape), strict=True):
            flat = binary("Add", flat, binary("Mul", expression(line), const(stride, I32)))
        inside = binary("LT", flat, const(count, I32))
        e.put(made.buffer, slot, code_of(tirx().Select(inside, flat, const(0, I32))))

    e.each(made.registers.slots, element)
    e.define(op.result, made)
