"""docs/ptxvm.md: its Python prints what the page says, its errors exist, and its kernel is reported as shown."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.snippets import snippets
from vmc.backends import ptxvm
from vmc.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "ptxvm.md"
SNIPPETS = snippets(DOCUMENT)


def test_the_python_prints_what_the_page_shows() -> None:
    names: dict[str, object] = {}
    shown = 0
    for code, after in pairwise(SNIPPETS):
        if code.language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code.text, code.id, "exec"), names)
            assert printed.getvalue() == after.text
            shown += 1
    assert shown == 2


def test_every_error_of_the_table_exists() -> None:
    names = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert len(names) == 9
    for name in names:
        assert issubclass(getattr(ptxvm, name), ptxvm.ExecutionError)


def test_the_commands_do_what_the_page_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("tvm")
    pytest.importorskip("cuda.bindings")
    monkeypatch.chdir(ROOT)
    command = next(s for s in SNIPPETS if s.language == "sh")
    assert main(shlex.split(command.text)[1:]) == 0
    kernel, text = next((s, t) for s, t in pairwise(SNIPPETS) if s.language == "vmc")
    monkeypatch.chdir(tmp_path)
    Path("last.vmc").write_text(kernel.text)
    (line,) = re.findall(r"`(vmc run last\.vmc [^`]*)`", DOCUMENT.read_text("utf-8"))
    capsys.readouterr()
    assert main(shlex.split(line)[1:]) == 1
    assert regardless_of_names(capsys.readouterr().err.replace(f"{tmp_path}/", "")) == regardless_of_names(text.text)


def regardless_of_names(text: str) -> str:
    """Without what any change of the generated code changes: lines of PTX, and registers."""
    return re.sub(r"%\w+", "%r", re.sub(r"ptx:\d+", "ptx:N", text))
