"""Products whose factors provably are small integers become products of bytes, and keep every bit.

What may be rewritten is decided here a second time, from the types' values as fractions.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ir.passes.evaluation import results
from vmc.backends import interp
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Kernel, Module, Table, TileType, Value, walk
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes import canonicalize, cse, dce, integers, pipeline, run
from vmc.ir.text import print_module
from vmc.ir.types import ALL_SMALL, DType, dtype, pack
from vmc.lang import compile_kernel

SOURCE = Path(__file__).parents[3] / "examples" / "matmul_wa8.vmc"
M, K, N = 3, 32, 5


def fractions(type: DType) -> list[Fraction] | None:
    """Every value of a small type; None where one is no number."""
    values = type.decode(type.codes()).astype(np.float64)
    return [Fraction(value) for value in values] if np.isfinite(values).all() else None


def span(type: DType) -> int | None:
    """How many units the largest value of a type lies above the least, in units that make all values integers."""
    values = fractions(type)
    if values is None:
        return None
    unit = max(value.denominator for value in values)
    return int((max(values) - min(values)) * unit)


def products(kernel: Kernel) -> list[str]:
    """The types of the factors of every product."""
    dots = [op for op in walk(kernel.body) if op.name in DOTS]
    return [" ".join(operand.tile.dtype.name for operand in op.operands[:2]) for op in dots]


def weighted(type: DType, wide: str, start: float | None = 0.0) -> Kernel:
    """cast(q i8) @ (cast(w) - zero point), with the sums starting from a constant or from a parameter."""
    build = Builder()
    q, w = argument(TileType(dtype("i8"), (M, K)), "q"), argument(TileType(type, (K, N)), "w")
    target = dtype(wide)
    sums = dtype("f32") if target.is_float else dtype("i32")
    c = argument(TileType(sums, (M, N)), "c")
    b = build.cast(w, target)
    if type.zero_point:
        b = build("sub", b, build.constant(target, type.zero_point, (K, N)))
    params = (q, w) if start is not None else (q, w, c)
    first = build.constant(sums, start, (M, N)) if start is not None else c
    return Kernel("k", params, (), build.region((), (build("dot", build.cast(q, target), b, first),)))


def rewritten(kernel: Kernel) -> Kernel:
    return run(Module((kernel,)), (integers,), verify=False).kernels[0]


def tiles(kernel: Kernel, seed: int) -> list[Any]:
    """Random tiles in which every code of a small type occurs, for parameters of other types small integers."""
    rng = np.random.default_rng(seed)
    return [random_tile(param, rng) for param in kernel.params]


def random_tile(param: Value, rng: np.random.Generator) -> Any:
    type, shape = param.tile.dtype, param.tile.shape
    if type.width > 8:
        return type.from_codes(type.encode(rng.integers(-999, 1000, shape).astype(np.float64)))
    codes = np.resize(rng.permutation(1 << type.width), shape).astype(type.code_dtype)
    return type.from_codes(rng.permuted(codes, axis=0))


def assert_same(kernel: Kernel, after: Kernel, seeds: int = 3) -> None:
    for seed in range(seeds):
        arguments = tiles(kernel, seed)
        for before, found in zip(results(kernel, arguments), results(after, arguments), strict=True):
            np.testing.assert_array_equal(before, found, err_msg=print_module(Module((after,))))


@pytest.mark.parametrize("type", ALL_SMALL, ids=str)
@pytest.mark.parametrize("start", [0.0, None])
def test_a_float_product_with_a_small_type_keeps_every_bit(type: DType, start: float | None) -> None:
    kernel = weighted(type, "f32", start)
    after = rewritten(kernel)
    width = span(type)
    expected = ["f32 f32"] if width is None or width > 65535 else ["i8 u8"] * (1 + (width > 255))
    assert products(after) == expected
    assert len(after.notes) == (expected != ["f32 f32"])
    assert_same(kernel, after)


@pytest.mark.parametrize("type", [type for type in ALL_SMALL if type.is_int], ids=str)
@pytest.mark.parametrize("wide", ["i8", "i16"])
@pytest.mark.parametrize("start", [0.0, None])
def test_an_integer_product_with_a_small_type_keeps_every_bit(type: DType, wide: str, start: float | None) -> None:
    kernel = weighted(type, wide, start)
    after = rewritten(kernel)
    assert products(after) == ["i8 u8"]
    assert_same(kernel, after)


@pytest.mark.parametrize("type", [type for type in ALL_SMALL if type.width in (3, 4, 6)], ids=str)
def test_a_small_type_on_the_left_is_bytes_where_its_integers_are(type: DType) -> None:
    build = Builder()
    a, b = argument(TileType(type, (M, K))), argument(TileType(dtype("u4"), (K, N)))
    dot = build("dot", build.cast(a, "f32"), build.cast(b, "f32"), build.constant("f32", 0, (M, N)))
    kernel = Kernel("k", (a, b), (), build.region((), (dot,)))
    values = fractions(type)
    assert values is not None
    unit = max(value.denominator for value in values)
    fits = all(-128 <= value * unit <= 127 for value in values)
    assert products(rewritten(kernel)) == (["i8 u8"] if fits else ["f32 f32"])
    assert_same(kernel, rewritten(kernel))


@pytest.mark.parametrize("type", ["u1", "u3", "u4", "u8", "i2", "i5", "i8", "f4e2m1", "f6e3m2", "f8e4m3", "f8e3m4"])
def test_the_example_leaves_the_same_memory_in_every_type(type: str) -> None:
    bindings: dict[str, DType | int] = {"T": dtype(type), "BM": 8, "BN": 16, "G": 32}
    kernel = compile_kernel(SOURCE.read_text(), str(SOURCE), None, {**bindings}).kernel
    without = run(
        Module((kernel,)), pipeline("cpu", frozenset("w")), verify=True, skip=frozenset(["integers"])
    ).kernels[0]
    after = run(Module((kernel,)), pipeline("cpu", frozenset("w")), verify=True).kernels[0]
    assert ("i8 u8" in products(after)) == (type != "f8e4m3")
    m, k, n = 5, 77, 21
    rng = np.random.default_rng(4)
    x = rng.standard_normal((m, k)).astype(np.float16)
    scale = rng.uniform(0.5, 1.0, (-(-k // 32), n)).astype(np.float16)
    codes = rng.integers(0, 1 << dtype(type).width, (k, n)).astype(np.uint8)
    found = []
    for each in (kernel, without, after):
        y = np.zeros(m * n * 2, np.uint8)
        memory = [np.array(pack(codes, type)), *(array.reshape(-1).view(np.uint8).copy() for array in (x, scale))]
        interp.run(each, [memory[1], memory[0], memory[2], y], {"M": m, "K": k, "N": n})
        found.append(y)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("type", [type for type in ALL_SMALL if type.is_int], ids=str)
@pytest.mark.parametrize("name", ["add", "sub"])
@pytest.mark.parametrize("wide", ["i16", "f32"])
def test_a_number_of_each_column_is_taken_out_of_the_right_factor(type: DType, name: str, wide: str) -> None:
    build = Builder()
    q, w, z = (
        argument(TileType(dtype("i8"), (M, K))),
        argument(TileType(type, (K, N))),
        argument(TileType(type, (N,))),
    )
    column = build("broadcast", build.cast(z, wide), shape=(K, N))
    b = build.cast(build(name, build.cast(w, wide), column), "f32")
    dot = build("dot", build.cast(q, "f32"), b, build.constant("f32", 0, (M, N)))
    kernel = Kernel("k", (q, w, z), (), build.region((), (dot,)))
    after = rewritten(kernel)
    assert products(after) == ["i8 u8"]
    (cleaned,) = run(Module((after,)), (dce,)).kernels
    shapes = {op.result.tile.shape for op in walk(cleaned.body) if op.name in ("add", "sub")}
    assert (K, N) not in shapes
    assert_same(kernel, after)


def test_a_sum_of_bytes_that_may_wrap_is_not_taken_apart() -> None:
    build = Builder()
    q, w, z = (argument(TileType(dtype(t), s)) for t, s in (("i8", (M, K)), ("i8", (K, N)), ("i8", (N,))))
    b = build.cast(build("add", w, build("broadcast", z, shape=(K, N))), "f32")
    dot = build("dot", build.cast(q, "f32"), b, build.constant("f32", 0, (M, N)))
    kernel = Kernel("k", (q, w, z), (), build.region((), (dot,)))
    assert any(op.name == "add" and op.result.tile.shape == (K, N) for op in walk(rewritten(kernel).body))
    assert_same(kernel, rewritten(kernel))


# How the bytes are made follows from the numbers, not from the operations


def form(build: Builder, params: tuple[Value, ...], b: Value) -> list[str]:
    """The operations that a product's right factor is made of after the pass, from the product back."""
    a = argument(TileType(dtype("i8"), (M, b.tile.shape[0])))
    dot = build("dot", build.cast(a, "f32"), b, build.constant("f32", 0, (M, b.tile.shape[1])))
    kernel = Kernel("k", (a, *params), (), build.region((), (dot,)))
    after = run(Module((kernel,)), (integers, canonicalize, cse, dce)).kernels[0]
    assert_same(kernel, after)
    makers = {op.result: op for op in walk(after.body) if len(op.results) == 1}
    value = next(op for op in walk(after.body) if op.name == "dot").operands[1]
    names = []
    while value in makers and makers[value].name not in ("constant", "table"):
        op = makers[value]
        names.append(op.name)
        value = op.operands[op.name == "take"]
    return names


def test_a_sign_extension_by_selection_is_the_codes_with_their_sign_inverted() -> None:
    build, w = Builder(), argument(TileType(dtype("u4"), (K, N)))
    wide = build.cast(w, "f32")
    small = build("lt", wide, build.constant("f32", 8, (K, N)))
    b = build("select", small, wide, build("sub", wide, build.constant("f32", 16, (K, N))))
    assert form(build, (w,), b) == ["xor", "cast"]


def test_multiples_of_a_power_of_two_are_the_codes() -> None:
    build, w = Builder(), argument(TileType(dtype("i4"), (K, N)))
    doubled = build("mul", build.cast(w, "f32"), build.constant("f32", 0.25, (K, N)))
    assert form(build, (w,), doubled) == ["xor", "cast", "bitcast"]


def test_a_code_book_is_a_table_of_its_numbers_above_the_least() -> None:
    build, w = Builder(), argument(TileType(dtype("u4"), (K, N)))
    book = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8)
    table = build("table", table=Table.of(dtype("i8"), book.view(np.uint8)))
    assert form(build, (w,), build.cast(build("take", table, w, axis=0), "f32")) == ["take"]


def test_moved_codes_are_moved_bytes() -> None:
    build, w = Builder(), argument(TileType(dtype("u4"), (N, 2, K // 2)))
    flat = build("reshape", build.cast(w, "f16"), shape=(N, K))
    moved = build("transpose", build.cast(flat, "f32"), permutation=(1, 0))
    assert form(build, (w,), moved) == ["transpose", "reshape", "cast"]


def test_what_two_tiles_have_a_say_in_is_computed() -> None:
    build = Builder()
    w, z = argument(TileType(dtype("u8"), (K, N))), argument(TileType(dtype("u8"), (K, N)))
    zero = build.cast(z, "f32")
    assert form(build, (w, z), build("sub", build.cast(w, "f32"), zero))[-3:] == ["cast", "sub", "cast"]


def test_constants_are_factors_too() -> None:
    build = Builder()
    assert form(build, (), build.constant("f32", 3.5, (K, N))) == []
    book = dtype("f16").encode(np.arange(K * N).reshape(K, N) % 100 / 4)
    build = Builder()
    assert form(build, (), build("table", table=Table.of(dtype("f16"), book))) == []


@pytest.mark.parametrize(("power", "expected"), [(-96, "i8 u8"), (-97, "f32 f32"), (96, "i8 u8"), (97, "f32 f32")])
def test_scales_are_kept_far_from_the_ends_of_f32(power: int, expected: str) -> None:
    build = Builder()
    a, b = argument(TileType(dtype("i8"), (M, K))), argument(TileType(dtype("u4"), (K, N)))
    scaled = build("mul", build.cast(b, "f32"), build.constant("f32", 2.0**power, (K, N)))
    dot = build("dot", build.cast(a, "f32"), scaled, build.constant("f32", 0, (M, N)))
    kernel = Kernel("k", (a, b), (), build.region((), (dot,)))
    assert products(rewritten(kernel)) == [expected]
    assert_same(kernel, rewritten(kernel))


# What is not proved stays


def sums_of(extent: int, right: str, sums: str = "f32") -> Kernel:
    build = Builder()
    a, b = argument(TileType(dtype("i8"), (1, extent))), argument(TileType(dtype(right), (extent, 1)))
    dot = build("dot", build.cast(a, sums), build.cast(b, sums), build.constant(sums, 0, (1, 1)))
    return Kernel("k", (a, b), (), build.region((), (dot,)))


@pytest.mark.parametrize("sums", ["f32", "f64"])
@pytest.mark.parametrize(("right", "most"), [("u8", 128 * 255), ("i8", 128 * (255 + 128)), ("u1", 128)])
def test_a_product_whose_sums_may_leave_i32_stays_a_float(right: str, most: int, sums: str) -> None:
    last = (2**31 - 1) // most
    assert products(rewritten(sums_of(last, right, sums))) == ["i8 u8"]
    assert products(rewritten(sums_of(last + 1, right, sums))) == [f"{sums} {sums}"]


def test_the_note_says_whether_the_float_sums_were_exact() -> None:
    last = 2**24 // (128 * 255)
    texts = [rewritten(sums_of(extent, "u8")).notes[0].text for extent in (last, last + 1)]
    assert "float sums <= 16776960 <= 2^24" in texts[0]
    assert "exact in any order" in texts[0]
    assert "rounded to f32 once, within the bound of dot" in texts[1]


def test_sums_beyond_the_significand_are_rounded_once() -> None:
    kernel = sums_of(4000, "u8")
    rng = np.random.default_rng(1)
    a, b = rng.integers(100, 128, (1, 4000)).astype(np.int8), rng.integers(200, 256, (4000, 1)).astype(np.uint8)
    exact = int(a.astype(np.int64).ravel() @ b.astype(np.int64).ravel())
    assert exact > 2**24
    (found,) = results(rewritten(kernel), [a, b])
    assert (found - 1).view(np.float32).item() == np.float32(exact)


@pytest.mark.parametrize("left", ["u8", "i16", "f8e4m3", "f16"])
def test_a_left_factor_that_i8_may_not_hold_stays(left: str) -> None:
    build = Builder()
    a, b = argument(TileType(dtype(left), (M, K))), argument(TileType(dtype("u4"), (K, N)))
    dot = build("dot", build.cast(a, "f32"), build.cast(b, "f32"), build.constant("f32", 0, (M, N)))
    kernel = Kernel("k", (a, b), (), build.region((), (dot,)))
    assert rewritten(kernel) is kernel


def test_kernels_without_a_product_are_left_as_they_are() -> None:
    build, a = Builder(), argument(TileType(dtype("u4"), (M, K)))
    kernel = Kernel("k", (a,), (), build.region((), (build.cast(a, "f32"),)))
    assert rewritten(kernel) is kernel
