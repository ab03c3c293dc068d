"""Elementwise lowerings on vectors: every lane is what the lowering gives for that element alone, bit for bit.

A `Case` becomes a function of two loops over the same codes, one of elements and one of vectors; a module holds many.
The vectors' machine code is looked at, too.
"""

from __future__ import annotations

import ctypes
import itertools
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from tests.backends.cpu.samples import sample
from tests.generators.ir_arguments import canonical
from vmc.backends import cpu
from vmc.backends.cpu import arith, casts
from vmc.backends.cpu.elements import I64, POINTER, constant, element_type, like, number, step_to, suffix, width_of
from vmc.backends.cpu.elementwise import choose, is_liftable
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.executable import jit
from vmc.backends.cpu.plan import Plan
from vmc.backends.cpu.target import Machine, machine, optimize
from vmc.ir.core import Kernel, Region, TileType
from vmc.ir.ops import OPS
from vmc.ir.ops.arith import Elementwise, is_arithmetic
from vmc.ir.ops.math import Composite
from vmc.ir.types import ALL_DTYPES, DType, dtype

LANES = 16
COUNT = 1024
U1, U32 = dtype("u1"), dtype("u32")
ARITHMETIC = [type for type in ALL_DTYPES if is_arithmetic(type)]
WIDE = [type for type in ALL_DTYPES if type.width > 8]
TELLING = [*WIDE, *map(dtype, "u1 i3 u4 i8 u8 f4e2m1 f6e3m2 f8e4m3 f8e5m2 f8e8m0 f8e5m3u".split())]
ROUNDINGS = ("nearest_even", "toward_zero", "floor")
ON_X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of x86-64")

_names = itertools.count()


@dataclass(frozen=True)
class Case:
    """A lowering under test and the dtypes of its operands and its result."""

    name: str
    operands: tuple[DType, ...]
    result: DType
    lower: Callable[..., ir.Value]


# What is tested


def operation(name: str, type: DType) -> Case:
    definition = OPS[name]
    assert isinstance(definition, (Elementwise, Composite))
    (result,) = definition.infer([TileType(type)] * definition.arity, {})
    assert isinstance(result, TileType)

    def lower(e: Emitter, *elements: ir.Value) -> ir.Value:
        return arith.step(e, name, type, *elements)

    return Case(f"{name} {type}", (type,) * definition.arity, result.dtype, lower)


def entries(type: DType) -> list[str]:
    """The entries of a type's table, but `fma`, which f16 and bf16 do not have."""
    return [name for name in (arith.INTEGER if type.is_int else arith.FLOATING) if type in OPS[name].legal_types()]


def operations(type: DType) -> list[Case]:
    return [operation(name, type) for name in entries(type)]


def cast(source: DType, target: DType, rounding: str, saturate: bool | None) -> Case:
    def lower(e: Emitter, element: ir.Value, noise: ir.Value | None = None) -> ir.Value:
        return casts.cast(e, source, target, casts.Mode(rounding, saturate, noise), element)

    noise = (U32,) if rounding == "stochastic" else ()
    return Case(f"cast {source} to {target} {rounding} {saturate}", (source, *noise), target, lower)


def legal(source: DType, target: DType, saturate: bool | None) -> bool:
    return saturate is not False or target.has_nan or (source.is_int and target.is_int)


def casts_of(
    source: DType, targets: Sequence[DType], rounding: str = "nearest_even", saturate: bool | None = None
) -> list[Case]:
    return [cast(source, target, rounding, saturate) for target in targets if legal(source, target, saturate)]


def movements(type: DType) -> list[Case]:
    """The operations that keep bit patterns."""

    def bitcast(target: DType) -> Case:
        return Case(f"bitcast {type} {target}", (type,), target, lambda e, a: casts.bitcast(e, type, target, a))

    same = [other for other in ALL_DTYPES if other.width == type.width and not other.unused_bits]
    return [Case(f"select {type}", (U1, type, type), type, choose), *map(bitcast, [] if type.unused_bits else same)]


# How it is built and run


def emitter(module: ir.Module, name: str, arguments: int, target: Machine) -> Emitter:
    """The emitter of a new function of pointers."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * arguments), name)
    set.add(function.attributes, f'"prefer-vector-width"="{8 * target.vector_bytes}"')
    return Emitter(module, function, Kernel("test", (), (), Region((), ())), Plan(Region((), ())), target)


def new_module(target: Machine) -> ir.Module:
    module = ir.Module(f"lifted{next(_names)}")
    module.triple, module.data_layout = target.triple, target.data_layout
    return module


def emit_at(e: Emitter, case: Case, place: ir.Value, out: ir.Value, lanes: int | None) -> None:
    """Loads the operands at a place of their arrays and stores the result at the same place of `out`."""

    def held(type: DType) -> ir.Type:
        element = element_type(type)
        return ir.VectorType(element, lanes) if lanes else element

    def address(array: ir.Value, type: DType) -> ir.Value:
        return step_to(e.b, array, place, element_type(type))

    given = zip(e.function.args[2:], case.operands, strict=True)
    operands = [e.b.load(address(array, type), typ=held(type), align=1) for array, type in given]
    result = case.lower(e, *operands)
    assert result.type == held(case.result)
    e.b.store(result, address(out, case.result), align=1)


def emit_both(module: ir.Module, name: str, case: Case, target: Machine) -> None:
    """A function that fills its first argument by elements and its second by vectors."""
    e = emitter(module, name, 2 + len(case.operands), target)
    for out, lanes in zip(e.function.args, (None, LANES), strict=False):
        e.each(
            e.index(0),
            e.index(COUNT),
            lambda place, out=out, lanes=lanes: emit_at(e, case, place, out, lanes),  # type: ignore[misc]
            step=lanes or 1,
        )
    e.b.ret_void()


def arrays(case: Case) -> list[np.ndarray[Any, Any]]:
    """The operands' elements as they lie in memory."""
    return [type.from_codes(sample(type, COUNT, f"lifted{place}")) for place, type in enumerate(case.operands)]


def check(cases: Sequence[Case], **options: Any) -> None:
    """Runs all cases, compiled together without LLVM's own vectorizer."""
    target = machine(cpu.Options(**{"opt_level": 1, **options}))
    module = new_module(target)
    names = [f"{module.name}.{place}" for place in range(len(cases))]
    for name, case in zip(names, cases, strict=True):
        emit_both(module, name, case, target)
    library = llvm.JITLibraryBuilder().add_object_img(target.llvm_machine.emit_object(optimize(target, str(module))))
    for name in names:
        library.export_symbol(name)
    linked = library.add_current_process().link(jit(), module.name)
    different = [case.name for name, case in zip(names, cases, strict=True) if not agree(case, linked[name])]
    assert not different, f"vectors give something else: {'; '.join(different)}"


def agree(case: Case, function: int) -> bool:
    """Whether the function leaves the same bits in both results; any NaN equals any NaN."""
    operands = arrays(case)
    results = [np.zeros(COUNT, case.result.array_dtype) for _ in range(2)]
    pointers = [array.ctypes.data for array in (*results, *operands)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(function)(*pointers)
    scalar, vector = (canonical(array.view(case.result.code_dtype), case.result) for array in results)
    return np.array_equal(scalar, vector)


def instructions(case: Case, target: Machine) -> list[str]:
    """The machine code of one turn on vectors, return included."""
    module = new_module(target)
    e = emitter(module, "turn", 2 + len(case.operands), target)
    emit_at(e, case, e.index(0), e.function.args[0], LANES)
    e.b.ret_void()
    text = str(target.llvm_machine.emit_assembly(optimize(target, str(module))))
    return [line.strip() for line in text.splitlines() if line.startswith("\t") and not line.startswith("\t.")]


def takes_apart(code: Sequence[str]) -> bool:
    """Whether machine code moves single lanes between registers, or calls functions."""
    return any(line.startswith(("vpextr", "vpinsr", "vmovd\t", "vmovq\t", "call")) for line in code)


# Results


@pytest.mark.parametrize("type", ARITHMETIC, ids=str)
def test_every_operation_on_vectors_is_that_on_elements(type: DType) -> None:
    check(operations(type))


@pytest.mark.parametrize("type", ALL_DTYPES, ids=str)
def test_select_and_bitcast_move_vectors(type: DType) -> None:
    check(movements(type))


@pytest.mark.parametrize("source", TELLING, ids=str)
def test_casts_of_vectors_are_those_of_elements(source: DType) -> None:
    check(casts_of(source, TELLING))


@pytest.mark.parametrize("source", ["i4", "u8", "i32", "u64", "f16", "bf16", "f32", "f64", "f8e4m3", "f8e8m0"])
def test_casts_of_vectors_take_every_rounding_and_saturation(source: str) -> None:
    targets = [dtype(name) for name in ("i8", "u32", "f16", "f64", "f4e2m1", "f8e5m2", "f8e8m0")]
    modes = itertools.product((*ROUNDINGS, "stochastic"), (None, True, False))
    check([case for mode in modes for case in casts_of(dtype(source), targets, *mode)])


def test_small_floats_in_vectors_decode_and_encode_like_elements() -> None:
    small = [type for type in ALL_DTYPES if type.width <= 8 and type not in TELLING]
    check([case for type in small for case in (*casts_of(type, [dtype("f32")]), *casts_of(dtype("f32"), [type]))])


@ON_X86
def test_vectors_do_without_conversions_of_half() -> None:
    types = [dtype(name) for name in ("f16", "i8", "f32", "f64", "f8e5m2")]
    pairs = [case for type in types for case in casts_of(type, types)]
    check([*pairs, *operations(dtype("f16"))], cpu="x86-64-v2")


@pytest.mark.slow
@pytest.mark.parametrize("saturate", [None, True, False])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("source", ALL_DTYPES, ids=str)
def test_casts_of_vectors_agree_on_every_pair_in_every_mode(
    source: DType, rounding: str, saturate: bool | None
) -> None:
    check(casts_of(source, ALL_DTYPES, rounding, saturate))


# Machine code


@ON_X86
@pytest.mark.parametrize(
    ("source", "target", "most"),
    [
        ("u4", "f32", 2),
        ("u8", "f32", 2),
        ("i8", "f32", 2),
        ("i32", "f32", 1),
        ("f32", "u8", 6),
        ("f32", "i8", 8),
        ("f32", "i32", 11),
        ("f16", "f32", 1),
        ("f32", "f16", 1),
        ("bf16", "f32", 2),
        ("f32", "bf16", 10),
        ("f4e2m1", "f32", 17),
        ("f8e4m3", "f32", 18),
    ],
)
def test_common_casts_of_a_register_are_a_few_instructions(source: str, target: str, most: int) -> None:
    """`most` leaves out the store and the return of the function."""
    case = cast(dtype(source), dtype(target), "nearest_even", None)
    code = instructions(case, machine(cpu.Options(cpu="x86-64-v4")))
    code = [line for line in code if line.split()[0] not in ("vzeroupper", "retq")]
    assert len(code) <= most + 1 and not takes_apart(code), "\n".join(code)


@ON_X86
@pytest.mark.parametrize("name", ["i4", "u8", "i16", "u32", "i64", "u64", "f16", "bf16", "f32", "f64"])
def test_what_is_liftable_is_not_taken_apart(name: str) -> None:
    """And what is not liftable is: the predicate forbids nothing that vectors can do."""
    target = machine(cpu.Options(cpu="x86-64-v4"))
    for entry in entries(dtype(name)):
        apart = takes_apart(instructions(operation(entry, dtype(name)), target))
        assert is_liftable(entry, [dtype(name)]) is not apart, entry


@ON_X86
@pytest.mark.parametrize("rounding", [*ROUNDINGS, "stochastic"])
def test_no_cast_is_taken_apart(rounding: str) -> None:
    target = machine(cpu.Options(cpu="x86-64-v4"))
    types = [dtype(name) for name in ("i4", "u8", "i32", "u64", "f16", "bf16", "f32", "f64", "f8e4m3", "f8e8m0")]
    for case in (case for source in types for case in casts_of(source, types, rounding)):
        assert not takes_apart(instructions(case, target)), case.name


def test_what_is_not_elementwise_is_not_liftable() -> None:
    assert not is_liftable("dot", [dtype("f32"), dtype("f32")])
    assert not is_liftable("fma", [dtype("i32")])
    assert is_liftable("cast", [dtype("f4e2m1")])


# The vocabulary


def test_types_of_vectors_are_named_and_counted_by_lane() -> None:
    vector = ir.VectorType(ir.FloatType(), 16)
    assert like(vector, I64) == ir.VectorType(I64, 16)
    assert like(ir.FloatType(), I64) == I64
    assert (suffix(vector), suffix(ir.HalfType()), suffix(ir.VectorType(I64, 2))) == ("v16f32", "f16", "v2i64")
    assert width_of(ir.VectorType(I64, 2)) == width_of(I64) == 64
    assert str(number(ir.VectorType(I64, 2), 3)) == "<2 x i64> <i64 3, i64 3>"


@pytest.mark.parametrize(("name", "code"), [("f16", 0x3C00), ("f16", 0x7E01), ("i4", 9), ("f8e4m3", 0x42), ("f64", 7)])
def test_a_constant_fills_a_vector(name: str, code: int) -> None:
    type = dtype(name)

    def lower(e: Emitter, element: ir.Value) -> ir.Value:
        return constant(type, code, LANES if isinstance(element.type, ir.VectorType) else None)

    check([Case(name, (type,), type, lower)])
