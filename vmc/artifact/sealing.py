"""The end of a library's file: where its manifest lies, and a hash of the file, so that a damaged one is never loaded.

    file     :=  ELF shared object, seal
    seal     :=  manifest offset, manifest size (u64, little-endian), SHA-256 of all before and of these two, MAGIC

The system's loader ignores what follows the object. What changes the file (`strip`, `patchelf`) breaks the seal.
"""

from __future__ import annotations

import hashlib
import struct

MAGIC = b"vmc-lib1"
PLACE = struct.Struct("<QQ")
SIZE = PLACE.size + 32 + len(MAGIC)


def sealed(library: bytes, manifest: bytes) -> bytes:
    """A shared object that holds the manifest, with its seal. Raises ValueError where it does not hold it."""
    offset = library.find(manifest)
    if offset < 0:
        raise ValueError("the library does not hold its manifest")
    body = library + PLACE.pack(offset, len(manifest))
    return body + hashlib.sha256(body).digest() + MAGIC


def manifest_of(data: bytes) -> bytes:
    """The manifest of a library's file. Raises ValueError, which says what is wrong, for any other file."""
    if not data.endswith(MAGIC):
        raise ValueError("it is no library of `vmc build`, or its end is missing")
    body, digest = data[: -SIZE + PLACE.size], data[-SIZE + PLACE.size : -len(MAGIC)]
    if len(data) < SIZE or hashlib.sha256(body).digest() != digest:
        raise ValueError("it was damaged or changed after it was built: its hash is another one")
    offset, size = PLACE.unpack_from(body, len(body) - PLACE.size)
    manifest = body[offset : offset + size]
    if len(manifest) != size:
        raise ValueError("its manifest is outside of it")
    return manifest
