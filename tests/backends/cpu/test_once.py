"""`once` on the CPU: what is kept, when it is made anew, any number of threads, against the reference VM."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.backends.cpu.execution import QUICK, copies, launch, load, store, tensor
from tests.generators.ir_arguments import differences
from tests.generators.shared_work import arguments, kernels
from tests.ir.passes.test_hoist import lowered, matmul
from vmc.backends import cpu, interp
from vmc.backends.cpu import kernel as generator
from vmc.backends.cpu.alike import edge_of
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, Module, Space, TensorType, TileType, Value, walk
from vmc.ir.dims import Sym, binary
from vmc.ir.ops.once import written
from vmc.ir.passes import hoist, run
from vmc.ir.types import ALL_DTYPES, DType, dtype
from vmc.ir.verifier import verify
from vmc.lang import compile_kernel

I64 = TileType(dtype("i64"))
DENSE = frozenset({"w"})


@pytest.fixture(autouse=True)
def small_launches_use_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "emit_work", lambda e, region: e.index(1 << 20))


def scratch(type: str | DType, *shape: Any) -> TensorType:
    return TensorType(dtype(type), shape, Access.IN, Space.SHARED)


def filled(build: Builder, keys: list[Value], type: TensorType, fill: Any) -> Value:
    """The tensor of a `once` whose region is built by `fill(build, tensor)`."""
    inside, target = Builder(), argument(written(type), "t")
    fill(inside, target)
    (result,) = build.many("once", *keys, types=(type,), regions=[inside.region((target,))])
    return result


def grid(kernel: str, params: list[Value], symbols: tuple[str, ...], extents: list[Any], body: Any) -> Kernel:
    outer, block = Builder(), Builder()
    places = [argument(I64, f"b{number}") for number in range(len(extents))]
    body(block, *places)
    sizes = [outer("symbol", name=size) if isinstance(size, str) else outer.index(size) for size in extents]
    outer.many("grid", *sizes, regions=[block.region(places)])
    made = Kernel(kernel, tuple(params), symbols, outer.region())
    verify(made)
    return made


def assert_launches_agree(kernel: Kernel, given: list[Any], symbols: dict[str, int]) -> None:
    """The CPU with one, two and three threads, twice each, leaves what the reference VM leaves."""
    expected, executable = copies(given), cpu.compile(kernel, QUICK)
    interp.run(kernel, expected, symbols)
    for count in (1, 2, 3, 1):
        found = copies(given)
        launch(executable, kernel, found, symbols, max_threads=count)
        assert not differences(kernel, symbols, expected, found), (count, symbols)


@pytest.mark.parametrize("type", ["u4", "u3", "u1", "i8", "f4e2m1"])
def test_products_with_activations_quantized_once_agree_with_the_reference(type: str) -> None:
    kernel = lowered(matmul(T=type, BM=4, BN=8, G=16), dense=DENSE)
    for seed, (m, k, n) in enumerate([(1, 16, 8), (5, 33, 9), (9, 7, 17), (13, 64, 40), (4, 0, 8), (0, 16, 8)]):
        symbols = {"M": m, "K": k, "N": n}
        assert_launches_agree(kernel, arguments(kernel, symbols, seed), symbols)


@pytest.mark.parametrize("m", [0, 1, 15, 16, 17, 31, 32, 33])
def test_rows_beyond_the_last_are_computed_once_and_agree_with_the_reference(m: int) -> None:
    kernel = lowered(matmul(T="u4", BM=16, BN=16, G=16), dense=DENSE)
    (once,) = [op for op in walk(kernel.body) if op.name == "once"]
    assert edge_of(once) is not None
    symbols = {"M": m, "K": 40, "N": 20}
    assert_launches_agree(kernel, arguments(kernel, symbols, m), symbols)


ROWS = """
kernel rows(x: f32[M, K], w: f32[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, 16)):
        acc = zeros(f32[16, 16])
        for k in range(0, K, 16):
            a = x[mi*16 : +16, k : +16]
            acc += ({expression}) @ w[k : +16, ni*16 : +16]
        y[mi*16 : +16, ni*16 : +16] = acc
"""


@pytest.mark.parametrize(
    ("expression", "alike"),
    [
        ("a * (1.0 / max(max(abs(a), axis=1, keepdims=true), 1.0))", True),
        ("a * (1.0 / max(max(abs(a), axis=0, keepdims=true), 1.0))", False),
        ("exp(a - max(a, axis=1, keepdims=true)) + a.T", False),
    ],
)
def test_rows_are_alike_only_where_each_is_treated_by_itself(expression: str, alike: bool) -> None:
    kernel = lowered(compile_kernel(ROWS.format(expression=expression), "rows.vmc", None, {}).kernel, dense=DENSE)
    onces = [op for op in walk(kernel.body) if op.name == "once"]
    assert onces
    assert all((edge_of(op) is not None) == alike for op in onces)
    executable, rng = cpu.compile(kernel, QUICK), np.random.default_rng(0)
    for m in (1, 16, 21):
        symbols = {"M": m, "K": 20, "N": 20}
        x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, 20), (20, 20)))
        given = [array.view(np.uint8).reshape(-1) for array in (x, w, np.zeros((m, 20), np.float32))]
        expected, found = copies(given), copies(given)
        interp.run(kernel, expected, symbols)
        launch(executable, kernel, found, symbols, max_threads=1)
        np.testing.assert_allclose(found[2].view(np.float32), expected[2].view(np.float32), rtol=1e-4, atol=1e-5)


def test_what_a_region_keeps_itself_has_no_edge_that_is_known_before_it() -> None:
    def fill(inside: Builder, target: Value) -> None:
        store(inside, target, load(inside, target, (16, 4)))

    build = Builder()
    filled(build, [build.index(0)], scratch("f32", 16, 4), fill)
    (once,) = [op for op in build.ops if op.name == "once"]
    assert edge_of(once) is None


def test_a_product_of_the_usual_blocks_agrees_with_the_reference() -> None:
    kernel, symbols = lowered(matmul(T="u4"), dense=DENSE), {"M": 33, "K": 300, "N": 200}
    assert_launches_agree(kernel, arguments(kernel, symbols, 1), symbols)


@given(kernels())
@settings(max_examples=25)
def test_random_kernels_agree_with_the_reference(case: tuple[Kernel, list[Any], dict[str, int]]) -> None:
    kernel, given, symbols = case
    assert_launches_agree(run(Module((kernel,)), (hoist,)).kernels[0], given, symbols)


def row_kernel(type: DType, width: int = 5) -> Kernel:
    """y[i, j, :] = the row that `once` made of x[i, :], N elements in pieces of `width`, from j on."""
    x, y = tensor("x", type, ("M", "N")), tensor("y", type, ("M", "N", width), Access.OUT)
    x, y = (argument(symbolic(value.tensor), value.name) for value in (x, y))
    size = binary("+", Sym("N"), width - 1)

    def body(build: Builder, i: Value, j: Value) -> None:
        def fill(inside: Builder, target: Value) -> None:
            index, turn = argument(I64, "c"), Builder()
            store(turn, target, load(turn, x, (width,), i, index), turn.index(1), index)
            end = inside("symbol", name="N")
            inside.many(
                "for", inside.index(0), end, inside.index(1), regions=[turn.region((index,))], stages=1, unroll=1
            )

        kept = filled(build, [i], scratch(type, 3, size), fill)
        store(build, y, load(build, kept, (width,), build.index(1), j, inbounds=(True, True)), i, j, build.index(0))

    return grid("rows", [x, y], ("M", "N"), ["M", "N"], body)


def symbolic(type: TensorType) -> TensorType:
    """The type with symbols for the extents that are names."""
    shape = tuple(Sym(extent) if isinstance(extent, str) else extent for extent in type.shape)
    return TensorType(type.dtype, shape, type.access)


@pytest.mark.parametrize("type", ALL_DTYPES, ids=str)
def test_kept_tensors_hold_every_type(type: DType) -> None:
    kernel, symbols = row_kernel(type), {"M": 4, "N": 13}
    assert_launches_agree(kernel, arguments(kernel, symbols, 2), symbols)


def test_arenas_follow_the_symbols_of_each_launch() -> None:
    executable = cpu.compile(row_kernel(dtype("f32")), QUICK)
    for n in (3, 2000, 1, 777):
        x, y = np.random.default_rng(n).random((2, n), np.float32), np.zeros((2, n, 5), np.float32)
        executable.launch([x.ctypes.data, y.ctypes.data], [], {"M": 2, "N": n}, max_threads=3)
        beyond = np.pad(x, ((0, 0), (0, 4)))
        np.testing.assert_array_equal(y, np.lib.stride_tricks.sliding_window_view(beyond, 5, axis=1))


def overlapping(keys: int) -> Kernel:
    """y[i, j] = x[i] + 1, by a `once` with so many keys. Launched with y over x, it shows when x is read."""
    x, y = tensor("x", "i32", (6,)), tensor("y", "i32", (6, 4), Access.OUT)

    def body(build: Builder, i: Value, j: Value) -> None:
        def fill(inside: Builder, target: Value) -> None:
            one = load(inside, x, (), i)
            store(inside, target, inside("add", one, inside.like(one, 1)))

        kept = filled(build, [i] * keys, scratch("i32", 1), fill)
        store(build, y, load(build, kept, ()), i, j)

    return grid("overlapping", [x, y], (), [6, 4], body)


def test_blocks_of_equal_keys_use_what_the_first_one_made() -> None:
    memory = np.zeros(24, np.int32)
    executable = cpu.compile(overlapping(1), QUICK)
    rows = [memory.ctypes.data, memory.ctypes.data]
    executable.launch(rows, max_threads=1)
    assert memory.reshape(6, 4).tolist() == [[number] * 4 for number in (1, 2, 2, 2, 3, 3)]


def test_a_launch_forgets_what_the_one_before_kept() -> None:
    kernel, x, y = overlapping(1), np.zeros(6, np.int32), np.zeros((6, 4), np.int32)
    executable = cpu.compile(kernel, QUICK)
    for number in range(3):
        x[:] = number
        executable.launch([x.ctypes.data, y.ctypes.data], max_threads=2)
        assert (y == number + 1).all()


def test_keys_without_room_are_not_remembered() -> None:
    kernel = overlapping(40)
    executable, memory = cpu.compile(kernel, QUICK), np.zeros(24, np.int32)
    executable.launch([memory.ctypes.data, memory.ctypes.data], max_threads=1)
    assert memory[:4].tolist() == [1, 2, 2, 2]
    given = arguments(kernel, {}, 3)
    assert_launches_agree(kernel, given, {})


def test_once_in_a_loop_and_several_of_them_keep_apart() -> None:
    x, y = tensor("x", "i32", (4, 8)), tensor("y", "i32", (3, 2), Access.OUT)

    def body(build: Builder, i: Value, j: Value) -> None:
        def row(inside: Builder, target: Value) -> None:
            store(inside, target, load(inside, x, (8,), i, inside.index(0)))

        kept = filled(build, [i], scratch("i32", 8), row)
        index, carried, turn = argument(I64, "c"), argument(TileType(dtype("i32")), "sum"), Builder()

        def product(inside: Builder, target: Value) -> None:
            tile = load(inside, x, (8,), index, inside.index(0))
            store(inside, target, inside("mul", tile, load(inside, kept, (8,))))

        of_two = filled(turn, [i, index], scratch("i32", 8), product)
        total = turn("reduce", load(turn, of_two, (8,)), axis=0, kind="sum")
        region = turn.region((index, carried), (turn("add", carried, total),))
        bounds = (build.index(0), build.index(4), build.index(1))
        (result,) = build.many("for", *bounds, build.constant("i32", 0), regions=[region], stages=1, unroll=1)
        store(build, y, result, i, j)

    kernel = grid("nested", [x, y], (), [3, 2], body)
    assert_launches_agree(kernel, arguments(kernel, {}, 4), {})


def test_launches_at_once_keep_apart() -> None:
    kernel = lowered(matmul(T="u4", BM=4, BN=8, G=16), dense=DENSE)
    symbols = {"M": 16, "K": 64, "N": 64}
    executable = cpu.compile(kernel, QUICK)
    problems = []
    for seed in range(4):
        expected = arguments(kernel, symbols, seed)
        problems.append((expected, copies(expected)))
        interp.run(kernel, expected, symbols)

    def repeat(found: list[Any]) -> None:
        for _ in range(20):
            launch(executable, kernel, found, symbols, max_threads=2)

    workers = [threading.Thread(target=repeat, args=(found,)) for _, found in problems]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not any(differences(kernel, symbols, expected, found) for expected, found in problems)
