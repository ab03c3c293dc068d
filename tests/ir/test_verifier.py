"""What the verifier refuses: every rule with a kernel that breaks it, the operation's name, and its line."""

from __future__ import annotations

import time

import pytest

from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import (
    Access,
    IRError,
    Kernel,
    Level,
    Module,
    Op,
    Region,
    Space,
    TensorType,
    TileType,
    Value,
    attributes,
)
from vmc.ir.dims import Sym
from vmc.ir.opdef import OpDef
from vmc.ir.ops import OPS
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.ir.verifier import verify

I64, F32 = TileType(dtype("i64")), dtype("f32")
X = argument(TensorType(F32, (Sym("N"),)), "x")
Y = argument(TensorType(F32, (Sym("N"),), Access.OUT), "y")
SLICE = {"sizes": (4,), "steps": (1,), "inbounds": (False,)}
HERE = Span("bad.vmc", 7, 3, 7, 9)


class Block(Builder):
    """A builder that can also append an operation which `infer` would not let pass."""

    def raw(self, name: str, /, *operands: Value, results=(), regions=(), **attrs) -> Op:
        op = Op(OPS[name], operands, tuple(map(Value, results)), attributes(**attrs), tuple(regions), HERE)
        self.append(op)
        return op


def kernel(
    body=lambda build, block: None, preamble=lambda build: None, level=Level.TILE, symbols=("N",), params=(X, Y)
):
    block, outside = Block(), Block()
    index = argument(I64, "block")
    body(block, index)
    preamble(outside)
    region = block.region((index,))
    outside.many("grid", outside.index(2), regions=(region,))
    return Kernel("k", params, symbols, outside.region(), level=level)


def shared(*shape):
    return TensorType(F32, shape, Access.INOUT, Space.SHARED)


def refused(kernel, message, line=7):
    with pytest.raises(IRError, match=message) as caught:
        verify(kernel)
    assert caught.value.span.line == line
    assert line == 0 or str(caught.value).startswith("bad.vmc:7:3: ")


def test_a_well_formed_kernel_passes():
    def body(build, block):
        tile = build("load", X, block, fill=0, **SLICE)
        build.many("store", Y, build("add", tile, tile), block, **SLICE)

    verify(Module((kernel(body),)))


def test_a_value_that_is_defined_nowhere_is_refused():
    stranger = argument(TileType(F32, (4,)), "t")
    refused(
        kernel(lambda b, i: b.raw("neg", stranger, results=[stranger.type])), r"neg: operand 0 \(t\) is not defined"
    )


def test_a_value_used_before_its_definition_is_refused():
    def body(build, block):
        late = make_op("constant", (), {"type": TileType(F32), "code": 0})
        build.raw("neg", late.result, results=[late.result.type])
        build.append(late)

    refused(kernel(body), "neg: operand 0 is not defined")


def test_a_value_of_an_inner_region_is_out_of_sight_outside_it():
    def body(build, block):
        index, inner = argument(I64), Builder()
        hidden = inner.index(3)
        region = inner.region((index,))
        build.many("for", block, block, build.index(1), regions=(region,), stages=1, unroll=1)
        build.raw("neg", hidden, results=[I64])

    refused(kernel(body), "neg: operand 0 is out of sight")


def test_a_value_defined_twice_is_refused():
    def body(build, block):
        op = build.raw("neg", block, results=[I64])
        build.append(op)

    refused(kernel(body), "the result of neg is defined a second time")


def test_an_argument_that_two_regions_share_is_refused():
    def body(build, block):
        build.span = HERE
        inner = Builder()
        region = inner.region((block,))
        build.raw("for", block, block, block, regions=(region,), stages=1, unroll=1)

    refused(kernel(body), "for: the region's argument block is defined a second time")


WRONG_RESULTS = [
    ("neg", [TileType(F32)], "neg: has a result of type f32, and should have i64"),
    ("neg", [TileType(dtype("i64"), (2,))], r"has a result of type i64\[2\], and should have i64"),
    ("neg", [], "neg: has 0 results, and should have 1"),
    ("neg", [I64, I64], "neg: has 2 results, and should have 1"),
]


@pytest.mark.parametrize(("name", "results", "message"), WRONG_RESULTS)
def test_results_of_other_types_than_inferred_are_refused(name, results, message):
    refused(kernel(lambda build, block: build.raw(name, block, results=results)), message)


def test_operands_that_the_definition_does_not_take_are_refused():
    refused(kernel(lambda build, block: build.raw("sqrt", block, results=[I64])), "sqrt is not defined on i64")
    refused(kernel(lambda build, block: build.raw("add", block, results=[I64])), "add takes 2 operands, and has 1")


WRONG_ATTRS = [
    ({}, "iota needs the attribute n"),
    ({"n": 2.0}, "the attribute n of iota must be int, and is 2.0"),
    ({"n": True}, "the attribute n of iota must be int, and is True"),
    ({"n": 2, "m": 3}, "iota has no attribute m"),
]


@pytest.mark.parametrize(("attrs", "message"), WRONG_ATTRS)
def test_attributes_follow_the_schema(attrs, message):
    refused(kernel(lambda b, i: b.raw("iota", results=[TileType(dtype("i32"), (2,))], **attrs)), message)


def test_a_definition_outside_the_table_is_refused():
    class Strange(OpDef):
        name = "strange"

    def body(build, block):
        build.append(Op(Strange(), (), (), attributes(), (), HERE))

    refused(kernel(body), "strange: no operation of this definition")


def test_a_region_that_does_not_end_in_yield_is_refused():
    def body(build, block):
        inner = Builder(HERE)
        inner.index(1)
        index = argument(I64)
        open_region = Region((index,), tuple(inner.ops))
        build.raw("for", block, block, block, regions=(open_region,), stages=1, unroll=1)

    refused(kernel(body), "for: a region does not end in yield")


def test_a_yield_in_the_middle_is_refused():
    refused(kernel(lambda build, block: build.raw("yield")), "yield: only the last operation of a region yields")


def test_regions_where_none_belong_are_refused():
    refused(kernel(lambda b, i: b.raw("neg", i, results=[I64], regions=[Builder().region()])), "neg: has no regions")


def test_region_arguments_and_yields_have_the_loop_s_types():
    def body(yields):
        def build_loop(build, block):
            index, carried, inner = argument(I64), argument(I64), Builder()
            region = inner.region((index, carried), yields(inner))
            build.raw("for", block, block, block, block, regions=(region,), results=[I64], stages=1, unroll=1)

        return build_loop

    refused(kernel(body(lambda inner: ())), r"values carried by the loop have the types \(\), expected \(i64\)")
    refused(
        kernel(body(lambda inner: (inner.constant("f32", 0),))), r"values carried by the loop have the types \(f32\)"
    )


def test_a_store_to_an_input_is_refused():
    def body(build, block):
        build.raw("store", X, build.constant("f32", 0, (4,)), block, **SLICE)

    refused(kernel(body), "store to a tensor that is an input")


def test_effects_before_the_grid_are_refused():
    def preamble(build):
        build.span = HERE
        build.many("print", text="hello")

    refused(kernel(preamble=preamble), "print: not allowed before the grid")


def test_a_kernel_ends_with_its_only_grid():
    def inner_grid(build, block):
        build.raw("grid", block, regions=[Builder().region((argument(I64),))])

    refused(kernel(inner_grid), "grid: a kernel has one grid, at its end")

    def outer_grid(build):
        inner_grid(build, build.index(1))

    refused(kernel(preamble=outer_grid), "grid: a kernel has one grid, at its end")
    empty = Kernel("k", (), (), Builder().region(), span=HERE)
    refused(empty, "k: the last operation of a kernel must be grid")


def test_symbols_are_declared_once():
    refused(kernel(symbols=()), "parameter x has an extent of the undeclared symbol N", line=0)
    refused(kernel(symbols=("N", "N")), "the symbol N is declared twice", line=0)
    refused(kernel(lambda b, i: b.raw("symbol", results=[I64], name="M")), "symbol: M is not declared")


def test_parameters_are_tensors_and_scalars():
    tile = argument(TileType(F32, (4,)), "t")
    refused(kernel(params=(X, Y, tile)), "parameter t is neither a tensor nor a scalar", line=0)
    refused(kernel(params=(X, Y, X)), "parameter x is defined a second time", line=0)


def test_tiles_have_extents_of_at_least_one():
    def body(build, block):
        build.raw("constant", type=TileType(F32, (0,)), code=0, results=[TileType(F32, (0,))])

    refused(kernel(body), "constant is a tile with an extent below 1")


def test_two_kernels_of_one_name_are_refused():
    refused(Module((kernel(), kernel())), "two kernels are called k", line=0)


def copy(build, buffer, block):
    zero = build.index(0)
    build.raw(
        "copy_async", buffer, X, block, zero, sizes=(4,), steps=(1,), fill=0, inbounds=(False,), target_sizes=(4,)
    )


def test_a_copy_is_committed():
    refused(kernel(lambda b, i: copy(b, b("alloc", type=shared(4)), i)), "copy_async: this copy is never committed")


def test_a_copy_is_waited_for():
    def body(build, block):
        copy(build, build("alloc", type=shared(4)), block)
        build.many("commit_group")

    refused(kernel(body), "copy_async: this copy is never waited for")


@pytest.mark.parametrize("committed", [False, True])
def test_the_target_of_a_copy_is_not_used_before_the_wait(committed):
    def body(build, block):
        buffer = build("alloc", type=shared(4))
        copy(build, buffer, block)
        build.many("commit_group" if committed else "barrier")
        build.raw("load", buffer, block, fill=0, results=[TileType(F32, (4,))], **SLICE)
        build.many("commit_group")
        build.many("wait_group", pending=0)

    refused(kernel(body), "load: a tensor is used before the copy to it was waited for")


def test_a_pipelined_loop_passes():
    def body(build, block):
        buffer = build("alloc", type=shared(4))
        copy(build, buffer, block)
        build.many("commit_group")
        index, inner = argument(I64), Block()
        inner.many("wait_group", pending=0)
        copy(inner, buffer, index)
        inner.many("commit_group")
        inner("load", buffer, index, fill=0, **SLICE)
        build.many("for", block, block, build.index(1), regions=(inner.region((index,)),), stages=2, unroll=1)

    verify(kernel(body))


def test_at_the_access_level_every_tile_has_a_layout():
    def body(build, block):
        build.raw("constant", type=TileType(F32, (4,)), code=0, results=[TileType(F32, (4,))])

    verify(kernel(body))
    refused(kernel(body, level=Level.ACCESS), "the result of constant has no layout")


def test_verifying_takes_little_time():
    def body(build, block):
        value = block
        for _ in range(3000):
            value = build("add", value, block)

    big = kernel(body)
    start = time.perf_counter()
    verify(big)
    assert time.perf_counter() - start < 1.0
