"""Calls that fit: every kind of array, element type, and way to name arguments."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import vmc
from tests.runtime import programs
from vmc.ir.types import ALL_DTYPES, ALL_SMALL, DType
from vmc.runtime import launchable, operands

TARGETS = ("cpu", "interp")
NUMPY = ("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "f32", "f64")
ML_DTYPES = {
    "bf16": ml_dtypes.bfloat16,
    "f8e4m3": ml_dtypes.float8_e4m3fn,
    "f8e5m2": ml_dtypes.float8_e5m2,
    "f8e8m0": ml_dtypes.float8_e8m0fnu,
}
TORCH = {
    "u8": torch.uint8,
    "i8": torch.int8,
    "i16": torch.int16,
    "i32": torch.int32,
    "i64": torch.int64,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "f8e4m3": torch.float8_e4m3fn,
    "f8e5m2": torch.float8_e5m2,
    "f8e8m0": torch.float8_e8m0fnu,
}
COUNT = 37


def codes_of(type: DType) -> np.ndarray[Any, Any]:
    """Finite bit patterns, none of them NaN: executors may choose another NaN."""
    rng = np.random.default_rng(7)
    values = rng.integers(0, 3, COUNT) if type.is_uint else rng.integers(-1, 3, COUNT)
    return type.encode(values, saturate=True)


class OnlyDLPack:
    """An array that offers nothing but DLPack."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class OldDLPack(OnlyDLPack):
    """One from before DLPack had versions."""

    def __dlpack__(self) -> Any:  # type: ignore[override]
        return self.array.__dlpack__()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NUMPY)
def test_a_numpy_array_is_read_and_written_in_place(name: str, target: str) -> None:
    type = vmc.dtype(name)
    x = type.from_codes(codes_of(type))
    y = np.zeros_like(x)
    vmc.compile(programs.COPY, target=target, T=name)(x, y)
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ML_DTYPES)
def test_an_ml_dtypes_array_is_taken_for_its_type_and_so_are_its_bit_patterns(name: str, target: str) -> None:
    codes = codes_of(vmc.dtype(name))
    kernel = vmc.compile(programs.COPY, target=target, T=name)
    y = np.zeros(COUNT, ML_DTYPES[name])
    kernel(codes.view(ML_DTYPES[name]), y)
    np.testing.assert_array_equal(y.view(codes.dtype), codes)
    patterns = np.zeros_like(codes)
    kernel(codes, patterns)
    np.testing.assert_array_equal(patterns, codes)


@pytest.mark.parametrize("name", TORCH)
def test_a_torch_tensor_is_read_and_written_in_place(name: str) -> None:
    type = vmc.dtype(name)
    x = torch.from_numpy(codes_of(type).view(f"i{type.width // 8}")).view(TORCH[name])
    y = torch.zeros(COUNT, dtype=TORCH[name])
    kernel = vmc.compile(programs.COPY, T=name)
    for _ in range(2):
        y.view(torch.uint8).zero_()
        kernel(x, y)
        assert torch.equal(x.view(torch.uint8), y.view(torch.uint8))


@pytest.mark.parametrize("name", [type.name for type in ALL_SMALL])
def test_a_packed_tensor_of_every_small_type_goes_through(name: str) -> None:
    type = vmc.dtype(name)
    codes = codes_of(type)
    kernel = vmc.compile(programs.COPY, target="interp", T=name)
    x = kernel.pack("x", codes)
    y = kernel.pack("y", np.zeros_like(codes))
    kernel(x, y)
    np.testing.assert_array_equal(kernel.unpack("y", y), codes)


@pytest.mark.parametrize("name", [type.name for type in ALL_DTYPES])
def test_pack_and_unpack_are_inverse_for_every_type(name: str) -> None:
    codes = codes_of(vmc.dtype(name)).reshape(1, COUNT)
    packed = vmc.pack(codes, name)
    assert packed.dtype == np.uint8 and packed.shape == (-(-COUNT * vmc.dtype(name).width // 8),)
    np.testing.assert_array_equal(vmc.unpack(packed), codes)
    np.testing.assert_array_equal(vmc.unpack(np.asarray(packed), name, codes.shape), codes)


@pytest.mark.parametrize("wrap", [OnlyDLPack])
def test_an_array_that_offers_only_dlpack_is_read_and_written_in_place(wrap: Any) -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    for x, y in (
        (np.arange(COUNT, dtype=np.float32), np.zeros(COUNT, np.float32)),
        (torch.arange(COUNT, dtype=torch.float32), torch.zeros(COUNT)),
    ):
        kernel(wrap(x), wrap(y))
        assert bool((x == y).all())


def test_bfloat16_goes_through_dlpack() -> None:
    x = torch.arange(COUNT).to(torch.bfloat16)
    y = torch.zeros(COUNT, dtype=torch.bfloat16)
    vmc.compile(programs.COPY, T="bf16")(OnlyDLPack(x), OnlyDLPack(y))
    assert torch.equal(x, y)


def test_a_dlpack_array_without_a_version_can_be_read_but_not_written() -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    x, y = np.arange(COUNT, dtype=np.float32), np.zeros(COUNT, np.float32)
    kernel(OldDLPack(x), y)
    np.testing.assert_array_equal(x, y)
    with pytest.raises(vmc.ArgumentError, match="`y`: is written, but the array is read-only"):
        kernel(x, OldDLPack(y))


def test_arguments_go_by_position_or_by_name_in_any_order() -> None:
    kernel = vmc.compile(programs.AXPY)
    x = np.ones((3, 5), np.float32)
    for call in (
        lambda y: kernel(2.0, x, y),
        lambda y: kernel(2.0, y=y, x=x),
        lambda y: kernel(y=y, alpha=2.0, x=x),
        lambda y: kernel(2.0, x, y, M=3),
    ):
        y = np.full((3, 5), 1.0, np.float32)
        call(y)
        np.testing.assert_array_equal(y, np.full((3, 5), 3.0))


def test_symbols_are_bound_from_what_remembers_its_shape_or_from_another_argument() -> None:
    kernel = vmc.compile(programs.SCALE)
    codes = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6) % 8
    scale = np.full((2, 6), 0.5, np.float16)
    for w in (kernel.pack("w", codes), vmc.pack(codes, "u3"), np.asarray(vmc.pack(codes, "u3"))):
        y = np.zeros((4, 6), np.float32)
        kernel(w, scale, y)
        np.testing.assert_array_equal(y, codes * 0.5)


def test_packed_bytes_may_have_any_shape_of_the_right_size() -> None:
    kernel = vmc.compile(programs.SCALE)
    codes = np.arange(4 * 8, dtype=np.uint8).reshape(4, 8) % 8
    y = np.zeros((4, 8), np.float32)
    kernel(np.asarray(vmc.pack(codes, "u3")).reshape(4, 3), np.ones((2, 8), np.float16), y)
    np.testing.assert_array_equal(y, codes)


def test_a_symbol_that_only_packed_bytes_show_is_given_by_name() -> None:
    kernel = vmc.compile(programs.COPY, T="u3")
    codes = np.arange(COUNT, dtype=np.uint8) % 8
    x, y = np.asarray(vmc.pack(codes, "u3")), np.zeros(14, np.uint8)
    with pytest.raises(vmc.ArgumentError, match=r"E0912.*`N` is not known.*pass `N=\.\.\.`"):
        kernel(x, y)
    kernel(x, y, N=COUNT)
    np.testing.assert_array_equal(vmc.unpack(y, "u3", COUNT), codes)


def test_a_symbol_can_be_fixed_when_the_kernel_is_compiled() -> None:
    kernel = vmc.compile(programs.COPY, T="u3", N=COUNT)
    assert kernel.symbols == ()
    codes = np.arange(COUNT, dtype=np.uint8) % 8
    y = np.zeros(14, np.uint8)
    kernel(np.asarray(vmc.pack(codes, "u3")), y)
    np.testing.assert_array_equal(vmc.unpack(y, "u3", COUNT), codes)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 12), (24,)])
def test_blocks_of_a_format_may_be_an_axis_or_lie_flat(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    scales = rng.integers(1, 9, (2, 3)).astype(np.float16)
    q = rng.integers(0, 16, (2, 3, 4), dtype=np.uint8)
    blocks = np.concatenate([scales[..., None].view(np.uint8), q[..., 0::2] | q[..., 1::2] << 4], axis=-1)
    y = np.zeros((2, 12), np.float32)
    vmc.compile(programs.BLOCKS)(np.ascontiguousarray(blocks).reshape(shape), y)
    np.testing.assert_array_equal(y.reshape(2, 3, 4), scales[..., None].astype(np.float32) * q)


def test_arrays_without_elements_are_fine() -> None:
    y = np.zeros(0, np.float32)
    for target in TARGETS:
        vmc.compile(programs.COPY, target=target, T="f32")(np.zeros(0, np.float32), y)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("u8", 255, 255),
        ("i8", -128, 128),
        ("u8", True, 1),
        ("u64", 2**64 - 1, 2**64 - 1),
        ("i64", np.int64(-1), 2**64 - 1),
        ("f16", 2, 0x4000),
        ("f16", np.float16(1.5), 0x3E00),
        ("f32", np.array(1.5), 0x3FC00000),
        ("f32", torch.tensor(1.5), 0x3FC00000),
        ("f32", float("inf"), 0x7F800000),
        ("f32", ml_dtypes.bfloat16(1.5), 0x3FC00000),
        ("f64", float("nan"), 0x7FF8000000000000),
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_scalar_is_any_number_in_range(name: str, value: Any, code: int, target: str) -> None:
    kernel = vmc.compile(programs.SCALAR, target=target, T=name)
    y = kernel.pack("y", np.zeros(1, vmc.dtype(name).code_dtype))
    kernel(value, y)
    assert int(kernel.unpack("y", y)[0]) == code


def test_later_calls_see_new_addresses_and_shapes() -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    for count in (5, 5, 40, 5):
        x, y = np.random.default_rng(count).random(count, np.float32), np.zeros(count, np.float32)
        kernel(x, y)
        np.testing.assert_array_equal(x, y)


def test_later_calls_see_what_has_changed_in_an_array() -> None:
    kernel = vmc.compile(programs.COPY, T="f32")
    x, y = np.arange(6, dtype=np.float32), np.zeros(6, np.float32)
    kernel(x, y)
    y.setflags(write=False)
    with pytest.raises(vmc.ArgumentError, match="read-only"):
        kernel(x, y)
    y.setflags(write=True)
    x.resize(4, refcheck=False)
    with pytest.raises(vmc.ArgumentError, match="`N`"):
        kernel(x, y)
    x.resize(6, refcheck=False)
    x[:], y[:] = 3, 0
    kernel(x, y)
    np.testing.assert_array_equal(y, 3)


def test_where_the_header_of_an_array_cannot_be_read_numpy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operands.header_at is not None
    for module in (operands, launchable):
        monkeypatch.setattr(module, "header_at", None)
    kernel = vmc.compile(programs.COPY, T="u3")
    for _ in range(2):
        x, y = kernel.pack("x", np.arange(8, dtype=np.uint8)), kernel.pack("y", np.zeros(8, np.uint8))
        kernel(x, y)
        np.testing.assert_array_equal(np.asarray(y), np.asarray(x))
    kernel = vmc.compile(programs.COPY, T="f32")
    for _ in range(2):
        a, b = np.arange(6, dtype=np.float32), np.zeros(6, np.float32)
        kernel(a, b)
        np.testing.assert_array_equal(a, b)


def test_packed_arrays_that_remember_the_same_are_of_one_kind() -> None:
    one, same, other = (vmc.pack(np.zeros(count, np.uint8), "u3") for count in (8, 8, 7))
    assert one.kind is same.kind is one.copy().kind
    assert other.kind is not one.kind and one[:2].kind is None


def test_arrays_of_either_library_and_a_file_mapping_mix(tmp_path: Any) -> None:
    x = np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=(COUNT,))
    x[:] = np.arange(COUNT)
    y = torch.zeros(COUNT)
    vmc.compile(programs.COPY, T="f32")(x, y)
    np.testing.assert_array_equal(y.numpy(), x)


def test_a_kernel_says_what_it_takes() -> None:
    kernel = vmc.compile(programs.SCALE)
    assert list(map(str, kernel.parameters)) == ["w: u3[K, N]", "s: f16[K // 2, N]", "y: out f32[K, N]"]
    assert kernel.symbols == ("K", "N")
    assert "scale(w: u3[K, N]" in repr(kernel)
    assert kernel.source == programs.SCALE
