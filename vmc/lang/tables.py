"""The LALR tables of the grammar: made by Lark once, then kept in the user's cache directory.

Making the tables takes a tenth of a second and more, reading them less than ten milliseconds. The file's name carries a
digest of the grammar, of Lark's and of Python's version; it appears by an atomic rename, so that processes starting
together never see half a file, and one that cannot be read is made again.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import lark
from lark.common import LexerConf
from lark.lexer import Lexer

from vmc.lang.builder import Builder

_GRAMMAR = Path(__file__).with_name("grammar.lark")


class WordsComeFromTheScanner(Lexer):
    """The lexer that Lark wants to know; it never runs."""

    def __init__(self, lexer_conf: LexerConf) -> None:
        pass

    def lex(self, lexer_state: object, parser_state: object) -> Iterator[lark.Token]:
        return iter(())


def build(grammar: str) -> lark.Lark:
    """Compute the tables of a grammar."""
    return lark.Lark(
        grammar,
        start="item",
        parser="lalr",
        lexer=WordsComeFromTheScanner,
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=Builder(),
    )


@cache
def tables() -> lark.Lark:
    """The parser of one top-level item."""
    grammar = _GRAMMAR.read_bytes()
    path = _cache_file(grammar)
    if path is not None and (kept := _read(path)) is not None:
        return kept
    made = build(grammar.decode())
    if path is not None:
        _write(path, made)
    return made


def _cache_file(grammar: bytes) -> Path | None:
    import platformdirs

    version = f"{lark.__version__} {sys.version_info[:3]} {__name__}".encode()
    digest = hashlib.sha256(grammar + version).hexdigest()[:20]
    try:
        return Path(platformdirs.user_cache_dir("vmc")) / f"grammar-{digest}.tables"
    except (OSError, RuntimeError):
        return None


def _read(path: Path) -> lark.Lark | None:
    try:
        data = path.read_bytes()
        digest, tables = data[:32], data[32:]
        if hashlib.sha256(tables).digest() != digest:
            return None
        return lark.Lark.load(io.BytesIO(tables))
    except (OSError, pickle.PickleError, AttributeError, EOFError, ImportError, KeyError, IndexError, TypeError):
        return None


def _write(path: Path, made: lark.Lark) -> None:
    """Keep the tables; a directory that cannot be written costs time on the next start, nothing else."""
    buffer = io.BytesIO()
    made.save(buffer)
    data = buffer.getvalue()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        Path(name).replace(path)
    except OSError:
        return
