"""Layouts for matrix instructions, and what follows for weights."""

import numpy as np
import pytest

from vmc.ir.core import Kernel, Module
from vmc.ir.decode import decoder
from vmc.ir.layout import divide, mma_fragment
from vmc.ir.passes import pipeline, run
from vmc.ir.passes.gpu.matrix import Instruction, Product, warps_for, warps_wanted
from vmc.ir.passes.gpu.spread import holdings, threads_of
from vmc.ir.passes.gpu.weights import block_of, storage_of
from vmc.ir.storage import block_positions
from vmc.ir.types import dtype
from vmc.lang import compile_kernel

HALF = Instruction(16, 16)
TYPES = ("u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "i3", "i8", "f4e2m1", "f6e3m2", "f8e4m3")

SOURCE = """
fast kernel product[T: type, BM = 64, BN = 64, BK = 64](x: f16[M, K], w: T[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, BK):
            acc += x[mi*BM : +BM, k : +BK] @ f16(w[k : +BK, ni*BN : +BN] - zero_point(T))
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""


def lowered(dense: frozenset[str] = frozenset(), **bindings: object) -> Kernel:
    kernel = compile_kernel(SOURCE, "product.vmc", None, bindings).kernel  # type: ignore[arg-type]
    return run(Module((kernel,)), pipeline("cuda:sm_80", dense), verify=True).kernels[0]


@pytest.mark.parametrize(
    "shape", [(16, 64, 64), (64, 64, 64), (128, 128, 32), (32, 256, 128), (16, 8, 16), (48, 24, 32)]
)
def test_every_warp_holds_whole_fragments_and_every_sum_one_thread(shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    product = Product(m, n, k, HALF, (*warps_for(m, n, warps_wanted(m, n)), 1))
    a, b, c = product.layouts
    for layout, operand, extent in ((a, "a", (m, k)), (b, "b", (k, n)), (c, "c", (m, n))):
        assert layout.shape == extent
        divide(layout, mma_fragment("m16n8k16", operand, 16))
        assert threads_of(layout) == product.threads
    held = holdings(c, product.threads)
    assert sorted(held.reshape(-1).tolist()) == list(range(m * n))


@pytest.mark.parametrize("shape", [(16, 64, 64), (64, 64, 64), (128, 128, 32)])
def test_factors_are_held_by_the_threads_that_multiply_them(shape: tuple[int, int, int]) -> None:
    """A thread's sums are of the rows of A and the columns of B that its warp holds."""
    m, n, k = shape
    product = Product(m, n, k, HALF, (*warps_for(m, n, warps_wanted(m, n)), 1))
    a, b, c = (holdings(layout, product.threads).reshape(-1, 32, layout.cosize("bit")) for layout in product.layouts)
    for warp in range(len(c)):
        rows, columns = set((a[warp] // k).flat), set((b[warp] % n).flat)
        assert {(r, s) for r in rows for s in columns} == {(int(x) // n, int(x) % n) for x in c[warp].flat}


def test_few_rows_put_all_warps_along_the_columns() -> None:
    assert warps_for(16, 64, 4) == (1, 4)
    assert warps_for(64, 64, 4) == (1, 4)
    assert warps_for(128, 128, 8) == (1, 8)
    assert warps_for(128, 16, 4) == (4, 1)


def test_warps_without_a_part_of_the_sums_hold_copies() -> None:
    product = Product(16, 8, 16, HALF, (1, 1, 3))
    assert product.threads == 96
    for layout in product.layouts:
        held = holdings(layout, 96).reshape(3, 32, -1)
        assert (held == held[0]).all()


@pytest.mark.parametrize("name", TYPES)
def test_a_thread_s_codes_fill_words_in_the_order_of_its_decoder(name: str) -> None:
    type = dtype(name)
    product = Product(16, 128, 128, HALF, (1, 4, 1))
    made = decoder(type, "f16x2", signed_zeros=False)
    block = block_of(product, made)
    assert block is not None
    storage = storage_of(product, made, block)
    width, (rows, columns) = type.width, block
    places = block_positions(storage, width)
    assert sorted(places.reshape(-1).tolist()) == list(range(rows * columns * width))
    fragment = Product(16, columns, rows, HALF, (1, 1, 1)).layouts[1]
    held = holdings(fragment, 32)
    words = rows * columns * width // 32 // 32
    vector = 4 if words % 4 == 0 else 2 if words % 2 == 0 else 1
    for lane in (0, 1, 13, 31):
        own = places[held[lane]].reshape(-1)
        where = sorted({int(place) // (32 * vector) for place in own})
        assert where == [number * 32 + lane for number in range(words // vector)]
        for slot, code in enumerate(held[lane]):
            unit, number = divmod(slot, made.codes)
            for bit in range(width):
                word, inside = divmod(made.order[number][bit], 32)
                word += unit * made.words
                place = ((word // vector) * 32 + lane) * 32 * vector + word % vector * 32 + inside
                assert places[code, bit] == place


@pytest.mark.parametrize("name", TYPES)
def test_with_slices_that_are_large_enough_a_thread_reads_sixteen_bytes_at_every_width(name: str) -> None:
    made = decoder(dtype(name), "f16x2", signed_zeros=False)
    rows, columns = block_of(Product(16, 128, 128, HALF, (1, 4, 1)), made) or (0, 0)
    assert rows * columns * dtype(name).width // 32 % 128 == 0


def test_a_weight_for_matrix_instructions_is_stored_for_them_and_decoded_at_once() -> None:
    kernel = lowered(T=dtype("u3"))
    storage = next(p.tensor.storage for p in kernel.params if p.name == "w")
    assert storage is not None and storage.shuffle is not None
    assert kernel.threads == 128
    assert any("words in the order that it decodes" in note.text for note in kernel.notes)


def test_a_weight_that_is_to_stay_dense_stays() -> None:
    kernel = lowered(frozenset({"w"}), T=dtype("u3"))
    assert all(p.tensor.storage is None for p in kernel.params)


def test_blocks_that_no_unit_of_words_fills_are_left_dense() -> None:
    kernel = lowered(T=dtype("u7"), BM=16, BN=16, BK=16)
    assert all(p.tensor.storage is None for p in kernel.params)


def test_unpacking_undoes_packing_at_every_width_and_shape() -> None:
    from vmc.ir.blocks import pack_blocks, unpack_blocks

    for name in TYPES:
        made = decoder(dtype(name), "f16x2", signed_zeros=False)
        product = Product(16, 64, 64, HALF, (1, 4, 1))
        block = block_of(product, made)
        assert block is not None
        storage = storage_of(product, made, block)
        codes = np.random.default_rng(3).integers(0, 1 << made.width, (70, 37)).astype(np.uint8)
        data = pack_blocks(codes, storage, made.width)
        np.testing.assert_array_equal(unpack_blocks(data, storage, (70, 37), made.width, np.dtype(np.uint8)), codes)
