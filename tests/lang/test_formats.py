"""Block formats: values by blocks and by gather agree with plain NumPy; mistakes are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vmc
from tests.generators import formats
from vmc.lang import CompileError, check_source, compile_kernel
from vmc.runtime.errors import ArgumentError

Array = np.ndarray[Any, Any]

KERNEL = """
kernel decode[R = 2, B = 64](
    zero: i64, w: f[N, 3, K], a: out f32[P, 3, Q], b: out f32[P, 3, Q], c: out f32[Q], d: out f32[P, Q],
):
    for n, k in grid(cdiv(P, R), cdiv(Q, B)):
        a[n*R : +R, :, k*B : +B] = w[n*R : +R, :, k*B : +B]
        b[n*R : +R, :, k*B : +B] = w[n*R : +R, :, k*B + zero : +B]
        if n == 0:
            c[k*B : +B] = w[N - 1, 1, k*B : +B]
        d[n*R : +R, k*B : +B] = max(w[n*R : +R, 0 : +2 : 2, k*B : +B], axis=1)
"""


def same(a: Array, b: Array) -> bool:
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


def check(seed: int) -> None:
    """A random format, read by whole blocks and by gather, inside the tensor and beyond its edges."""
    form = formats.generate(seed)
    source = form.source("f") + KERNEL
    rows, count = 3, 3
    blocks = np.random.default_rng(seed).integers(0, 256, (rows, 3, count, form.bits // 8), np.uint8)
    expected = np.zeros((4, 3, 4 * form.block), np.float32)
    expected[:rows, :, : count * form.block] = form.decode(blocks).reshape(rows, 3, -1)
    parts = [n for n in range(1, form.block + 1) if form.block % n == 0]
    part = parts[seed % len(parts)]
    for target, size in (("interp", 2 * form.block), ("cpu", 2 * form.block), ("interp", part), ("cpu", part)):
        kernel = vmc.compile(source, target=target, B=size)
        shapes = (expected.shape, expected.shape, expected.shape[2:], expected.shape[::2])
        a, b, c, d = (np.full(shape, 7, np.float32) for shape in shapes)
        kernel(0, blocks, a, b, c, d)
        assert same(a, expected), f"{target}, whole blocks:\n{source}"
        assert same(b, expected), f"{target}, gathered:\n{source}"
        assert same(c, expected[rows - 1, 1]), f"{target}, one row:\n{source}"
        np.testing.assert_array_equal(d, np.maximum(expected[:, 0], expected[:, 2]), f"{target}, two rows:\n{source}")


@pytest.mark.parametrize("seed", range(12))
def test_random_formats_decode_as_their_bits_say(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(12, 24), *range(100, 400)])
def test_many_random_formats_decode_as_their_bits_say(seed: int) -> None:
    check(seed)


FORMAT = (
    "format f block 8:\n    d: f16\n    q: u4[8]\n    s: u8[2]\n    value[i] = f32(d) * f32(q[i]) + f32(s[i // 4])\n"
)


def operations(body: str, parameters: str = "w: f[M, K], y: out f32[16]", static: str = "B = 16") -> list[str]:
    """The names of the operations that a kernel with this body is elaborated to."""
    from vmc.ir.core import walk

    source = f"{FORMAT}kernel k[{static}]({parameters}):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return [op.name for op in walk(compile_kernel(source, "k.vmc", None, {}).kernel.body)]


@pytest.mark.parametrize(
    "body",
    [
        "y[:] = w[0, 32 : +16]",
        "y[:] = w[1, : +16]",
        "for i in grid(cdiv(K, B)):\n    y[:] = w[0, i*B : +B]",
        "for i in grid(cdiv(K, B)):\n    y[:] = w[0, B*(i + 3) - 24 : +B]",
        "for i in grid(M):\n    for k in range(0, K, B):\n        y[:] = w[i, k : +B]",
        "for i in grid(M):\n    for k in range(i*64, K, 24):\n        y[:] = w[i, max(k, 8) // 8 * 8 : +B]",
        "for i in grid(M):\n    for k in range(i*64, K, 24):\n        y[:] = w[i, max(2*k, 16) // 2 : +B]",
        "for i in grid(M):\n    j = i32(i) * 8\n    y[:] = w[i, j : +B]",
        "y[0 : +4] = w[0, 12 : +4]",
        "for i in grid(cdiv(K, 4)):\n    y[0 : +4] = w[0, i*4 : +4]",
        "for i in grid(cdiv(K, 2)):\n    y[0 : +2] = w[0, i*2 : +2]",
    ],
)
def test_slices_of_whole_blocks_or_of_a_fixed_part_of_one_load_fields_once(body: str) -> None:
    found = operations(body)
    assert "gather" not in found and found.count("load") == 3


@pytest.mark.parametrize(
    "body",
    [
        "y[:] = w[0, 4 : +16]",
        "y[0 : +3] = w[0, 9 : +3]",
        "y[0 : +8] = w[0, 0 : +8 : 2]",
        "y[0] = w[0, 8]",
        "y[0 : +12] = w[0, 8 : +12]",
        "for i in grid(cdiv(K, B)):\n    y[:] = w[0, i*B + 1 : +B]",
        "for i in grid(M):\n    for k in range(0, K, 12):\n        y[:] = w[i, k : +B]",
        "for i in grid(M):\n    for k in range(i, K, 8):\n        y[:] = w[i, k : +B]",
        "for i in grid(M):\n    y[:] = w[0, 24 * i // 2 : +B]",
    ],
)
def test_other_slices_gather(body: str) -> None:
    found = operations(body)
    assert "gather" in found and "load" not in found


def test_an_index_that_depends_on_data_gathers() -> None:
    source = (
        "format f block 8:\n    p: u3[8]\n    q: i8[8]\n    value[i] = i32(q[p[i]])\n"
        "kernel k(w: f[K], y: out i32[K]):\n    for j in grid(K // 8):\n        y[j*8 : +8] = w[j*8 : +8]\n"
    )
    rng = np.random.default_rng(5)
    places, values = rng.integers(0, 8, (3, 8)), rng.integers(-128, 128, (3, 8))
    bits = (places[..., None] >> np.arange(3)) & 1
    packed = np.packbits(bits.reshape(3, 24).astype(np.uint8), axis=-1, bitorder="little")
    blocks = np.concatenate([packed, values.astype(np.int8).view(np.uint8)], axis=-1)
    for target in ("interp", "cpu"):
        y = np.zeros(24, np.int32)
        vmc.compile(source, target=target)(blocks, y)
        assert (y.reshape(3, 8) == np.take_along_axis(values, places, axis=-1)).all()


HEAD = "format f block 8:\n    d: f16\n    q: u4[8]\n    s: u8[2]\n"


@pytest.mark.parametrize(
    ("rows", "code", "text"),
    [
        ("q: i8\n    value[i] = f32(d)", "E0801", "the field `q` is declared twice"),
        ("d = 1.0\n    value[i] = d", "E0801", "the line `d` is declared twice"),
        ("i = 1.0\n    value[i] = d", "E0801", "the index `i` is declared twice"),
        ("r: u1[3]\n    value[i] = d", "E0802", "a block of 67 bits is no whole number of bytes"),
        ("r: u1[0]\n    value[i] = d", "E0802", "a field has 1 to 65536 elements, not 0"),
        ("value[i] = s[i]", "E0803", "`s` has 2 elements, and element 2 of the block takes number 2"),
        ("value[i] = s[i // 4 + 1]", "E0803", "element 4 of the block takes number 2"),
        ("value[i] = s[i // 4 - 1]", "E0803", "element 0 of the block takes number -1"),
        ("value[i] = q[8]", "E0803", "`q` has 8 elements; 8 is not one of them"),
        ("value[i] = [1, 2]", "E0804", "the value of a format is a number, and this is a list"),
        ("value[i] = f32", "E0804", "the type f32"),
        ("r: u4[8] packed split(3)\n    value[i] = d", "E0806", "8 elements are not made of runs of 3"),
        ("r: u4[8] packed split(2, 3)\n    value[i] = d", "E0806", "8 elements are not made of groups of 3 runs of 2"),
        ("r: u4[8] packed split(2, 2, 2)\n    value[i] = d", "E0806", "`split` takes the length of a run"),
        ("r: u4 packed split(1)\n    value[i] = d", "E0806", "a field that has several"),
        ("r: u4[8] packed row_major(4)\n    value[i] = d", "E0806", "not one of 8 elements of u4"),
        ("r: nothing[8]\n    value[i] = d", "E0809", "nothing"),
        ("value[i] = sum(f32(q[i]))", "E0810", "`reduce` of several elements"),
        ("value[i] = reshape(f32(q[i]), [2, 4])", "E0810", "`reshape` of several elements"),
        ("value[i] = q[arange(8)]", "E0810", "this is a tile i32[8], and not one number for each element"),
        ("value[i] = q[(i + arange(8)) % 8]", "E0810", "`add` of several elements"),
        ("value[i] = f32(arange(8))", "E0810", "not one number for each element"),
        ("value[i] = f32(q)", "E0810", "expected a value, found the field q"),
        ("value[i] = q[d]", "E0221", "an index must be an integer"),
        ("value[i] = q[i, 0]", "E0303", "takes one index"),
        ("value[i] = missing", "E0101", "unknown name `missing`"),
        ("value[i] = d + i", "E0201", "mixes an integer and a float"),
    ],
)
def test_a_mistake_in_a_format_is_told_though_nothing_uses_it(rows: str, code: str, text: str) -> None:
    found = [d for d in check_source(f"{HEAD}    {rows}\n", "f.vmc") if d.is_error]
    assert [d.code for d in found] == [code]
    assert text in found[0].message


def test_a_mistake_in_a_format_that_kernels_use_is_told_once() -> None:
    kernel = "(w: f[K], y: out f32[8]):\n    y[:] = w[0 : +8]\n"
    source = f"{HEAD}    value[i] = f32(s[i])\nkernel a{kernel}kernel b{kernel}"
    assert [(d.code, d.span.line) for d in check_source(source, "f.vmc")] == [("E0803", 5)]


@pytest.mark.parametrize("size", [0, 65537])
def test_a_block_has_1_to_65536_elements(size: int) -> None:
    source = f"format f block {size}:\n    q: u8\n    value[i] = f32(q)\n"
    assert [d.code for d in check_source(source, "f.vmc")] == ["E0802"]


def test_a_function_in_a_format_may_not_have_effects() -> None:
    source = 'def f(x):\n    print("x", x)\n    return x\nformat g block 8:\n    q: u8[8]\n    value[i] = f(q[i])\n'
    (found,) = [d for d in check_source(source, "f.vmc") if d.is_error]
    assert found.code == "E0810" and "`print`" in found.message


def test_a_fixed_extent_that_is_not_made_of_whole_blocks_is_a_mistake() -> None:
    source = FORMAT + "kernel k(w: f[4, 12], y: out f32[4]):\n    y[:] = w[:, 0]\n"
    (found,) = [d for d in check_source(source, "f.vmc") if d.is_error]
    assert found.code == "E0805" and "the last extent 12 is not made of whole blocks of 8" in found.message


LAUNCH = FORMAT + (
    "kernel k(w: f[N, K], x: f32[K], y: out f32[N]):\n"
    "    for n in grid(N):\n        y[n] = sum(w[n, 0 : +8] * x[0 : +8])\n"
)


def test_a_launch_with_an_extent_that_is_not_made_of_whole_blocks_is_an_error() -> None:
    kernel = vmc.compile(LAUNCH)
    y = np.zeros(2, np.float32)
    with pytest.raises(ArgumentError, match="the last extent 12 is not made of whole blocks of 8") as error:
        kernel(np.zeros(2 * 8, np.uint8), np.zeros(12, np.float32), y)
    assert error.value.code == "E0910"
    with pytest.raises(ArgumentError, match=r"expected uint8\[2, 2, 8\]"):
        kernel(np.zeros(24, np.uint8), np.zeros(16, np.float32), y)
    with pytest.raises(ArgumentError, match=r"symbol `K` is 24 by `w`, but 16 by `x`"):
        kernel(np.zeros((2, 3, 8), np.uint8), np.zeros(16, np.float32), y)


def test_an_extent_fixed_when_compiling_must_be_made_of_whole_blocks() -> None:
    with pytest.raises(CompileError) as error:
        vmc.compile(LAUNCH, K=12)
    assert [d.code for d in error.value.diagnostics] == ["E0805"]


ANY = (
    "kernel k[F: format](w: F[K], y: out f32[K]):\n"
    "    for j in grid(K // 256):\n        y[j*256 : +256] = w[j*256 : +256]\n"
)


def test_a_kernel_takes_formats_of_modules_by_name() -> None:
    for name, nbytes in (("gguf.q8_0", 34), ("mx.mxint8", 33)):
        y = np.ones(256, np.float32)
        vmc.compile(ANY, F=name)(np.zeros((8, nbytes), np.uint8), y)
        assert not y.any()
    for name in ("gguf.q9", "nowhere.q8_0", "q8_0", "gguf.", ".q8_0", "../gguf.q8_0"):
        with pytest.raises(CompileError, match="takes a block format, and got the word"):
            vmc.compile(ANY, F=name)


def test_a_kernel_for_any_format_is_checked_though_the_file_has_none() -> None:
    assert [str(d) for d in check_source(ANY, "k.vmc")] == []
    assert "E0101" in [d.code for d in check_source(ANY + "        y[0] = missing\n", "k.vmc")]
