"""Entries of tables for the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmc.tuning.table import Entry

ENTRY = Entry(
    machine="x86_64 znver4 avx2",
    threads=2,
    kernel="copy",
    hash="ab12",
    bindings={"T": "u4"},
    symbols={"N": 64},
    parameters={"B": 32},
    seconds=1e-6,
    default_seconds=2e-6,
    cold=True,
    date="2026-11-26T12:00:00+00:00",
    versions={"vmc": "0.1.0"},
)


def entry(**changes: Any) -> Entry:
    return replace(ENTRY, **changes)
