"""Costs of launches, against numbers computed by hand from the sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmc.ir.core import Kernel, Module, Storage, TensorType
from vmc.ir.cost import Work, bits_per_element, bytes_formula, count, slices, tensor_bytes
from vmc.ir.dims import Sym
from vmc.ir.layout import parse as layout
from vmc.ir.passes import pipeline, run
from vmc.ir.types import dtype
from vmc.lang import compile_kernel

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, **bindings: int | str) -> Kernel:
    file = EXAMPLES / f"{name}.vmc"
    return compile_kernel(file.read_text("utf-8"), str(file), None, bindings).kernel


def lowered(kernel: Kernel) -> Kernel:
    return run(Module((kernel,)), pipeline("cpu")).kernels[0]


def cdiv(a: int, b: int) -> int:
    return -(-a // b)


def test_scale_casts_subtracts_casts_and_multiplies_each_element() -> None:
    work = count(example("scale"), {"N": 1000})
    assert (work.blocks, work.multiply_adds, work.along_axis, work.assumed) == (16, 0, 0, ())
    assert work.elementwise == 4 * 16 * 64
    assert (work.read, work.written) == ({"w": 1024, "s": 16}, {"y": 1024})


@pytest.mark.parametrize("sizes", [(1, 4096, 4096), (17, 300, 100), (64, 128, 64)])
@pytest.mark.parametrize("name", ["matmul_wa16", "matmul_wa8"])
@pytest.mark.parametrize("passes", [False, True])
def test_products_are_those_of_whole_tiles(name: str, passes: bool, sizes: tuple[int, int, int]) -> None:
    rows, inner, columns = sizes
    block, step = (64, 64) if name == "matmul_wa16" else (16, 128)
    kernel = example(name, T="u4")
    work = count(lowered(kernel) if passes else kernel, {"M": rows, "K": inner, "N": columns})
    blocks = cdiv(rows, block) * cdiv(columns, 64)
    tiles = blocks * cdiv(inner, step)
    parts, rest = divmod(work.multiply_adds, tiles * block * step * 64)
    assert (work.blocks, rest) == (blocks, 0)
    assert parts == 1 or (passes and parts >= 1), "a pass may split a product into several"
    assert work.read["w"] == tiles * step * 64
    assert work.written == {"y": blocks * block * 64}


def test_bytes_are_extents_times_bits() -> None:
    kernel = example("matmul_wa16", T="u3")
    types = {value.name: value.tensor for value in kernel.params}
    sizes = {"M": 3, "K": 256, "N": 10}
    assert {name: tensor_bytes(type, sizes) for name, type in types.items()} == {
        **{"x": 3 * 256 * 2, "w": 256 * 10 * 3 // 8, "scale": 2 * 10 * 2, "y": 3 * 10 * 2},
    }
    assert tensor_bytes(types["w"], {"K": 1}) is None
    assert bytes_formula(types["scale"]) == "cdiv(K, 128) * N * 16 / 8"


def test_a_storage_counts_whole_blocks() -> None:
    storage = Storage((4, 2), layout("row_major(4, 2)"), 16)
    type = TensorType(dtype("u1"), (Sym("K"), Sym("N")), storage=storage)
    assert tensor_bytes(type, {"K": 5, "N": 2}) == 2 * 2
    assert bits_per_element(type) == 2
    assert bytes_formula(type) == "cdiv(K, 4) * cdiv(N, 2) * 16 / 8"


def test_slices_tell_which_ends_are_checked() -> None:
    found = slices(lowered(example("scale")))
    assert {name: (access.loads, access.stores, access.checked) for name, access in found.items()} == {
        **{"w": (1, 0, (0,)), "s": (1, 0, ()), "y": (0, 1, (0,))},
    }


def worked(source: str, **sizes: int) -> Work:
    return count(compile_kernel(source, "<text>", None, {}).kernel, sizes)


def test_a_triangle_is_counted_turn_by_turn() -> None:
    source = """
kernel triangle(x: f32[N, N], y: out f32[N, 4]):
    for i in grid(N):
        acc = zeros(f32[4])
        for j in range(0, i + 1):
            acc += x[i, j*4 : +4]
        y[i, 0 : +4] = acc
"""
    work = worked(source, N=10)
    assert work.read == {"x": 4 * 10 * 11 // 2}
    assert (work.elementwise, work.assumed) == (4 * 10 * 11 // 2, ())


def test_loops_on_data_are_counted_once_and_said_to_be() -> None:
    source = """
kernel until(n: i32[1], x: f32[N], y: out f32[N]):
    for i in grid(N // 4):
        acc = zeros(f32[4])
        for j in range(0, i64(n[0])):
            acc += x[i*4 : +4]
        y[i*4 : +4] = acc
"""
    work = worked(source, N=8)
    assert work.read["x"] == 8
    assert work.assumed == ("line 5: a loop whose bounds depend on data is counted as one turn",)


def test_the_longer_branch_is_counted_where_data_decide() -> None:
    source = """
kernel either(n: i32[1], x: f32[N], y: out f32[N]):
    for i in grid(N // 4):
        a = x[i*4 : +4]
        if n[0] > 3:
            a = a * a + a
        else:
            a = -a
        y[i*4 : +4] = a
"""
    work = worked(source, N=8)
    assert work.elementwise == 2 * 8
    assert work.assumed == ("line 5: of an `if` on data the branch with more operations is counted",)


def test_what_blocks_keep_is_counted_once_for_its_keys() -> None:
    plain = example("matmul_wa8", T="u4", BM=16)
    sizes = {"M": 32, "K": 256, "N": 640}
    kept = lowered(plain)
    if not any(op.name == "once" for op in kept.body.ops[-2].regions[0].ops):
        pytest.skip("nothing is kept")
    assert count(plain, sizes).read["x"] == 32 * 256 * 10
    assert count(kept, sizes).read["x"] == 32 * 256


def test_an_unbound_symbol_is_an_error() -> None:
    with pytest.raises(KeyError):
        count(example("scale"), {})
