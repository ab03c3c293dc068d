"""The compile cache on disk: object code by the hash of all that it depends on.

An entry is one file: magic, SHA-256 of the rest, length of a JSON header, header, object code. It is written to a
temporary name and moved into place, so that neither a second writer nor a killed one leaves half of it; what does not
match its checksum is rebuilt. The least recently used entries go when the whole exceeds its bound. Where the
directory cannot be written, nothing is kept.

`VMC_CACHE_DIR` names another directory, `VMC_CACHE=0` turns the cache off.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAGIC = b"vmc-obj1"
SUFFIX = ".vmcobj"
LIMIT = 256 << 20
"""Bytes that all entries together may take."""

ABANDONED = 3600.0
"""Seconds after which a temporary file is taken for a killed writer's."""


def cache_directory() -> Path | None:
    """The directory of the cache, or None where it is turned off."""
    if os.environ.get("VMC_CACHE", "1") == "0":
        return None
    named = os.environ.get("VMC_CACHE_DIR")
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("vmc", appauthor=False) / "objects"


def key_of(parts: Mapping[str, Any]) -> str:
    """The key of everything that the code depends on."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


class DiskCache:
    """Entries in one directory, of at most `limit` bytes together."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        self.directory, self.limit = directory, limit

    def path(self, key: str) -> Path:
        return self.directory / f"{key}{SUFFIX}"

    def load(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """Header and object code, or None where there is no sound entry."""
        path = self.path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        entry = decode(data)
        with contextlib.suppress(OSError):
            if entry is None:
                path.unlink()
            else:
                os.utime(path)
        return entry

    def store(self, key: str, header: Mapping[str, Any], code: bytes) -> None:
        """Keeps an entry if it can."""
        with contextlib.suppress(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".writing-", dir=self.directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(encode(header, code))
                Path(name).replace(self.path(key))
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
            self.evict()

    def evict(self) -> None:
        """Removes abandoned temporary files, and the least recently used entries beyond the limit."""
        entries: list[tuple[float, int, Path]] = []
        newest = 0.0
        for path in self.directory.iterdir():
            with contextlib.suppress(OSError):
                status = path.stat()
                newest = max(newest, status.st_mtime)
                entries.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, path in entries if path.suffix == SUFFIX)
        for time, size, path in sorted(entries):
            abandoned = path.name.startswith(".writing-") and newest - time > ABANDONED
            excess = path.suffix == SUFFIX and total > self.limit
            if abandoned or excess:
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size if path.suffix == SUFFIX else 0


def encode(header: Mapping[str, Any], code: bytes) -> bytes:
    """An entry's bytes."""
    text = json.dumps(dict(header)).encode()
    body = struct.pack("<Q", len(text)) + text + code
    return MAGIC + hashlib.sha256(body).digest() + body


def decode(data: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Header and object code of an entry's bytes; None if they are not sound."""
    start = len(MAGIC) + 32
    body = data[start:]
    if data[: len(MAGIC)] != MAGIC or hashlib.sha256(body).digest() != data[len(MAGIC) : start] or len(body) < 8:
        return None
    (length,) = struct.unpack_from("<Q", body)
    try:
        header = json.loads(body[8 : 8 + length])
    except ValueError:
        return None
    return (header, body[8 + length :]) if isinstance(header, dict) else None
