"""Choosing the peer to compare with, the table, and the file."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from benchmarks.matmul.checking import Accuracy
from benchmarks.matmul.machine import describe, parse_size
from benchmarks.matmul.report import print_case
from benchmarks.matmul.results import Case, Entry, best_peer, rows_of, save
from benchmarks.matmul.timing import Timing
from tests.benchmarks.small import SHAPE, numpy_contender


def entry(name: str, library: str, bits: int, seconds: float) -> Entry:
    contender = numpy_contender(name, library, bits)
    return Entry(contender, 1000, Accuracy(1e-7, 0.0), Timing(((seconds,),)))


ENTRIES = [
    entry("vmc u3", "vmc", 3, 1.0),
    entry("vmc u4", "vmc", 4, 1.0),
    entry("vmc u8", "vmc", 8, 1.0),
    entry("slow u4", "ggml", 4, 3.0),
    entry("fast u4", "torch", 4, 2.0),
    entry("fastest u2", "ggml", 2, 0.5),
]


def test_the_best_peer_is_the_fastest_of_the_same_width() -> None:
    best = best_peer(ENTRIES[1], ENTRIES)
    assert best is not None and best.contender.name == "fast u4"


def test_a_width_that_no_peer_has_is_compared_with_the_next_wider() -> None:
    best = best_peer(ENTRIES[0], ENTRIES)
    assert best is not None and best.contender.name == "fast u4"


def test_nothing_is_compared_with_a_narrower_peer() -> None:
    assert best_peer(ENTRIES[2], ENTRIES) is None


def test_rows_count_two_operations_for_each_weight_and_row() -> None:
    row = rows_of(ENTRIES, SHAPE, 4)[1]
    assert row.operations == 2 * 4 * SHAPE.k * SHAPE.n
    assert row.bandwidth == 1000
    assert row.ratio == 2.0


def test_the_table_names_every_contender() -> None:
    text = io.StringIO()
    print_case(Case(SHAPE, 4, "hot", 1e9, rows_of(ENTRIES, SHAPE, 4)), Console(file=text, width=200))
    assert all(each.contender.name in text.getvalue() for each in ENTRIES)


def test_the_file_tells_machine_versions_and_date(tmp_path: Path) -> None:
    path = tmp_path / "run" / "result.json"
    save(path, describe(), [Case(SHAPE, 4, "hot", 1e9, rows_of(ENTRIES, SHAPE, 4))], {"threads": 2})
    data = json.loads(path.read_text())
    assert data["machine"]["date"] and data["machine"]["processor"] and data["machine"]["versions"]["vmc"]
    assert data["cases"][0]["shape"] == {"k": 256, "n": 128, "group": 32}
    assert len(data["cases"][0]["rows"]) == len(ENTRIES)


def test_sizes_are_read_with_their_unit() -> None:
    assert [parse_size(text) for text in ("12", "3K", "480M", "2G")] == [12, 3072, 480 << 20, 2 << 30]
