"""The summary of a run, against a table made by hand."""

from __future__ import annotations

from benchmarks.matmul.problem import Shape
from benchmarks.matmul.results import Case, Row
from benchmarks.matmul.summary import markdown, summaries

SHAPE = Shape(64, 32, 32)


def row(name: str, type: str, bits: int, median: float, ratio: float | None, bandwidth: float = 1e9) -> Row:
    library = name.split()[0]
    return Row(
        name, library, type, bits, "int8", 100, 0.0, 0.0, 3, median, median, 0.0, 1e9, bandwidth, ratio, "ggml q4_0"
    )


def test_a_line_has_the_fastest_kernel_of_a_type_against_the_peers_at_each_m() -> None:
    one = Case(
        SHAPE,
        1,
        "cold",
        2e9,
        (
            row("ggml q4_0", "u4", 4, 2.0, None),
            row("vmc wa8 u4", "u4", 4, 1.0, 2.0, 1.8e9),
            row("vmc wa16 u4", "u4", 4, 3.0, 0.67),
            row("vmc wa8 u3", "u3", 3, 4.0, 0.5),
        ),
    )
    four = Case(SHAPE, 4, "cold", 2e9, (row("vmc wa16 u4", "u4", 4, 1.0, 1.25), row("vmc wa8 u4", "u4", 4, 1.1, 1.2)))
    alone = Case(SHAPE, 4, "hot", 2e9, (row("vmc wa8 u4", "u4", 4, 1.0, None),))
    cold, hot = summaries([one, four, alone])
    assert cold.columns == ("weights", "M=1", "M=4", "of read, M=1")
    assert cold.lines == (("u3", "0.50", "-", "50%"), ("u4", "2.00", "1.25", "90%"))
    assert hot.lines == (("u4", "-", "-"),)


def test_a_run_without_vmc_has_no_summary() -> None:
    assert summaries([Case(SHAPE, 1, "cold", 2e9, (row("ggml q4_0", "u4", 4, 2.0, None),))]) == []


def test_the_summary_is_written_as_a_table_of_markdown() -> None:
    case = Case(SHAPE, 1, "hot", 2e9, (row("vmc wa8 u4", "u4", 4, 1.0, 2.0),))
    lines = markdown(summaries([case])).splitlines()
    assert lines[:5] == [
        "### K=64 N=32 group 32, hot weights",
        "",
        "| weights | M=1 | of read, M=1 |",
        "| --- | ---: | ---: |",
        "| u4 | 2.00 | 50% |",
    ]
