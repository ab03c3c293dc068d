"""Tables: what wins when they are merged, and what is taken for a table."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuning.entries import ENTRY, entry
from vmc.tuning.table import TableError, from_text, merged, newest, to_text

OLD, NEW = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
ENTRIES = st.builds(
    entry,
    symbols=st.dictionaries(st.sampled_from("MNK"), st.integers(0, 5000), max_size=2),
    parameters=st.dictionaries(st.sampled_from(["B", "BM"]), st.integers(1, 512)),
    seconds=st.floats(1e-9, 1e3),
    default_seconds=st.none() | st.floats(1e-9, 1e3),
    date=st.sampled_from([OLD, NEW]),
)


@given(st.lists(ENTRIES))
def test_a_table_is_read_as_it_was_written(entries: list[Any]) -> None:
    table = newest(entries)
    assert from_text(to_text(table)) == table
    assert to_text(from_text(to_text(table))) == to_text(table)


def test_of_entries_about_the_same_thing_the_newest_stays_and_of_equally_old_ones_the_last() -> None:
    first, second = entry(date=NEW, seconds=1.0), entry(date=OLD, seconds=2.0)
    assert list(newest([first, second]).values()) == list(newest([second, first]).values()) == [first]
    again = entry(date=NEW, seconds=3.0)
    assert list(newest([first, again]).values()) == [again]


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "aarch64 apple-m1"},
        {"threads": 8},
        {"hash": "cd34"},
        {"bindings": {"T": "u3"}},
        {"symbols": {"N": 65}},
    ],
)
def test_machine_threads_program_bindings_and_shape_tell_entries_apart(change: dict[str, Any]) -> None:
    assert len(newest([ENTRY, entry(**change)])) == 2


def test_dates_with_other_offsets_are_compared_as_moments() -> None:
    later = entry(date="2026-11-26T12:30:00+01:00", seconds=5.0)
    assert newest([ENTRY, later])[ENTRY.key] == ENTRY


def test_later_tables_win_whatever_their_dates() -> None:
    shipped, users = newest([entry(date=NEW, seconds=1.0)]), newest([entry(date=OLD, seconds=2.0)])
    assert merged([shipped, users])[ENTRY.key].seconds == 2.0
    other = newest([entry(hash="cd34")])
    assert len(merged([shipped, other])) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no JSON"),
        ('{"format": "vmc-tun', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "is no table"),
        ('{"entries": []}', "is no table"),
        ('{"format": "vmc-tuning", "version": 99, "entries": []}', "has version 99"),
        ('{"format": "vmc-tuning", "version": 1}', "has no list of entries"),
        ('{"format": "vmc-tuning", "version": 1, "entries": [{}]}', "entry 0 has not the fields"),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(TableError, match=reason):
        from_text(text)


@pytest.mark.parametrize(
    "change",
    [
        {"machine": 1},
        {"threads": 0},
        {"threads": True},
        {"bindings": {"T": 4}},
        {"symbols": {"N": "64"}},
        {"symbols": {"N": -1}},
        {"parameters": [1]},
        {"parameters": {"B": 1.5}},
        {"seconds": float("nan")},
        {"seconds": 0},
        {"default_seconds": "fast"},
        {"cold": 1},
        {"date": "yesterday"},
        {"date": "2026-11-26T12:00:00"},
        {"versions": None},
        {"more": 1},
    ],
)
def test_entries_with_damaged_fields_are_refused(change: dict[str, Any]) -> None:
    data = {"format": "vmc-tuning", "version": 1, "entries": [asdict(ENTRY), asdict(ENTRY) | change]}
    with pytest.raises(TableError, match="entry 1"):
        from_text(json.dumps(data))
