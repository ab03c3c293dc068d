"""docs/deploy.md is followed: its commands and programs, one after the other, in a folder of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.snippets import snippets
from vmc.backends.cpu.levels import LEVELS
from vmc.backends.cpu.target import missing

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "deploy.md"
FILES = {"cpp": "main.cc", "c": "main.c"}


@pytest.mark.skipif(bool(missing(LEVELS["x86-64-v3"])), reason="the page builds for x86-64-v3")
def test_the_page_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tvm_ffi")
    pytest.importorskip("torch")
    if shutil.which("tvm-ffi-config", path=(scripts := str(Path(sys.executable).parent))) is None:
        pytest.skip("tvm-ffi-config is not installed beside Python")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "vmc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vmc "$@"\n')
    (tmp_path / "bin" / "vmc").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TVM_FFI_DISABLE_TORCH_C_DLPACK", "1")
    path = os.pathsep.join([str(tmp_path / "bin"), scripts, os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    names: dict[str, Any] = {}
    for snippet in snippets(DOCUMENT):
        if snippet.language == "python":
            exec(compile("\n" * (snippet.line - 1) + snippet.text, snippet.file, "exec"), names)
        elif snippet.language == "sh":
            command = ["bash", "-euo", "pipefail", "-c", snippet.text]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert not done.returncode, f"{snippet.id}: {done.stdout}{done.stderr}"
        elif snippet.language in FILES:
            (tmp_path / FILES[snippet.language]).write_text(snippet.text)
    assert (tmp_path / "main_c").exists() and (tmp_path / "main_cc").exists()


def test_the_headings_are_linked() -> None:
    text = DOCUMENT.read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower().replace("++", "")).replace(" ", "-") for heading in headings]
    assert re.findall(r"^- \[.*\]\(#([\w-]+)\)", text, re.MULTILINE) == anchors
