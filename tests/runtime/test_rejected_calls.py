"""Calls that do not fit: which error, and that nothing was written before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import vmc
from tests.runtime import programs

F32 = np.float32
SENTINEL = 7.0


def grid(*shape: int, dtype: Any = F32) -> np.ndarray[Any, Any]:
    return np.ones(shape, dtype)


def unaligned(count: int) -> np.ndarray[Any, Any]:
    return np.zeros(4 * count + 1, np.uint8)[1:].view(F32)


class OnTheGPU:
    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError("never asked for")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


COPY_CASES: list[tuple[str, Callable[[], dict[str, Any]], str, str]] = [
    ("missing", lambda: {"x": grid(4)}, "E0908", "misses `y: out f32[N]`"),
    ("unknown", lambda: {"x": grid(4), "y": grid(4), "z": 1}, "E0908", "no parameter or symbol `z`"),
    ("misspelt", lambda: {"xx": grid(4), "y": grid(4)}, "E0908", "(it has `x`, `y`, `N`)"),
    ("a number", lambda: {"x": 3.5, "y": grid(4)}, "E0909", "expected an array for x: f32[N], got 3.5"),
    ("a list", lambda: {"x": [1.0, 2.0], "y": grid(2)}, "E0909", "got list"),
    ("nothing", lambda: {"x": None, "y": grid(2)}, "E0909", "got None"),
    (
        "f64",
        lambda: {"x": grid(4, dtype=np.float64), "y": grid(4)},
        "E0909",
        "expected float32 for x: f32[N], got float64[4] (pass x.astype(np.float32))",
    ),
    ("i32", lambda: {"x": grid(4, dtype=np.int32), "y": grid(4)}, "E0909", "got int32[4]"),
    ("bool", lambda: {"x": grid(4, dtype=bool), "y": grid(4)}, "E0909", "got bool[4]"),
    ("complex", lambda: {"x": grid(4, dtype=np.complex64), "y": grid(4)}, "E0909", "got complex64[4]"),
    ("object", lambda: {"x": np.array([None] * 4), "y": grid(4)}, "E0909", "got object[4]"),
    ("byte order", lambda: {"x": grid(4, dtype=">f4"), "y": grid(4)}, "E0909", "foreign byte order"),
    ("packed other", lambda: {"x": vmc.pack([1, 2], "u3"), "y": grid(2)}, "E0909", "got packed u3[2]"),
    ("rank", lambda: {"x": grid(2, 2), "y": grid(4)}, "E0910", "got rank 2, float32[2, 2]"),
    ("scalar array", lambda: {"x": np.array(1.0, F32), "y": grid(1)}, "E0910", "got rank 0"),
    ("two extents", lambda: {"x": grid(4), "y": grid(5)}, "E0911", "symbol `N` is 4 by `x`, but 5 by `y`, float32[5]"),
    ("strided", lambda: {"x": grid(8)[::2], "y": grid(4)}, "E0910", "(pass np.ascontiguousarray(x))"),
    ("strided output", lambda: {"x": grid(4), "y": grid(8)[::2]}, "E0910", "(pass a contiguous array, and copy"),
    ("output type", lambda: {"x": grid(4), "y": grid(4, dtype=int)}, "E0909", "(make `y` an array of np.float32)"),
    ("reversed", lambda: {"x": grid(4)[::-1], "y": grid(4)}, "E0910", "must be C-contiguous"),
    ("unaligned", lambda: {"x": unaligned(4), "y": grid(4)}, "E0909", "must be aligned to 4 bytes"),
    ("cuda", lambda: {"x": OnTheGPU(), "y": grid(4)}, "E0909", "`x`: is on cuda:0"),
    ("meta", lambda: {"x": torch.zeros(4, device="meta"), "y": grid(4)}, "E0909", "`x`: is on meta"),
    ("sparse", lambda: {"x": torch.eye(2).to_sparse(), "y": grid(4)}, "E0909", "layout is torch.sparse_coo"),
    ("torch strided", lambda: {"x": torch.zeros(8)[::2], "y": grid(4)}, "E0910", "(pass x.contiguous())"),
    ("torch f64", lambda: {"x": torch.zeros(4).double(), "y": grid(4)}, "E0909", "(pass x.to(torch.float32))"),
    (
        "keyword twice",
        lambda: {"x": grid(4), "y": grid(4), "N": 5},
        "E0911",
        "symbol `N` is 5 by the call, but 4 by `x`",
    ),
    ("symbol text", lambda: {"x": grid(4), "y": grid(4), "N": "4"}, "E0912", "expected an integer, got '4'"),
    ("symbol negative", lambda: {"x": grid(4), "y": grid(4), "N": -4}, "E0912", "must not be negative"),
]


@pytest.mark.parametrize("target", ["cpu", "interp"])
@pytest.mark.parametrize(("case", "arguments", "code", "message"), COPY_CASES, ids=[case[0] for case in COPY_CASES])
def test_an_argument_that_does_not_fit_is_named_and_nothing_is_written(
    case: str, arguments: Callable[[], dict[str, Any]], code: str, message: str, target: str
) -> None:
    kernel = vmc.compile(programs.COPY, target=target, T="f32")
    given = arguments()
    if isinstance(given.get("y"), np.ndarray):
        given["y"][:] = SENTINEL
    with pytest.raises(vmc.ArgumentError) as caught:
        kernel(**given)
    assert caught.value.code == code
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"[{code}] copy: ")
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ValueError)
    if isinstance(given.get("y"), np.ndarray):
        assert (given["y"] == SENTINEL).all()


def test_the_help_for_a_type_that_numpy_lacks_makes_it() -> None:
    x, y = np.linspace(-2, 2, 8, dtype=F32), np.zeros(8, np.uint8)
    for name in ("bf16", "f8e4m3", "f8e5m3u", "i8", "f64"):
        kernel = vmc.compile(programs.COPY, T=name)
        with pytest.raises(vmc.ArgumentError) as caught:
            kernel(x, y)
        text = str(caught.value.help).removeprefix("pass ")
        converted = eval(text, {"np": np, "ml_dtypes": ml_dtypes, "vmc": vmc, "x": x})
        kernel(converted, np.zeros_like(converted))
    assert text == "x.astype(np.float64)"


def test_a_packed_output_of_the_wrong_size_is_told_how_to_be_allocated() -> None:
    kernel = vmc.compile(programs.COPY, T="u3")
    x = kernel.pack("x", np.arange(20) % 8)
    with pytest.raises(vmc.ArgumentError, match="expected 8 bytes") as caught:
        kernel(x, np.zeros(20, np.uint8))
    first, second = str(caught.value.help).removeprefix("allocate ").split(", or ")
    for text in (first, second):
        y = eval(text, {"np": np, "kernel": kernel})
        kernel(x, y)
        np.testing.assert_array_equal(kernel.unpack("y", y, 20), np.arange(20) % 8)
    with pytest.raises(vmc.ArgumentError, match=r"allocate it with kernel.pack\(\"y\", np.zeros\(shape, np.uint8\)\)"):
        kernel(x, np.zeros(20, F32))


def test_too_many_arguments_or_one_given_twice_are_errors() -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    with pytest.raises(vmc.ArgumentError, match="takes 2 arguments, got 3"):
        kernel(grid(4), grid(4), grid(4))
    with pytest.raises(vmc.ArgumentError, match="`x`: is given twice"):
        kernel(grid(4), y=grid(4), x=grid(4))


def test_an_output_must_be_writable() -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    y = grid(4)
    y.flags.writeable = False
    with pytest.raises(vmc.ArgumentError, match="`y`: is written, but the array is read-only"):
        kernel(grid(4), y)
    with pytest.raises(vmc.ArgumentError, match=r"`y`: is written, but requires grad.*detach"):
        kernel(grid(4), torch.zeros(4, requires_grad=True))
    kernel(torch.ones(4, requires_grad=True), torch.zeros(4))
    x = grid(4)
    x.flags.writeable = False
    kernel(x, grid(4))


@pytest.mark.parametrize("offset", [0, 3, -3])
def test_an_output_must_not_overlap_another_argument(offset: int) -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    kernel(grid(8), grid(8))
    memory = np.zeros(32, F32)
    x, y = memory[8:16], memory[8 + offset : 16 + offset]
    with pytest.raises(vmc.ArgumentError, match="`x` and `y` overlap in memory, and `y` is written"):
        kernel(x, y)
    kernel(memory[8:16], memory[16:24])
    with pytest.raises(vmc.ArgumentError, match="overlap"):
        kernel(torch.from_numpy(x), y)


def test_inputs_may_be_the_same_array() -> None:
    source = "kernel add(a: f32[N], b: f32[N], y: out f32[N]):\n    y[0 : +4] = a[0 : +4] + b[0 : +4]\n"
    y = grid(4)
    x = grid(4)
    vmc.compile(source)(x, x, y)
    np.testing.assert_array_equal(y, 2.0)


def test_unpacked_codes_are_told_from_packed_bytes() -> None:
    kernel = vmc.compile(programs.SCALE)
    codes, scale, y = np.zeros((4, 6), np.uint8), grid(2, 6, dtype=np.float16), grid(4, 6)
    with pytest.raises(vmc.ArgumentError, match=r"expected 9 bytes \(packed u3\[4, 6\]\), got 24 \(use kernel.pack"):
        kernel(codes, scale, y)
    with pytest.raises(vmc.ArgumentError, match=r"expected uint8 \(packed u3\), got int8\[9\]"):
        kernel(np.zeros(9, np.int8), scale, y)
    with pytest.raises(vmc.ArgumentError, match=r"expected w: u3\[K, N\], got packed u4\[4, 6\]"):
        kernel(vmc.pack(codes, "u4"), scale, y)
    with pytest.raises(vmc.ArgumentError, match=r"symbol `N` is 6 by `w`, but 5 by `y`"):
        kernel(vmc.pack(codes, "u3"), grid(2, 6, dtype=np.float16), grid(4, 5))


def test_an_extent_that_follows_from_symbols_is_checked() -> None:
    kernel = vmc.compile(programs.SCALE)
    w, y = vmc.pack(np.zeros((4, 6), np.uint8), "u3"), grid(4, 6)
    with pytest.raises(
        vmc.ArgumentError, match=r"expected extent 2 \(K // 2, K = 4\) along axis 0 of s: f16\[K // 2, N\]"
    ):
        kernel(w, grid(4, 6, dtype=np.float16), y)


def test_a_fixed_extent_is_checked() -> None:
    kernel = vmc.compile(programs.FIXED)
    with pytest.raises(
        vmc.ArgumentError, match=r"expected extent 4 \(4\) along axis 0 of x: f32\[4, 8\], got float32\[5, 8\]"
    ):
        kernel(grid(5, 8), grid(8))


def test_blocks_of_a_format_are_checked() -> None:
    kernel = vmc.compile(programs.BLOCKS)
    with pytest.raises(
        vmc.ArgumentError, match=r"expected uint8 \(blocks of pair, 4 bytes each\), got int8\[2, 3, 4\]"
    ):
        kernel(np.zeros((2, 3, 4), np.int8), grid(2, 12))
    with pytest.raises(vmc.ArgumentError, match=r"symbol `N` is 12 by `w`, but 8 by `y`"):
        kernel(np.zeros((2, 3, 4), np.uint8), grid(2, 8))
    with pytest.raises(vmc.ArgumentError, match=r"expected uint8\[2, 3, 4\] \(24 bytes of pair\), got uint8\[20\]"):
        kernel(np.zeros(20, np.uint8), grid(2, 12))
    with pytest.raises(vmc.ArgumentError, match="13 is not made of whole blocks of 4"):
        kernel(np.zeros(26, np.uint8), grid(2, 13))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("u8", 256, "256 is outside the range of u8, 0 to 255"),
        ("u8", -1, "-1 is outside the range of u8"),
        ("i16", 1.0, "expected an integer for value: i16, got 1.0"),
        ("f32", "1", "expected a number for value: f32, got '1'"),
        ("f32", 1j, "expected a number"),
        ("f32", None, "expected a number for value: f32, got None"),
        ("f32", np.zeros(2), "expected a number"),
        ("f16", 1e6, "1000000.0 is outside the range of f16"),
    ],
)
def test_a_scalar_that_does_not_fit_is_named(name: str, value: Any, message: str) -> None:
    kernel = vmc.compile(programs.SCALAR, T=name)
    y = kernel.pack("y", np.zeros(1, vmc.dtype(name).code_dtype))
    with pytest.raises(vmc.ArgumentError) as caught:
        kernel(value, y)
    assert message in str(caught.value)
    assert caught.value.parameter == "value"


def test_a_misspelt_argument_is_guessed() -> None:
    with pytest.raises(vmc.ArgumentError, match=r"no parameter or symbol `alhpa` \(did you mean `alpha`\?\)"):
        vmc.compile(programs.AXPY)(alhpa=1.0, x=grid(2, 2), y=grid(2, 2))


def test_pack_says_what_cannot_be_packed() -> None:
    kernel = vmc.compile(programs.SCALE)
    with pytest.raises(vmc.ArgumentError, match="no parameter or symbol `weights`"):
        kernel.pack("weights", [1])
    with pytest.raises(vmc.ArgumentError, match=r"expected the shape of w: u3\[K, N\], got \[2\]"):
        kernel.pack("w", [1, 2])
    with pytest.raises(ValueError, match=r"codes of u3 lie in 0\.\.7, found 8"):
        kernel.pack("w", [[8]])
    with pytest.raises(TypeError, match="codes of u3 must be integers"):
        kernel.pack("w", [[1.5]])
    with pytest.raises(vmc.ArgumentError, match="is a scalar"):
        vmc.compile(programs.AXPY).pack("alpha", [1])
    with pytest.raises(vmc.ArgumentError, match="block format pair"):
        vmc.compile(programs.BLOCKS).pack("w", [[1]])


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_a_failed_assertion_of_the_program_names_its_line(target: str) -> None:
    kernel = vmc.compile(programs.CHECKED, target=target)
    y = np.zeros(4, np.int32)
    kernel(np.arange(4, dtype=np.int32), y)
    with pytest.raises(vmc.ExecutionError, match=r"<text>:5:\d+: negative input"):
        kernel(np.array([1, -1, 2, 3], np.int32), y)
