"""`vmc explain-error`."""

from __future__ import annotations

import argparse
import json

import pytest

from vmc.commands import explain_error
from vmc.diagnostics.codes import CODES


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    explain_error.add_arguments(parser)
    return explain_error.run(parser.parse_args(arguments))


@pytest.mark.parametrize("written", ["E0203", "e0203", "0203", "203", "[E0203]"])
def test_a_code_is_explained_with_both_examples(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("E0203: `/` on integers\n")
    assert "Wrong:" in shown and "    return n / 2" in shown
    assert "Right:" in shown and "    return n // 2" in shown


def test_an_unknown_code_is_json_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("E9999", "--json") == 1
    shown = capsys.readouterr()
    assert "there is no code `E9999`" in json.loads(shown.out)["error"]
    assert not shown.err


def test_every_code_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for code, entry in CODES.items():
        assert run(code) == 0
        assert entry.title in capsys.readouterr().out


def test_an_unknown_code_is_an_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("E9203") == 1
    assert "did you mean `E0203`?" in capsys.readouterr().err
    assert run("nonsense") == 1
    assert "--list" in capsys.readouterr().err


def test_no_code_is_a_mistake_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "--list" in capsys.readouterr().err


def test_all_codes_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    shown = capsys.readouterr().out
    assert all(code in shown for code in CODES)
    assert run("--list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {code: entry.title for code, entry in CODES.items()}


def test_an_entry_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("E0203", "--json") == 0
    assert json.loads(capsys.readouterr().out)["right"] == CODES["E0203"].right
