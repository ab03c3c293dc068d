"""Where tables lie: those that come with vmc, the user's, and those that `VMC_TUNING` names; later ones win.

A table is written under a lock, merged with what is there, to a temporary name, and moved into place: neither a second
writer nor a killed one loses entries. A table that cannot be read is left out with a `TuningWarning`, and never
overwritten.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from vmc.runtime.cache import cache_directory
from vmc.tuning.table import Entry, Key, Table, TableError, from_text, merged, newest, to_text

SHIPPED = Path(__file__).parent
USER = "tuning.json"


class TuningWarning(UserWarning):
    """A table of tuned parameters that was left out."""


def user_path() -> Path | None:
    """The user's table, beside the compiled code; None where `VMC_CACHE=0` turned that off."""
    directory = cache_directory()
    return directory / USER if directory else None


def paths() -> list[Path]:
    """All tables that are looked into, the one that wins last; they need not exist."""
    user = user_path()
    named = [Path(name) for name in os.environ.get("VMC_TUNING", "").split(os.pathsep) if name]
    return [*sorted(SHIPPED.glob("*.json")), *([user] if user else []), *named]


def known() -> dict[Key, Entry]:
    """All tables as one."""
    return merged(filter(None, map(readable, paths())))


def readable(path: Path) -> Table | None:
    """The table in a file; None where there is no file, or, with a warning, no sound table."""
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except (OSError, TableError) as error:
        reason = error if isinstance(error, TableError) else f"cannot be read: {error.strerror or error}"
        warnings.warn(f"the table of tuned parameters {path} {reason}; it is left out", TuningWarning, stacklevel=2)
        return None


def read(path: Path) -> Table:
    """The table in a file. Raises OSError, TableError."""
    status = path.stat()
    return cached(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=32)
def cached(path: Path, _changed: int, _size: int, _file: int) -> Table:
    try:
        return from_text(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise TableError("is no UTF-8 text") from None


def update(path: Path, entries: Iterable[Entry]) -> None:
    """Adds entries to the table in a file, which need not exist; the newest of those about the same thing stays.

    Raises OSError where it cannot be written, TableError for a file that is no table: it stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        try:
            old = read(path)
        except FileNotFoundError:
            old = {}
        replace(path, to_text(newest([*old.values(), *entries])))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While no other process updates the file. The lock is a file beside it, which stays."""
    import fcntl

    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace(path: Path, text: str) -> None:
    """Writes a file, whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix=".json", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o666 & ~umask())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def umask() -> int:
    """The mask for new files, which `mkstemp` does not use."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
