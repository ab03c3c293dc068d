"""Every code of the table arises from its wrong example, and its right example is free of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmc.diagnostics.codes import CODES
from vmc.lang import CompileError, check_source, compile_kernel

ELSEWHERE = {"E0041", "E0106"}
"""Codes whose examples are not one short file: tested on their own."""

PROGRAM_CODES = [code for code in CODES if not code.startswith("E09") and code not in ELSEWHERE]


@pytest.mark.parametrize("code", PROGRAM_CODES)
def test_the_wrong_example_of_a_code_gives_it(code: str) -> None:
    assert code in [d.code for d in check_source(CODES[code].wrong, "example.vmc")]


@pytest.mark.parametrize("code", PROGRAM_CODES)
def test_the_right_example_of_a_code_has_no_error(code: str) -> None:
    assert [str(d) for d in check_source(CODES[code].right, "example.vmc") if d.is_error] == []


def test_modules_that_import_each_other_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.vmc").write_text("import b\ndef f(x):\n    return b.g(x)\n")
    (tmp_path / "b.vmc").write_text("import a\ndef g(x):\n    return a.f(x)\n")
    found = check_source((tmp_path / "a.vmc").read_text(), str(tmp_path / "a.vmc"))
    assert "E0106" in [d.code for d in found]


def test_several_mistakes_of_a_file_are_all_reported() -> None:
    source = (
        "kernel k(x: f16[N], y: out f32[N]):\n"
        "    for i in grid(cdiv(N, 64)):\n"
        "        a = x[i*64 : +64] + zz\n"
        "        b = x[i*64 : +64] @ 3\n"
        "        y[i*64 : +64] = x[i*64 : +64]\n"
        "        q = a + b\n"
    )
    found = [(d.code, d.span.line) for d in check_source(source, "k.vmc") if d.is_error]
    assert found == [("E0101", 3), ("E0314", 4), ("E0210", 5)]


def test_a_mistake_that_only_some_types_make_says_with_which() -> None:
    source = "kernel k[T: type](x: T[8], y: out i32[8]):\n    y[:] = popcount(x[:])\n"
    (found,) = [d for d in check_source(source, "k.vmc") if d.is_error]
    assert found.code == "E0216"
    assert any("T = f6e3m2" in note.text for note in found.notes)


@pytest.mark.parametrize("value", [1.5, True])
def test_a_parameter_with_an_integer_default_takes_integers_only(value: float) -> None:
    source = "kernel k[BM = 4](x: f32[BM], y: out f32[BM]):\n    y[:] = x[:]\n"
    with pytest.raises(CompileError, match=r"E0705.*`BM` takes an integer"):
        compile_kernel(source, "k.vmc", None, {"BM": value})


def test_a_module_whose_name_no_file_can_have_is_unknown() -> None:
    assert [d.code for d in check_source(f"import {'a' * 5000}\n", "k.vmc") if d.is_error] == ["E0104"]
