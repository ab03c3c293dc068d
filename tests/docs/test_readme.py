"""The README's snippets: the Python one runs, every `vmc` command succeeds, and the kernel is the example."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.docs.snippets import snippets
from vmc.cli import main

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = snippets(ROOT / "README.md")
COMMANDS = [
    line
    for snippet in SNIPPETS
    if snippet.language == "sh"
    for line in snippet.text.splitlines()
    if line.startswith("vmc ")
]


def test_the_python_snippet_computes_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (snippet,) = (snippet for snippet in SNIPPETS if snippet.language == "python")
    names: dict[str, np.ndarray] = {}
    exec(compile(snippet.text, "README.md", "exec"), names)
    codes, x, scale, y = (names[name] for name in ("codes", "x", "scale", "y"))
    weights = (codes.astype(np.float32) - 4) * np.repeat(scale, 128, axis=0).astype(np.float32)
    np.testing.assert_allclose(y, x.astype(np.float32) @ weights, rtol=0.01, atol=0.05)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_succeeds(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    words = [
        path
        for word in shlex.split(command)[1:]
        for path in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    assert main(words) == 0, capsys.readouterr().err


def test_the_kernel_is_the_example() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = (ROOT / "examples" / "matmul_wa16.vmc").read_text(encoding="utf-8")
    kernel = "".join(line for line in example.splitlines(keepends=True) if not line.startswith("#"))
    shown = [line for line in kernel.splitlines() if "static_assert" not in line]
    assert all(line in text for line in shown)
