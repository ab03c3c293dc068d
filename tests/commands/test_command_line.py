"""The command line as a whole: exit codes, help, interruption, and bugs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vmc as package
from tests.commands.conftest import Run
from vmc import cli

COMMANDS = list(cli.COMMANDS)


def test_without_a_command_the_help_is_printed(vmc: Run) -> None:
    outcome = vmc()
    assert outcome.code == 2
    assert all(command in outcome.out for command in COMMANDS)


def test_the_version_is_printed(vmc: Run) -> None:
    outcome = vmc("--version")
    assert (outcome.code, outcome.out.strip()) == (0, f"vmc {package.__version__}")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(vmc: Run, command: str) -> None:
    outcome = vmc(command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"usage: vmc {command}")


@pytest.mark.parametrize(
    "words",
    [
        ["chekc"],
        ["check"],
        ["check", "--wrong", "a.vmc"],
        ["run"],
        ["run", "copy.vmc", "--set", "T"],
        ["run", "copy.vmc", "--set", "=u4"],
        ["run", "copy.vmc", "--set", "T="],
        ["run", "copy.vmc", "--arg", "x"],
        ["run", "copy.vmc", "--arg", "x="],
        ["run", "copy.vmc", "--seed", "many"],
        ["explain-error"],
    ],
)
def test_wrong_usage_ends_with_2(vmc: Run, folder: Path, words: list[str]) -> None:
    outcome = vmc(*words)
    assert outcome.code == 2
    assert outcome.err


@pytest.mark.parametrize("command", ["check", "run", "show"])
def test_files_that_cannot_be_read_are_diagnosed(vmc: Run, folder: Path, command: str) -> None:
    (folder / "binary.vmc").write_bytes(b"kernel \xff\xfe\x00")
    with (folder / "large.vmc").open("wb") as file:
        file.truncate(1 << 25)
    for name, code, text in (
        ("missing.vmc", "E0901", "there is no file missing.vmc"),
        ("cpoy.vmc", "E0901", "did you mean `copy.vmc`?"),
        (".", "E0901", ". is a directory"),
        ("binary.vmc", "E0902", "byte 7 cannot be read"),
        ("copy.vmc/x", "E0901", "cannot be read"),
        ("large.vmc", "E0901", "large.vmc is larger than 16 MiB"),
        ("a\0b.vmc", "E0901", "cannot be read"),
    ):
        outcome = vmc(command, name)
        assert outcome.code == 1
        assert f"error[{code}]" in outcome.out + outcome.err
        assert text in outcome.out + outcome.err


@pytest.mark.parametrize("command", ["check", "run", "show"])
def test_a_failure_is_json_where_json_is_asked_for(vmc: Run, folder: Path, command: str) -> None:
    outcome = vmc(command, "missing.vmc", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["diagnostics"][0]["code"] == "E0901"


def test_memory_that_is_not_there_is_no_bug(vmc: Run, folder: Path) -> None:
    outcome = vmc("run", "copy.vmc", "--set", "T=f64", "--set", "N=1000000000000000", "--arg", "x=ones")
    assert outcome.code == 1 and "error: out of memory" in outcome.err


def test_an_interruption_is_no_traceback(vmc: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(words: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "dispatch", interrupt)
    outcome = vmc("check", "copy.vmc")
    assert (outcome.code, outcome.err) == (130, "interrupted\n")


def test_a_bug_asks_for_a_report_and_writes_it(
    vmc: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(words: object) -> int:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(cli, "dispatch", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    outcome = vmc("check", "copy.vmc")
    assert outcome.code == 3
    assert "vmc failed: ZeroDivisionError: inside" in outcome.err
    (report,) = tmp_path.glob("vmc-report-*.txt")
    assert str(report) in outcome.err
    text = report.read_text()
    assert "Traceback" in text and "kernel copy" in text and package.__version__ in text


def test_a_reader_that_stops_reading_is_no_error() -> None:
    script = f"{sys.executable} -W error -m vmc explain-error --list"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {script} | head -1"], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "greek.vmc"
    path.write_text("kernel k(x: f32[N]):\n    \u03b1 = 1\n", encoding="utf-8")
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run([sys.executable, "-m", "vmc", "check", str(path)], capture_output=True, env=environment)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr and b"error[" in done.stdout


def test_the_console_script_is_the_main_function() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="vmc")
    assert script.load() is cli.main
