"""Files that are no libraries, or not whole: an error before anything of them is executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc
from vmc.artifact import manifest, sealing
from vmc.artifact.library import manifest_in
from vmc.cli import main


def test_a_sealed_library_gives_its_manifest_back(folder: Path) -> None:
    data = (folder / "small.so").read_bytes()
    found = sealing.manifest_of(data)
    assert manifest.write(manifest.read(found)) == found
    assert manifest.read(found) == vmc.load(folder / "small.so").manifest


def test_every_cut_is_found(folder: Path, tmp_path: Path) -> None:
    data = (folder / "small.so").read_bytes()
    rng = np.random.default_rng(1)
    for length in [0, 1, 7, 55, 56, 57, 63, 64, 4096, len(data) - 1, *rng.integers(0, len(data), 100).tolist()]:
        (tmp_path / "cut.so").write_bytes(data[:length])
        with pytest.raises(vmc.LibraryError, match="E0922"):
            vmc.load(tmp_path / "cut.so")


def test_every_flipped_bit_is_found(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "small.so").read_bytes())
    rng = np.random.default_rng(2)
    places = [0, 4, 16, 24, 63, *range(len(data) - sealing.SIZE, len(data)), *rng.integers(0, len(data), 200).tolist()]
    for place in places:
        data[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "flipped.so").write_bytes(data)
        with pytest.raises(vmc.LibraryError):
            vmc.load(tmp_path / "flipped.so")
        data = bytearray((folder / "small.so").read_bytes())


def test_inserted_and_foreign_bytes_are_found(folder: Path, tmp_path: Path) -> None:
    data = (folder / "small.so").read_bytes()
    foreign = np.random.default_rng(3).bytes(5000)
    others = [data[:100] + b"x" + data[100:], data + b"\n", data + data, foreign, foreign + sealing.MAGIC, b"\x7fELF"]
    others += [data[: -sealing.SIZE], b"vmc-lib1", bytes(sealing.SIZE)]
    for other in others:
        (tmp_path / "other.so").write_bytes(other)
        with pytest.raises(vmc.LibraryError):
            vmc.load(tmp_path / "other.so")


def test_a_sealed_file_that_is_no_shared_object_is_an_error(tmp_path: Path, folder: Path) -> None:
    found = sealing.manifest_of((folder / "small.so").read_bytes())
    (tmp_path / "text.so").write_bytes(sealing.sealed(b"no object" + found, found))
    with pytest.raises(vmc.LibraryError, match="cannot be loaded"):
        vmc.load(tmp_path / "text.so")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{}", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{", "cannot be loaded"),
        (b"\xff", "cannot be loaded"),
        (b'{"format":2,"kernels":[]}', "format 2"),
        (b'{"format":1,"vmc":"0","levels":[],"kernels":[{"name":1}]}', "cannot be read"),
        (b'{"format":1,"vmc":"0","levels":3,"kernels":[]}', "cannot be read"),
    ],
)
def test_a_manifest_of_another_make_is_an_error(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "lib.so").write_bytes(sealing.sealed(b"ELF" + text, text))
    with pytest.raises(vmc.LibraryError, match=message):
        manifest_in(tmp_path / "lib.so")


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        vmc.load(tmp_path / "nothing.so")


def test_show_tells_what_a_library_has_and_what_is_wrong_with_a_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(folder / "small.so")]) == 0
    assert "widen(w: u3[K], y: out i32[(2 * K) // 2], K)" in capsys.readouterr().out
    assert main(["show", str(folder / "small.so"), "--json"]) == 0
    assert capsys.readouterr().out.encode().strip() == sealing.manifest_of((folder / "small.so").read_bytes())
    (tmp_path / "cut.so").write_bytes((folder / "small.so").read_bytes()[:-9])
    assert main(["show", str(tmp_path / "cut.so")]) == 1
    assert "E0922" in capsys.readouterr().err
