"""What identifies this installation of vmc and this host, for the keys of the compile cache."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import vmc

SUFFIXES = (".py", ".lark", ".vmc", ".json")
TABLES = "tuning/*.json"
"""Tuned parameters choose what is compiled, not how."""


@cache
def code_fingerprint() -> str:
    """A hash of vmc's version and of the contents of its own files, so that changed code never meets old entries."""
    digest = hashlib.blake2b(vmc.__version__.encode(), digest_size=16)
    root = Path(vmc.__file__).parent
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(SUFFIXES) and not path.match(TABLES):
                digest.update(f"\0{path.relative_to(root).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
