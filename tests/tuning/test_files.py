"""Where tables lie, which wins, and that no writer loses what another wrote."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from tests.tuning.entries import ENTRY, entry
from vmc.tuning import files
from vmc.tuning.table import TableError, newest, to_text

WRITERS, EACH = 4, 5


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without tables, and a vmc without shipped ones."""
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("VMC_TUNING", raising=False)
    (tmp_path / "shipped").mkdir()
    return tmp_path


def write(path: Path, seconds: float) -> None:
    files.update(path, [entry(seconds=seconds)])


def test_named_tables_win_over_the_user_s_and_that_over_shipped_ones(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files.known() == {}
    write(home / "shipped" / "a.json", 1.0)
    assert files.known()[ENTRY.key].seconds == 1.0
    user = files.user_path()
    assert user is not None
    write(user, 2.0)
    assert files.known()[ENTRY.key].seconds == 2.0
    for name, seconds in (("one", 3.0), ("two", 4.0)):
        write(home / name, seconds)
    monkeypatch.setenv("VMC_TUNING", os.pathsep.join([str(home / "one"), str(home / "two"), str(home / "none")]))
    assert files.known()[ENTRY.key].seconds == 4.0


def test_without_a_cache_there_is_no_user_s_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMC_CACHE", "0")
    assert files.user_path() is None and files.known() == {}


@pytest.mark.parametrize("damaged", [b"{", b"\xff\xfe", b'{"format": "other"}', b""])
def test_damaged_tables_are_left_out_with_a_warning_and_never_overwritten(home: Path, damaged: bytes) -> None:
    write(home / "shipped" / "sound.json", 1.0)
    path = home / "shipped" / "zdamaged.json"
    path.write_bytes(damaged)
    with pytest.warns(files.TuningWarning, match=r"zdamaged\.json .*left out"):
        assert files.known()[ENTRY.key].seconds == 1.0
    with pytest.raises(TableError):
        write(path, 2.0)
    assert path.read_bytes() == damaged


def test_a_table_is_replaced_whole_or_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "table.json"
    write(path, 1.0)
    before = path.read_text()

    def fail(self: Path, target: Path) -> Path:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        files.update(path, [entry(hash="cd34")])
    assert path.read_text() == before
    assert [p.name for p in home.iterdir() if p.name.startswith(".writing-")] == []


def test_a_changed_file_is_read_again(home: Path) -> None:
    path = home / "table.json"
    for seconds in (1.0, 2.0, 3.0):
        path.unlink(missing_ok=True)
        write(path, seconds)
        assert files.read(path)[ENTRY.key].seconds == seconds


def add(path: Path, writer: int) -> None:
    for number in range(EACH):
        files.update(path, [entry(hash=f"{writer}-{number}")])


def test_writers_at_the_same_time_lose_nothing(home: Path) -> None:
    path = home / "new" / "table.json"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add, args=(path, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(files.read(path)) == WRITERS * EACH


def test_a_new_table_may_be_read_by_others_as_the_mask_says(home: Path) -> None:
    path = home / "table.json"
    files.replace(path, to_text(newest([ENTRY])))
    assert path.stat().st_mode & 0o777 == 0o666 & ~files.umask()
