"""Loads and stores: slices over every edge, elements in the middle of bytes, nothing touched outside the tensor."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, assert_same, launch, load, memory, run, store, tensor, zeros
from tests.backends.cpu.samples import sample
from vmc.backends import cpu
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, TileType
from vmc.ir.dims import Sym
from vmc.ir.types import ALL_DTYPES, DType, dtype

NARROW = [dtype(name) for name in ("u1", "u2", "u3", "i4", "u5", "i6", "u7", "f6e3m2")]
SOME = [*NARROW, *map(dtype, ("u8", "i16", "f16", "bf16", "f32", "i64"))]


@contextmanager
def guarded(size: int) -> Iterator[np.ndarray[Any, Any]]:
    """`size` bytes that end where readable memory ends."""
    page = mmap.PAGESIZE
    pages = -(-size // page)
    area = mmap.mmap(-1, (pages + 1) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None)
    assert libc.mprotect(ctypes.c_void_p(start + pages * page), page, 0) == 0
    yield np.frombuffer(area, np.uint8, size, pages * page - size)
    assert libc.mprotect(ctypes.c_void_p(start + pages * page), page, 3) == 0


def slice_kernel(type: DType, size: tuple[int, int], step: tuple[int, int], blocks: int) -> Kernel:
    """Block b copies a slice of x that starts at (row, column + 3 b) to y at the same place."""
    shape = (Sym("M"), Sym("N"))
    x, y, z = tensor("x", type, shape), tensor("y", type, shape, Access.OUT), tensor("z", type, size, Access.OUT)
    row, column = argument(TileType(dtype("i64")), "row"), argument(TileType(dtype("i64")), "column")
    block = argument(TileType(dtype("i64")), "block")
    body = Builder()
    start = body("add", column, body("mul", block, body.index(3)))
    value = load(body, x, size, row, start, steps=step, fill=1)
    store(body, y, value, row, start, steps=step)
    store(body, z, value)
    outer = Builder()
    outer.many("grid", outer.index(blocks), regions=(body.region((block,)),))
    return Kernel("slices", (x, y, z, row, column), ("M", "N"), outer.region())


@pytest.mark.parametrize("type", SOME, ids=str)
def test_slices_over_every_edge_agree_with_the_reference(type: DType) -> None:
    rng = np.random.default_rng(5)
    for step in ((1, 1), (2, 3)):
        kernel = slice_kernel(type, (4, 11), step, 1)
        executable = cpu.compile(kernel, cpu.Options(opt_level=1))
        for row, column in [(0, 0), (-2, -5), (3, 7), (-9, 2), (2, 40), (1 << 40, 0), (0, -(1 << 62))]:
            m, n = int(rng.integers(1, 9)), int(rng.integers(1, 30))
            codes = sample(type, m * n)
            arguments = [memory(type, codes), memory(type, codes * 0), memory(type, codes[:1].repeat(44)), row, column]
            compare(kernel, executable, arguments, {"M": m, "N": n})


def compare(kernel: Kernel, executable: cpu.Executable, arguments: list[Any], symbols: dict[str, int]) -> None:
    from tests.backends.cpu.execution import copies
    from tests.generators.ir_arguments import differences
    from vmc.backends import interp

    expected, found = copies(arguments), copies(arguments)
    interp.run(kernel, expected, symbols)
    launch(executable, kernel, found, symbols)
    assert not differences(kernel, symbols, expected, found)


@pytest.mark.parametrize("type", SOME, ids=str)
def test_no_byte_outside_a_tensor_is_touched(type: DType) -> None:
    kernel = slice_kernel(type, (4, 11), (1, 1), 1)
    executable = cpu.compile(kernel, cpu.Options(opt_level=3))
    for m, n in [(1, 1), (3, 5), (5, 13), (4, 11)]:
        codes = sample(type, m * n)
        packed = memory(type, codes)
        out = np.zeros(-(-44 * type.width // 8), np.uint8)
        with guarded(packed.size) as x, guarded(packed.size) as y:
            x[:], y[:] = packed, 0
            for row, column in [(0, 0), (-1, -3), (m - 1, n - 1), (m, n), (-4, -11)]:
                launch(executable, kernel, [x, y, out, row, column], {"M": m, "N": n})
            launch(executable, kernel, [x, y, out, 0, 0], {"M": m, "N": n})
            if m <= 4 and n <= 11:
                np.testing.assert_array_equal(y, packed)
            del x, y


@pytest.mark.parametrize("type", NARROW, ids=str)
def test_neighbours_in_one_byte_are_written_by_many_threads_at_once(type: DType) -> None:
    """Each block writes a few elements that share bytes with those of its neighbours."""
    width, blocks = 3, 20000
    x, y = tensor("x", type, (Sym("N"),)), tensor("y", type, (Sym("N"),), Access.OUT)
    block = argument(TileType(dtype("i64")), "block")
    body = Builder()
    start = body("mul", block, body.index(width))
    store(body, y, load(body, x, (width,), start), start)
    outer = Builder()
    outer.many("grid", outer.index(blocks), regions=(body.region((block,)),))
    kernel = Kernel("shared_bytes", (x, y), ("N",), outer.region())
    executable = cpu.compile(kernel, cpu.Options(opt_level=2))
    count = width * blocks - 1
    packed = memory(type, sample(type, count))
    for _ in range(5):
        found = np.full_like(packed, 0xA5)
        launch(executable, kernel, [packed, found], {"N": count}, max_threads=8)
        spare = 8 * packed.size - count * type.width
        keep = np.uint8(0xFF >> spare)
        np.testing.assert_array_equal(found[:-1], packed[:-1])
        assert found[-1] & keep == packed[-1] & keep
        assert found[-1] & ~keep == 0xA5 & ~keep, "the padding of the last byte was written"


def test_empty_tensors_and_empty_grids_do_nothing() -> None:
    type = dtype("f32")
    kernel = slice_kernel(type, (4, 11), (1, 1), 1)
    nothing, out = np.zeros(0, np.uint8), np.full(176, 7, np.uint8)
    _, _, found, _, _ = run(kernel, [nothing, nothing, out, 0, 0], {"M": 0, "N": 5})
    assert np.all(found.view(np.uint32) == 1)
    kernel = slice_kernel(type, (4, 11), (1, 1), 0)
    _, _, found, _, _ = run(kernel, [nothing, nothing, out, 0, 0], {"M": 0, "N": 5})
    assert np.all(found == 7)


def test_a_load_keeps_its_value_when_its_memory_is_written_later() -> None:
    """x[1:] is stored from the old x[:-1], and read before that."""
    x = tensor("x", "f32", (9,), Access.INOUT)
    y = tensor("y", "f32", (8,), Access.OUT)
    block = argument(TileType(dtype("i64")), "block")
    body = Builder()
    zero, one = body.index(0), body.index(1)
    inside = {"inbounds": (True,)}
    old = load(body, x, (8,), zero, **inside)
    late = load(body, x, (8,), one, **inside)
    store(body, x, body("add", old, old), one, **inside)
    store(body, y, body("neg", late), zero, **inside)
    outer = Builder()
    outer.many("grid", outer.index(1), regions=(body.region((block,)),))
    kernel = Kernel("shift", (x, y), (), outer.region())
    codes = dtype("f32").encode(np.arange(9) + 0.5)
    assert_same(kernel, [memory("f32", codes), zeros(y)], opt_level=3)


def test_an_update_in_place_reads_before_it_writes() -> None:
    x = tensor("x", "f32", (40,), Access.INOUT)
    block = argument(TileType(dtype("i64")), "block")
    body = Builder()
    zero = body.index(0)
    inside = {"inbounds": (True,)}
    value = load(body, x, (40,), zero, **inside)
    store(body, x, body("mul", value, body.like(value, 3)), zero, **inside)
    store(body, x, body("flip", load(body, x, (40,), zero, **inside), axis=0), zero, **inside)
    outer = Builder()
    outer.many("grid", outer.index(1), regions=(body.region((block,)),))
    kernel = Kernel("update", (x,), (), outer.region())
    assert_same(kernel, [memory("f32", dtype("f32").encode(np.arange(40)))], opt_level=3)


@pytest.mark.parametrize("type", ALL_DTYPES, ids=str)
def test_every_type_passes_through_memory_unchanged(type: DType) -> None:
    sketch = Sketch()
    value = sketch.take(type, (3, 67))
    sketch.give(value)
    sketch.give(sketch.b("transpose", value, permutation=(1, 0)))
    kernel = sketch.kernel()
    codes = sample(type, 201).reshape(3, 67)
    packed = memory(type, codes)
    first, plain, turned = run(kernel, [packed, zeros(kernel.params[1]), zeros(kernel.params[2])])
    np.testing.assert_array_equal(first, packed)
    np.testing.assert_array_equal(plain, packed)
    np.testing.assert_array_equal(turned, memory(type, codes.T))


def test_gather_scatter_and_atomics_leave_alone_what_is_outside() -> None:
    n = 64
    x, y, z = tensor("x", "u5", (n,)), tensor("y", "u5", (n,), Access.OUT), tensor("z", "i32", (n,), Access.INOUT)
    index = tensor("index", "i64", (n,))
    got = tensor("got", "u5", (n,), Access.OUT)
    block = argument(TileType(dtype("i64")), "block")
    body = Builder()
    places = load(body, index, (n,))
    values = body("gather", x, places, fill=None)
    store(body, got, values)
    body.many("scatter", y, values, places)
    body("atomic", z, body.constant("i32", 1, (n,)), places, kind="add")
    outer = Builder()
    outer.many("grid", outer.index(1), regions=(body.region((block,)),))
    kernel = Kernel("outside", (x, y, z, index, got), (), outer.region())
    wanted = np.concatenate([np.arange(0, n, 2), -(np.arange(1, n // 2 + 1) ** 3) * 1000])
    codes = sample("u5", n)
    arguments = [memory("u5", codes), zeros(y), zeros(z), wanted.view(np.uint8), zeros(got)]
    _, scattered, counted, _, gathered = run(kernel, arguments, opt_level=3)
    inside = np.where(wanted >= 0, codes[np.maximum(wanted, 0)], 0)
    np.testing.assert_array_equal(gathered, memory("u5", inside))
    expected = np.where(np.arange(n) % 2 == 0, codes, 0)
    np.testing.assert_array_equal(scattered, memory("u5", expected))
    np.testing.assert_array_equal(counted.view(np.int32), (np.arange(n) % 2 == 0).astype(np.int32))


@pytest.mark.parametrize("name", ["i32", "u32", "i64", "u64", "f32", "f64"])
@pytest.mark.parametrize("kind", ["add", "min", "max"])
def test_atomics_of_many_blocks_lose_nothing(name: str, kind: str) -> None:
    type, blocks = dtype(name), 3000
    z = tensor("z", type, (4,), Access.INOUT)
    block = argument(TileType(dtype("i64")), "block")
    body = Builder()
    places = body("mod", body("iota", n=8), body.constant("i32", 4, (8,)))
    value = body.broadcast(body.cast(body("mod", block, body.index(97)), type), (8,))
    body("atomic", z, value, places, kind=kind)
    outer = Builder()
    outer.many("grid", outer.index(blocks), regions=(body.region((block,)),))
    kernel = Kernel("contended", (z,), (), outer.region())
    executable = cpu.compile(kernel, cpu.Options(opt_level=2))
    found = memory(type, type.encode(np.full(4, 5)))
    launch(executable, kernel, [found], {}, max_threads=8)
    numbers = np.arange(blocks) % 97
    expected = {"add": 5 + 2 * int(numbers.sum()), "min": 0, "max": 96}[kind]
    np.testing.assert_array_equal(type.decode(found.view(type.code_dtype)), expected)
