"""What passes do to small kernels, as text: the `.ir` files here hold cases of a title, a kernel, and the kernel after.

    # passes: canonicalize dce          which passes run, in order, for the whole file
    # === a title that says what happens
    kernel before() { ... }
    # --- after
    kernel after() { ... }

A case without `# --- after` must come out as it went in. Names of values do not matter. The kernels need no grid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vmc.ir.core import Module
from vmc.ir.passes import Pass, run
from vmc.ir.passes.catalogue import PASSES
from vmc.ir.text import parse_module, print_module, structurally_equal

FILES = sorted(Path(__file__).parent.glob("*.ir"))


@dataclass(frozen=True)
class Case:
    file: str
    title: str
    passes: tuple[Pass, ...]
    before: Module
    after: Module


def cases(file: Path) -> list[Case]:
    head, *sections = re.split(r"^# === *", file.read_text(), flags=re.MULTILINE)
    names = head.partition("# passes:")[2].split("\n")[0].split()
    found = []
    for section in sections:
        title, _, text = section.partition("\n")
        before, _, after = text.partition("# --- after\n")
        modules = [parse_module(part, file.name) for part in (before, after or before)]
        found.append(Case(file.stem, title, tuple(PASSES[name] for name in names), modules[0], modules[1]))
    return found


CASES = [case for file in FILES for case in cases(file)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}: {case.title}")
def test_a_pass_leaves(case: Case) -> None:
    result = run(case.before, case.passes)
    names = [kernel.name for kernel in case.after.kernels]
    pairs = zip(result.kernels, names, strict=True)
    renamed = Module(tuple(replace(kernel, name=name) for kernel, name in pairs)) if len(names) == 1 else result
    assert structurally_equal(renamed, case.after), (
        f"expected\n{print_module(case.after)}\nfound\n{print_module(result)}"
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}: {case.title}")
def test_a_second_run_changes_nothing(case: Case) -> None:
    once = run(case.before, case.passes)
    assert structurally_equal(run(once, case.passes), once)


def test_every_pass_has_cases() -> None:
    assert {file.stem for file in FILES} >= set(PASSES)
