"""Kernels whose target chose how a tensor lies in memory: they take it so, and as it was declared."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import vmc
from tests.generators.storages import vectors_of_atoms
from tests.runtime import programs, relayouts
from vmc.ir.core import Storage
from vmc.ir.layout import col_major
from vmc.runtime import targets

Array = npt.NDArray[Any]
SHAPE = (37, 21)
V, W = vectors_of_atoms(32, 16, (2, 1)), vectors_of_atoms(8, 4, (8,))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A target that chooses storages for `v` and `w`, and a cache of its own."""
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(targets, "_loaded", {})
    relayouts.install(monkeypatch, {"v": V, "w": W})
    yield tmp_path / "cache"


@pytest.fixture
def compilations(directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The tensors that are to lie as declared, for every time that code is generated."""
    found: list[set[str]] = []
    original = targets.native

    def native(kernel: Any, options: Any, dense: frozenset[str]) -> Any:
        found.append(set(dense))
        return original(kernel, options, dense)

    monkeypatch.setattr(targets, "native", native)
    return found


def compiled(type: str = "u8", **options: Any) -> vmc.Kernel:
    return vmc.compile(programs.PAIR, T=type, **options)


def codes_of(seed: int = 0, shape: tuple[int, int] = SHAPE) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 8, shape, np.uint8), rng.integers(0, 256, shape, np.uint8)


def check(kernel: vmc.Kernel, v: Any, w: Any, expected: Array, **symbols: int) -> None:
    y = np.zeros(expected.shape, np.float32)
    kernel(v, w, y, **symbols)
    np.testing.assert_array_equal(y, expected)


def test_pack_gives_the_storages_that_the_target_chose(compilations: list[set[str]]) -> None:
    kernel = compiled()
    assert kernel.storages == {"v": V, "w": W, "y": None}
    v, w = codes_of()
    packed = kernel.pack("v", v), kernel.pack("w", w)
    assert [data.storage for data in packed] == [V, W]
    assert [data.nbytes for data in packed] == [2 * 2 * 32 * 16 * 3 // 8, 5 * 6 * 32]
    check(kernel, *packed, v + 100.0 * w)
    assert compilations == [set()]


@pytest.mark.parametrize("type", ["u8", "i8", "f8e4m3"])
def test_tensors_as_declared_are_taken_by_a_variant_that_is_compiled_when_they_come(
    compilations: list[set[str]], type: str
) -> None:
    kernel = compiled(type)
    v, w = codes_of()
    w = w % 64
    stored = w.view(np.int8) if type == "i8" else w
    expected = (v + 100.0 * vmc.dtype(type).decode(w)).astype(np.float32)
    assert compilations == [set()]
    raw = np.asarray(vmc.pack(v, "u3"))
    for dense_v in (vmc.pack(v, "u3"), kernel.label("v", torch.from_numpy(raw), v.shape, dense=True)):
        for dense_w in (stored, vmc.pack(w, type), torch.from_numpy(stored)):
            check(kernel, dense_v, dense_w, expected)
    assert compilations == [set(), {"v", "w"}]


def test_every_mixture_has_its_own_variant(compilations: list[set[str]]) -> None:
    kernel = compiled()
    v, w = codes_of()
    for _ in range(2):
        check(kernel, kernel.pack("v", v), w, v + 100.0 * w)
        check(kernel, vmc.pack(v, "u3"), kernel.pack("w", w), v + 100.0 * w)
        check(kernel, kernel.pack("v", v), kernel.pack("w", w), v + 100.0 * w)
        check(kernel, vmc.pack(v, "u3"), w, v + 100.0 * w)
    assert compilations == [set(), {"w"}, {"v"}, {"v", "w"}]


def test_threads_that_need_the_same_variant_compile_it_once(compilations: list[set[str]]) -> None:
    kernel = compiled()
    v, w = codes_of()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(check, kernel, vmc.pack(v, "u3"), w, v + 100.0 * w) for _ in range(8)]:
            done.result()
    assert compilations == [set(), {"v", "w"}]


def test_sizes_are_those_of_the_storage_and_symbols_come_from_what_is_packed(directory: Path) -> None:
    kernel = compiled()
    v, w = codes_of()
    y = np.zeros(SHAPE, np.float32)
    with pytest.raises(vmc.ArgumentError, match="symbol `K` is 37 by the call, but 20 by `w`"):
        kernel(np.asarray(vmc.pack(v, "u3")), kernel.pack("w", w[:20]), y, K=37)
    with pytest.raises(vmc.ArgumentError, match="symbol `N` is 21 by `v`"):
        kernel(kernel.pack("v", v), kernel.pack("w", w[:, :20].copy()), y)
    with pytest.raises(vmc.ArgumentError, match="expected 292 bytes"):
        kernel(np.zeros(1536, np.uint8), kernel.pack("w", w), y)


def test_a_third_storage_is_refused(directory: Path) -> None:
    kernel = compiled()
    v, w = codes_of()
    other = vmc.compile(programs.PAIR.replace("T[K, N]", "T[K, N] layout col_major(4, 4)"), T="u8", target="interp")
    with pytest.raises(vmc.ArgumentError, match=r"`w`: is packed in another layout.*kernel\.pack\(\"w\", codes\)"):
        kernel(kernel.pack("v", v), other.pack("w", w), np.zeros(SHAPE, np.float32))
    with pytest.raises(vmc.ArgumentError, match=r"expected v: u3\[K, N\], got packed u4"):
        kernel(vmc.pack(v, "u4"), w, np.zeros(SHAPE, np.float32))


def test_code_from_the_disk_knows_its_storages_without_any_pass(
    directory: Path, compilations: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    v, w = codes_of()
    check(compiled(), vmc.pack(v, "u3"), w, v + 100.0 * w)
    targets._loaded.clear()

    def none(*_: Any) -> Any:
        raise AssertionError("a pass is looked for")

    monkeypatch.setattr(import_module("vmc.ir.passes"), "pipeline", none)
    kernel = compiled()
    assert kernel.storages == {"v": V, "w": W, "y": None}
    check(kernel, kernel.pack("v", v), kernel.pack("w", w), v + 100.0 * w)
    check(kernel, vmc.pack(v, "u3"), w, v + 100.0 * w)
    assert compilations == [set(), {"v", "w"}]
    assert len(list(directory.glob("*.vmcobj"))) == 2


def test_the_reference_machine_keeps_what_was_declared(directory: Path) -> None:
    kernel = compiled(target="interp")
    assert kernel.storages == dict.fromkeys("vwy")
    v, w = codes_of()
    check(kernel, kernel.pack("v", v), kernel.pack("w", w), v + 100.0 * w)
    with pytest.raises(vmc.ArgumentError, match="packed in another layout"):
        check(kernel, compiled().pack("v", v), w, v + 100.0 * w)


def test_a_declared_layout_is_kept_by_a_target_that_chooses_none() -> None:
    kernel = vmc.compile(programs.PINNED, T="u5")
    assert kernel.storages == {"x": Storage((8, 8), col_major(8, 8, bits=5), 320), "y": None}


def test_unpack_goes_by_what_the_data_remember(directory: Path) -> None:
    kernel = compiled()
    v, _ = codes_of()
    chosen, dense = kernel.pack("v", v), vmc.pack(v, "u3")
    for data in (chosen, chosen.copy(), pickle.loads(pickle.dumps(chosen)), dense):
        np.testing.assert_array_equal(kernel.unpack("v", data), v)
        np.testing.assert_array_equal(vmc.unpack(data), v)
        np.testing.assert_array_equal(vmc.unpack(data, "u3", SHAPE), v)
    with pytest.raises(TypeError, match="packed u3, not u4"):
        vmc.unpack(chosen, "u4")
    with pytest.raises(ValueError, match="take 1152 bytes in this layout, found 768"):
        vmc.unpack(chosen, shape=(40, 40))
    np.testing.assert_array_equal(kernel.unpack("v", np.asarray(dense), SHAPE), v)
    with pytest.raises(vmc.ArgumentError, match=r"expected v: u3\[K, N\], got packed u4"):
        kernel.unpack("v", vmc.pack(v, "u4"))
    with pytest.raises(TypeError, match="needs the shape"):
        kernel.unpack("v", np.asarray(dense))


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_labelled_bytes_from_a_file_are_what_pack_made(directory: Path, tmp_path: Path, target: str) -> None:
    v, w = codes_of()
    np.save(tmp_path / "v.npy", compiled(target=target).pack("v", v))
    kernel = compiled(target=target)
    stored = np.load(tmp_path / "v.npy")
    again = kernel.label("v", stored, SHAPE)
    assert np.shares_memory(again, stored)
    assert (again.element, again.extents, again.storage) == (vmc.dtype("u3"), SHAPE, kernel.storages["v"])
    np.testing.assert_array_equal(kernel.unpack("v", again), v)
    check(kernel, again, kernel.label("w", np.asarray(kernel.pack("w", w)).reshape(1, -1), SHAPE), v + 100.0 * w)


def test_labels_are_refused_for_what_does_not_fit(directory: Path) -> None:
    kernel = compiled()
    data = np.asarray(kernel.pack("v", codes_of()[0]))
    with pytest.raises(ValueError, match=r"`v` of shape \(40, 40\) takes 1152 bytes, found 768"):
        kernel.label("v", data, (40, 40))
    with pytest.raises(TypeError, match="must be uint8"):
        kernel.label("v", data.view(np.int8), SHAPE)
    with pytest.raises(vmc.ArgumentError, match="expected the shape of v"):
        kernel.label("v", data, 37)


def test_a_copy_of_packed_data_begins_at_a_cache_line(directory: Path) -> None:
    packed = compiled().pack("v", codes_of()[0])
    copies = [packed.copy() for _ in range(3)]
    assert all(data.ctypes.data % 64 == 0 and (data == packed).all() for data in (packed, *copies))
    assert not np.shares_memory(packed, copies[0])
