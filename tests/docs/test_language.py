"""Every example of docs/language.md is checked, and its kernels run alike on the reference VM and the CPU."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.docs.snippets import Snippet, snippets
from tests.lang.running import compare_targets
from vmc.lang import check_source, compile_kernel
from vmc.lang.elaborate.modules import load_module

DOCUMENT = Path(__file__).parents[2] / "docs" / "language.md"
PROGRAMS = [s for s in snippets(DOCUMENT) if s.language == "vmc"]
KERNELS = [(s, name) for s in PROGRAMS for name in load_module(s.text, s.file).kernels]


@pytest.mark.parametrize("snippet", PROGRAMS, ids=lambda s: s.id)
def test_an_example_has_no_mistakes_and_no_warnings(snippet: Snippet) -> None:
    assert [str(d) for d in check_source(snippet.text, snippet.file)] == []


@pytest.mark.parametrize(("snippet", "kernel"), KERNELS, ids=[f"{s.id}-{k}" for s, k in KERNELS])
def test_an_example_runs_alike_on_the_reference_vm_and_the_cpu(snippet: Snippet, kernel: str) -> None:
    elaborated = compile_kernel(snippet.text, snippet.file, kernel, {})
    blocks = {"K": 64} if any(p.format for p in elaborated.parameters) else {}
    for seed in range(3):
        compare_targets(elaborated.kernel, seed, blocks)


def test_python_blocks_run_with_the_source_of_the_example_before_them() -> None:
    source = ""
    for snippet in snippets(DOCUMENT):
        if snippet.language == "vmc":
            source = snippet.text
        elif snippet.language == "python":
            exec(compile("\n" * (snippet.line - 1) + snippet.text, snippet.file, "exec"), {"source": source})


def test_the_table_of_functions_is_current() -> None:
    make = runpy.run_path(str(DOCUMENT.parent / "make_language_reference.py"))
    text = DOCUMENT.read_text("utf-8")
    assert make["document"](text) == text
