"""Text that is parsed back is the module it came from, for random modules and for every kind of attribute."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generators.ir_modules import generate
from vmc.ir.builder import Builder, argument
from vmc.ir.core import (
    Access,
    Attr,
    IRError,
    Kernel,
    Level,
    Module,
    Op,
    Region,
    Space,
    Storage,
    Table,
    TensorType,
    TileType,
    Value,
)
from vmc.ir.dims import OPERATORS, Dim, DimOp, Sym
from vmc.ir.layout import col_major, local, mma_fragment, packed, row_major, split, strided, swizzle
from vmc.ir.opdef import OpDef
from vmc.ir.ops import OPS
from vmc.ir.span import Span
from vmc.ir.text import parse_module, parse_storage, print_module, storage_text, structurally_equal
from vmc.ir.text.attributes import AttributeReader
from vmc.ir.text.printer import attr_text, type_text
from vmc.ir.text.structure import attrs_equal
from vmc.ir.types import ALL_DTYPES, dtype

DTYPES = st.sampled_from(ALL_DTYPES)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
SHAPES = st.lists(st.integers(1, 99), max_size=3).map(tuple)
LAYOUTS = st.sampled_from(
    [
        row_major(4, 8, bits=4),
        col_major(3, 5),
        strided((4, 4), (40, 3), bits=3),
        packed(3, 32),
        split(16, 4),
        local(2, 1).spatial(8, 4).local(1, 2),
        swizzle(row_major(64, 64, bits=16), 3, 7, 10),
        mma_fragment("m16n8k16", "a"),
    ]
)
TILES = st.builds(TileType, DTYPES, SHAPES, st.none() | LAYOUTS)
STORAGES = st.builds(Storage, SHAPES, LAYOUTS, st.integers(1, 9999), st.sampled_from([(), (1, 0), (0, 2, 1)]))
DIMS: st.SearchStrategy[Dim] = st.recursive(
    st.integers(-99, 99) | NAMES.map(Sym), lambda inner: st.builds(DimOp, st.sampled_from(OPERATORS), inner, inner)
)
TENSORS = st.builds(
    TensorType,
    DTYPES,
    st.lists(DIMS, max_size=3).map(tuple),
    st.sampled_from(Access),
    st.sampled_from(Space),
    st.none() | STORAGES,
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    element, shape = draw(DTYPES), draw(st.lists(st.integers(1, 4), max_size=2))
    count = int(np.prod(shape, dtype=int))
    codes = draw(st.lists(st.integers(0, 2**element.width - 1), min_size=count, max_size=count))
    return Table.of(element, np.array(codes, element.code_dtype).reshape(shape))


FLOATS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]) | st.floats()
ATTRS: st.SearchStrategy[Attr] = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text() | DTYPES | LAYOUTS | TILES | TENSORS | tables(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("locations", [False, True])
def test_a_random_module_survives_printing_and_parsing(seed: int, locations: bool) -> None:
    module = generate(seed, size=5 + seed)
    text = print_module(module, locations=locations)
    again = parse_module(text)
    assert structurally_equal(module, again, spans=locations)
    assert print_module(again, locations=locations) == text


@given(ATTRS)
def test_every_attribute_keeps_its_type_and_value(attr: Attr) -> None:
    text = attr_text(attr)
    read = AttributeReader(text, "<attr>").attr()
    assert attrs_equal(read, attr)
    assert attr_text(read) == text


@given(TILES | TENSORS)
def test_every_type_is_read_back(type: TileType | TensorType) -> None:
    assert AttributeReader(type_text(type), "<type>").type() == type


@given(STORAGES)
def test_a_storage_is_read_back_and_nothing_may_follow_it(storage: Storage) -> None:
    text = storage_text(storage)
    assert parse_storage(text) == storage and hash(parse_storage(text)) == hash(storage)
    with pytest.raises(IRError, match="expected the end"):
        parse_storage(f"{text} )")


@given(st.lists(st.text(max_size=6), min_size=1, max_size=12))
@settings(max_examples=200)
def test_any_name_hints_give_text_that_is_stable(hints: list[str]) -> None:
    build = Builder()
    params = [argument(TileType(dtype("i32")), hint) for hint in hints]
    total = params[0]
    for param in params:
        total = build("add", total, param)
    module = Module((Kernel("k", tuple(params), (), build.region((), (total,))),))
    text = print_module(module)
    again = parse_module(text)
    assert structurally_equal(module, again)
    assert print_module(again) == text


@given(st.lists(st.tuples(st.text(), st.text()), max_size=3), st.lists(st.text(), max_size=3), st.text(), st.text())
def test_a_kernels_head_is_read_back(bindings: list[tuple[str, str]], symbols: list[str], name: str, file: str) -> None:
    span = Span(file, 3, 4, 5, 6)
    body = Builder(span).region()
    kernel = Kernel(name, (), tuple(symbols), body, True, Level.ACCESS, tuple(bindings), span)
    text = print_module(Module((kernel,)), locations=True)
    again = parse_module(text)
    assert structurally_equal(Module((kernel,)), again, spans=True)
    assert print_module(again, locations=True) == text


def test_spans_of_other_files_and_unknown_spans_are_kept() -> None:
    near, far = Span("a.vmc", 1, 2, 3, 4), Span('b "c".vmc', 5, 6, 7, 8)
    ops = tuple(Op(OPS["barrier"], (), (), span=span) for span in (near, far))
    body = Region((), (*ops, *Builder().region().ops))
    module = Module((Kernel("k", (), (), body, span=near),))
    again = parse_module(print_module(module, locations=True))
    assert [op.span for op in again.kernels[0].body.ops] == [op.span for op in body.ops]


def test_operations_without_a_location_get_their_place_in_the_text() -> None:
    module = parse_module("kernel k() {\n  barrier\n  yield\n}\n", "k.ir")
    assert module.kernels[0].body.ops[0].span == Span("k.ir", 2, 3, 2, 10)


def test_comments_and_line_breaks_change_nothing() -> None:
    text = "kernel k(%x: i32) {\n  %y = add %x, %x : i32\n  yield %y\n}\n"
    loose = "kernel k (%x : i32)# head\n{ %y = add %x,\n # both\n %x : i32 yield\t%y }"
    assert print_module(parse_module(loose)) == text


def test_a_module_of_no_kernels_is_empty_text() -> None:
    assert print_module(Module(())) == ""
    assert parse_module(" # nothing\n").kernels == ()


def test_every_definition_prints_by_the_same_rules() -> None:
    assert all(isinstance(definition, OpDef) and definition.name.isidentifier() for definition in OPS.values())


def test_values_of_one_name_print_apart() -> None:
    args = (Value(TileType(dtype("i32")), "x"), Value(TileType(dtype("i32")), "x"))
    build = Builder()
    total = build("add", *args)
    kernel = Kernel("k", args, (), build.region((), (total,)))
    assert "add %x, %x_1" in print_module(Module((kernel,)))
