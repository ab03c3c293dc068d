"""The examples of docs/formats.md run, and its tables say what the library declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.snippets import Snippet, snippets
from tests.lang.running import compare_targets
from vmc.lang import check_source, compile_kernel
from vmc.lang.elaborate.modules import load_module
from vmc.runtime.certificates import library_formats

DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"
PROGRAMS = [s for s in snippets(DOCUMENT) if s.language == "vmc"]
KERNELS = [(s, name) for s in PROGRAMS if "@" not in s.text for name in load_module(s.text, s.file).kernels]
"""Without sums, whose order is free: those of random bits overflow in one order and not in another."""

ROW = re.compile(r"^\| `([\w.]+)` \| (\d+) \| (\d+) \| ([\d.]+) \|", re.MULTILINE)


@pytest.mark.parametrize("snippet", PROGRAMS, ids=lambda s: s.id)
def test_an_example_has_no_mistakes_and_no_warnings(snippet: Snippet) -> None:
    assert [str(d) for d in check_source(snippet.text, snippet.file)] == []


@pytest.mark.parametrize(("snippet", "kernel"), KERNELS, ids=[f"{s.id}-{k}" for s, k in KERNELS])
def test_an_example_runs_alike_on_the_reference_vm_and_the_cpu(snippet: Snippet, kernel: str) -> None:
    compare_targets(compile_kernel(snippet.text, snippet.file, kernel, {}).kernel, 1, {"N": 4, "K": 512})


def test_python_blocks_run_with_the_source_of_the_example_before_them() -> None:
    source = ""
    for snippet in snippets(DOCUMENT):
        if snippet.language == "vmc":
            source = snippet.text
        elif snippet.language == "python":
            exec(compile("\n" * (snippet.line - 1) + snippet.text, snippet.file, "exec"), {"source": source})


def test_the_tables_list_every_format_of_the_library_with_its_size() -> None:
    rows = [(name, int(block), int(size), float(bits)) for name, block, size, bits in ROW.findall(DOCUMENT.read_text())]
    assert rows == [(f.name, f.elements, f.bytes, 8 * f.bytes / f.elements) for f in library_formats()]
