"""Every elementwise operation and every cast on every type, as PTX beside the reference machine; all of a type at once.

The quick run has a type of every kind, the slow one all of them.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.backends.cuda.execution import wrong
from tests.generators.ir_tables import ARITIES
from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import Access, Kernel, Module, TensorType, Value
from vmc.ir.storage import storage_bytes
from vmc.ir.types import ALL_DTYPES, DType, dtype

N = 96
KINDS = tuple(map(dtype, ("u1", "i5", "u32", "i64", "f16", "bf16", "f32", "f64")))
SOURCES = tuple(map(dtype, ("u4", "f6e3m2", "f16", "f64")))
OTHERS = [type for type in ALL_DTYPES if type not in KINDS]
COMPOSITE = {"isnan", "isinf", "isfinite", "sign", "copysign"}


class Program:
    """A kernel of one block that loads tiles and stores what is computed of them."""

    def __init__(self) -> None:
        self.params: list[Value] = []
        self.build = Builder()

    def load(self, type: DType) -> Value:
        memory = argument(TensorType(type, (N,), Access.IN), f"x{len(self.params)}")
        self.params.append(memory)
        zero = self.build.index(0)
        return self.build("load", memory, zero, sizes=(N,), steps=(1,), fill=0, inbounds=(True,))

    def store(self, value: Value) -> None:
        memory = argument(TensorType(value.tile.dtype, (N,), Access.OUT), f"y{len(self.params)}")
        self.params.append(memory)
        zero = self.build.index(0)
        self.build.many("store", memory, value, zero, sizes=(N,), steps=(1,), inbounds=(True,))

    def module(self) -> Module:
        block = argument(self.build.index(0).type, "b")
        body = self.build.region((block,))
        outer = Builder()
        outer.append(make_op("grid", [outer.index(1)], {}, [body]))
        return Module((Kernel("program", tuple(self.params), (), outer.region()),))


def check(program: Program, seed: int) -> None:
    module = program.module()
    rng = random.Random(seed)
    memories = [
        np.frombuffer(bytearray(rng.randbytes(storage_bytes(p.tensor, (N,)))), np.uint8) for p in program.params
    ]
    assert wrong(module, memories, {}) == []


def operations_on(type: DType) -> Program:
    program = Program()
    operands = [program.load(type) for _ in range(3)]
    for name, (types, arity) in ARITIES.items():
        if type not in types or name == "select" or name in COMPOSITE or name in EXPANDED:
            continue
        program.store(program.build(name, *operands[:arity]))
    condition = program.load(dtype("u1"))
    program.store(program.build("select", condition, *operands[:2]))
    return program


EXPANDED = {name for name in ARITIES if name not in COMPOSITE} - {
    "add", "sub", "mul", "div", "floordiv", "mod", "mulhi", "neg", "abs", "min", "max", "fma", "sqrt", "floor", "ceil",
    "trunc", "round", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "shl", "shr", "popcount", "clz",
    "ctz", "select",
}  # fmt: skip
"""Operations that become others before there is code for them."""


@pytest.mark.parametrize("type", KINDS, ids=str)
def test_every_operation_gives_the_bits_of_the_reference(type: DType) -> None:
    check(operations_on(type), 1)


@pytest.mark.slow
@pytest.mark.parametrize("type", OTHERS, ids=str)
def test_every_operation_on_every_type_gives_the_bits_of_the_reference(type: DType) -> None:
    check(operations_on(type), 2)


def casts_of(source: DType, targets: list[DType], rounding: str) -> Program:
    program = Program()
    value = program.load(source)
    noise = [program.load(dtype("u32"))] if rounding == "stochastic" else []
    for target in targets:
        program.store(program.build("cast", value, *noise, dtype=target, rounding=rounding, saturate=None))
    return program


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_casts_to_every_fourth_type_give_the_bits_of_the_reference(source: DType) -> None:
    check(casts_of(source, list(ALL_DTYPES[SOURCES.index(source) % 4 :: 4]), "nearest_even"), 3)


@pytest.mark.slow
@pytest.mark.parametrize("rounding", ["nearest_even", "toward_zero", "floor", "stochastic"])
@pytest.mark.parametrize("source", ALL_DTYPES, ids=str)
def test_casts_between_all_types_give_the_bits_of_the_reference(source: DType, rounding: str) -> None:
    check(casts_of(source, list(ALL_DTYPES), rounding), 4)
