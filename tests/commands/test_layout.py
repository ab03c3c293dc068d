"""`vmc layout`: the table, JSON, the picture, and what is said about a text that is no layout."""

from __future__ import annotations

import json
import random
import re
import xml.etree.ElementTree as ET
from itertools import product
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from vmc.commands.layout_table import table
from vmc.ir.layout import parse

ACCUMULATOR = "local(2,1).spatial(8,4).local(1,2)"


def rows(out: str) -> list[list[str]]:
    """The cells of the first grid that is printed, names of rows and columns left out."""
    lines = out.split("\n\n")[0].splitlines()[1:]
    return [line.split()[1:] for line in lines]


# ---- the table -------------------------------------------------------------------------------------------------------


def test_cells_of_an_accumulator_say_lane_and_slot_as_the_ptx_manual_does(vmc: Run) -> None:
    outcome = vmc("layout", ACCUMULATOR)
    wanted = [[""] * 8 for _ in range(16)]
    for lane, slot in product(range(32), range(4)):
        wanted[lane // 4 + 8 * (slot // 2)][lane % 4 * 2 + slot % 2] = f"{lane}:{slot}"
    assert outcome.code == 0
    assert rows(outcome.out) == wanted


def test_cells_of_packed_memory_say_byte_and_bit(vmc: Run) -> None:
    wanted = [[f"{3 * (8 * r + c) // 8}.{3 * (8 * r + c) % 8}" for c in range(8)] for r in range(4)]
    assert rows(vmc("layout", "packed(u3, 4, 8)").out) == wanted


def test_elements_of_whole_bytes_are_counted_in_bytes(vmc: Run) -> None:
    assert rows(vmc("layout", "col_major(2, 3, bits=16)").out) == [["0", "4", "8"], ["2", "6", "10"]]


def test_a_plane_for_each_part_of_an_element_is_shown(vmc: Run) -> None:
    out = vmc("layout", "planes(8, widths=(2, 1))").out
    assert out.splitlines()[1].split()[:3] == ["0.0+2.0", "0.2+2.1", "0.4+2.2"]


def test_lanes_that_hold_the_same_are_a_range(vmc: Run) -> None:
    out = vmc("layout", f"{ACCUMULATOR}.reduce(1)").out
    assert "4-7:1" in out and re.search(r"copies +4", out)


def test_the_summary_tells_the_properties(vmc: Run) -> None:
    out = vmc("layout", ACCUMULATOR, "--bits", 16).out
    summary = dict(re.split(r"  +", line, maxsplit=1) for line in out.split("\n\n")[-1].splitlines())
    assert summary == {
        "layout": "layout((16, 8) bits 16: (2, 32, bit) (32, 1, lane) (32, 1, bit))",
        "shape": "16 x 8",
        "element": "16 bits",
        "lanes": "32",
        "each holds": "64 bits",
        "contiguous": "32 bits",
        "one to one": "yes, and no place is empty",
        "cells say": "lane:bit",
    }


def test_a_layout_that_overlaps_is_shown_with_two_elements_in_one_place(vmc: Run) -> None:
    assert "no: [0, 2] and [1, 0] share bit 2" in vmc("layout", "strided((2,4),(2,1))").out


def test_colours_of_a_terminal_add_nothing_but_colour() -> None:
    layout = parse(ACCUMULATOR)
    coloured = table(layout, 80, True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == table(layout, 80, False)
    assert len(set(re.findall(r"48;2;([\d;]+)m", coloured))) == 32


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_a_large_tile_is_cut_to_the_terminal(vmc: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    outcome = vmc("layout", "row_major(1000, 500)")
    grid = outcome.out.split("\n\n")[0].splitlines()
    assert all(len(line) <= max(columns, 40) for line in grid) and len(grid) < 20
    assert "..." in grid[0] and grid[-1].split()[0] == "999" and grid[-1].endswith("499999")


@pytest.mark.parametrize(
    "text", ["local()", "spatial(37)", "local(2,2,2,2)", "warps(3,1).spatial(1,5)", "local(9,1,7,1)"]
)
def test_tiles_of_any_rank_are_shown(vmc: Run, text: str) -> None:
    assert vmc("layout", text).code == 0


def test_a_layout_too_large_to_be_counted_is_still_shown(vmc: Run) -> None:
    outcome = vmc("layout", "strided((100000,100000),(100000,3))")
    assert outcome.code == 0 and "not known: too large" in outcome.out


def test_a_swizzle_of_a_large_memory_is_known_to_be_one_to_one(vmc: Run) -> None:
    assert "yes, and no place is empty" in vmc("layout", "row_major(1000000,1000000,bits=8).swizzle(7,3,3)").out


# ---- JSON ------------------------------------------------------------------------------------------------------------


def test_json_holds_the_layout_its_properties_and_its_places(vmc: Run) -> None:
    found = json.loads(vmc("layout", ACCUMULATOR, "--json").out)
    assert found["shape"] == [16, 8] and found["extents"] == {"lane": 32, "bit": 4}
    assert found["element_bits"] is None and found["injective"] and found["bijective"]
    for lane, slot in product(range(32), range(4)):
        r, c = lane // 4 + 8 * (slot // 2), lane % 4 * 2 + slot % 2
        assert (found["places"]["lane"][r][c], found["places"]["bit"][r][c]) == (lane, slot)


def test_json_of_a_text_reads_back_to_the_same(vmc: Run) -> None:
    first = json.loads(vmc("layout", "row_major(8,8,bits=16).swizzle(7,3,3)", "--json").out)
    assert json.loads(vmc("layout", first["text"], "--json").out) == first


def test_json_names_two_elements_in_one_place(vmc: Run) -> None:
    found = json.loads(vmc("layout", "strided((2,4),(2,1))", "--json").out)
    assert found["injective"] is False
    assert found["collision"] == {"one": [0, 2], "other": [1, 0], "place": {"bit": 2}}


# ---- mistakes --------------------------------------------------------------------------------------------------------


def test_an_unknown_constructor_is_underlined_and_the_near_one_named(vmc: Run) -> None:
    outcome = vmc("layout", "local(2,2).spacial(4,4)")
    assert outcome.code == 1 and outcome.out == ""
    assert "error[E0406]: unknown layout `spacial`" in outcome.err
    assert "  1 | local(2,2).spacial(4,4)\n    |            ^^^^^^^\nhelp: did you mean `spatial`?" in outcome.err


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected the name of a layout"),
        ("local(2", 8, "expected `)`"),
        ("local(2,2).spatial(4)", 12, "equal ranks"),
        ("local(2) ? 3", 10, "unexpected '?'"),
        ("packed(u33, 4)", 8, "unknown type"),
    ],
)
def test_a_malformed_text_is_one_error_with_its_column(vmc: Run, text: str, column: int, message: str) -> None:
    outcome = vmc("layout", text)
    assert outcome.code == 1 and message in outcome.err
    assert f"--> <layout>:1:{column}\n" in outcome.err and outcome.err.endswith("1 error\n")


def test_mistakes_are_json_where_json_is_asked_for(vmc: Run) -> None:
    outcome = vmc("layout", "local(2", "--json")
    (found,) = json.loads(outcome.out)["diagnostics"]
    assert outcome.code == 1 and found["span"]["column"] == 8 and outcome.err == ""


def test_bits_for_elements_that_have_them_are_refused(vmc: Run) -> None:
    outcome = vmc("layout", "packed(u3, 4)", "--bits", 4)
    assert outcome.code == 1 and "--bits 4: elements of 3 bits" in outcome.err


@pytest.mark.parametrize("words", [[], ["local(2)", "--bits", "x"], ["local(2)", "--sgv", "x.svg"]])
def test_wrong_usage_exits_with_2(vmc: Run, words: list[str]) -> None:
    assert vmc("layout", *words).code == 2


def test_damaged_texts_end_in_a_table_or_one_error(vmc: Run) -> None:
    rng = random.Random(7)
    known = [ACCUMULATOR, "packed(u3, 4)", "planes((2,4),(2,1))", "row_major(8,8,bits=4).swizzle(2,2,3)"]
    for _ in range(300):
        text = list(rng.choice(known))
        for _ in range(rng.randint(1, 3)):
            text[rng.randrange(len(text))] = rng.choice("()[],.=*0123456789abclosptu_ ")
        outcome = vmc("layout", "".join(text))
        assert outcome.code in (0, 1), "".join(text)
        assert outcome.err.count("error[") == outcome.code, "".join(text)


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_a_picture_is_written_and_nothing_is_printed(vmc: Run, tmp_path: Path) -> None:
    path = tmp_path / "acc.svg"
    outcome = vmc("layout", ACCUMULATOR, "--bits", 32, "--svg", path)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    assert root.find("{*}title").text == f"{ACCUMULATOR}.with_bits(32)"  # type: ignore[union-attr]


def test_a_picture_that_cannot_be_written_is_an_error(vmc: Run, tmp_path: Path) -> None:
    outcome = vmc("layout", ACCUMULATOR, "--svg", tmp_path / "missing" / "acc.svg")
    assert outcome.code == 1 and "cannot be written: No such file" in outcome.err
