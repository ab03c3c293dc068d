"""A table of tuned parameters: entries by what was tuned, merged, written as JSON and read from it.

{"format": "vmc-tuning", "version": 1, "entries": [
  {"machine": "x86_64 sapphirerapids avx2 ...", "threads": 2, "kernel": "matmul_wa8", "hash": "5a...",
   "bindings": {"G": "128", "T": "u4"}, "symbols": {"K": 4096, "M": 1, "N": 4096},
   "parameters": {"BM": 1, "BN": 64}, "seconds": 0.00071, "default_seconds": 0.00093, "cold": true,
   "date": "2026-11-26T19:40:00+00:00", "versions": {"vmc": "0.1.0", "llvm": "20.1.8"}}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

FORMAT, VERSION = "vmc-tuning", 1

Key = tuple[str, int, str, tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]
"""Machine, threads, the kernel's hash, bindings, symbols."""


class TableError(ValueError):
    """A text that is no table of tuned parameters, or one of another version."""


@dataclass(frozen=True)
class Entry:
    """The fastest `parameters` of a kernel for a shape on a machine with so many threads.

    `bindings` are the kernel's other compile-time parameters, as `Kernel.bindings` shows them. `seconds` is the median
    time of a launch, `default_seconds` that of the kernel's defaults, None where those do not compile; `cold` whether
    the arguments came from memory instead of a cache. `date` is ISO 8601 with an offset.
    """

    machine: str
    threads: int
    kernel: str
    hash: str
    bindings: Mapping[str, str]
    symbols: Mapping[str, int]
    parameters: Mapping[str, int]
    seconds: float
    default_seconds: float | None
    cold: bool
    date: str
    versions: Mapping[str, str]

    @property
    def key(self) -> Key:
        """What the entry is about; a table has one entry for it."""
        bindings, symbols = tuple(sorted(self.bindings.items())), tuple(sorted(self.symbols.items()))
        return self.machine, self.threads, self.hash, bindings, symbols

    @property
    def when(self) -> datetime:
        return datetime.fromisoformat(self.date)


Table = Mapping[Key, Entry]


def newest(entries: Iterable[Entry]) -> dict[Key, Entry]:
    """A table of entries; of several about the same thing the newest, of equally old ones the last."""
    found: dict[Key, Entry] = {}
    for entry in entries:
        old = found.get(entry.key)
        if old is None or entry.when >= old.when:
            found[entry.key] = entry
    return found


def merged(tables: Iterable[Table]) -> dict[Key, Entry]:
    """Tables as one, in which later tables win over earlier ones, whatever their dates."""
    found: dict[Key, Entry] = {}
    for table in tables:
        found.update(table)
    return found


def to_text(table: Table) -> str:
    """The table as JSON, an entry a line, in an order that makes small differences of small changes."""
    order = sorted(table.values(), key=lambda e: (e.kernel, e.machine, e.threads, sorted_items(e)))
    lines = ",\n".join("  " + json.dumps(asdict(entry), sort_keys=True) for entry in order)
    body = f"[\n{lines}\n]" if lines else "[]"
    return f'{{"format": "{FORMAT}", "version": {VERSION}, "entries": {body}}}\n'


def sorted_items(entry: Entry) -> tuple[Any, ...]:
    return sorted(entry.bindings.items()), sorted(entry.symbols.items()), entry.hash


def from_text(text: str) -> dict[Key, Entry]:
    """The table that JSON tells. Raises TableError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(f"is no JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise TableError("is no table of tuned parameters")
    if data.get("version") != VERSION:
        raise TableError(f"has version {data.get('version')!r}, and this vmc reads version {VERSION}")
    rows = data.get("entries")
    if not isinstance(rows, list):
        raise TableError("has no list of entries")
    return newest(entry_of(row, place) for place, row in enumerate(rows))


def entry_of(row: Any, place: int) -> Entry:
    """One entry of JSON. Raises TableError."""
    names = {field.name for field in fields(Entry)}
    if not isinstance(row, dict) or set(row) != names:
        raise TableError(f"entry {place} has not the fields {', '.join(sorted(names))}")
    for name, fits in CHECKS.items():
        if not fits(row[name]):
            raise TableError(f"entry {place}: `{name}` cannot be {row[name]!r}")
    return Entry(**row)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0


def is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def is_date(value: Any) -> bool:
    try:
        return is_text(value) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_map(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "machine": is_text,
    "threads": lambda value: is_whole(value) and value > 0,
    "kernel": is_text,
    "hash": is_text,
    "bindings": lambda value: is_map(value, is_text),
    "symbols": lambda value: is_map(value, is_count),
    "parameters": lambda value: is_map(value, is_whole),
    "seconds": is_time,
    "default_seconds": lambda value: value is None or is_time(value),
    "cold": lambda value: isinstance(value, bool),
    "date": is_date,
    "versions": lambda value: is_map(value, is_text),
}
